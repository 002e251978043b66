"""Between our conversation and the model layer's, imported only when a model is asked.

Stops: one odd answer poisoning every later request: names, ids and arguments that a service would refuse in a history
are replaced on the way out (the gate got them raw, and the answer says what was wrong with them). Does not stop:
anything a response asks for; it is handed on word for word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition

from bascule.core.toolspec import ToolSpec
from bascule.runtime.messages import Message, ModelSaid, ToolRequest, ToolsAnswered, UserSaid, printable
from bascule.runtime.providers.port import Ask, Fault, Reply

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def definitions(tools: Sequence[ToolSpec]) -> list[ToolDefinition]:
    """Return the tools as the model layer describes them to a service."""
    return [
        ToolDefinition(
            name=tool.name, description=tool.description, parameters_json_schema=tool.json_schema(), strict=False
        )
        for tool in tools
    ]


def outgoing(ask: Ask, provider: str) -> list[ModelMessage]:
    """Return a request's messages for the model layer; reasoning goes back to nobody but ``provider``."""
    found: list[ModelMessage] = []
    parts: list[ModelRequestPart] = [SystemPromptPart(printable(ask.system))] if ask.system else []
    for index, message in enumerate(ask.messages):
        if isinstance(message, UserSaid):
            parts.append(UserPromptPart(printable(message.text) or "(nothing was said)"))
            continue
        if isinstance(message, ModelSaid):
            response = _response(message, index, provider)
            if response.parts:
                found += [ModelRequest(parts), response] if parts else [response]
                parts = []
            continue
        parts.extend(_answers(ask.messages, index, message))
    if parts:
        found.append(ModelRequest(parts))
    return found


def _answers(messages: tuple[Message, ...], index: int, message: ToolsAnswered) -> list[ModelRequestPart]:
    said = messages[index - 1]
    if not isinstance(said, ModelSaid):
        return []
    return [
        ToolReturnPart(_name(call), printable(answer.text), tool_call_id=_id(index - 1, place))
        for place, (call, answer) in enumerate(zip(said.calls, message.answers, strict=True))
    ]


def _response(said: ModelSaid, index: int, provider: str) -> ModelResponse:
    kept = _kept(said) if said.layer and said.provider == provider else None
    if kept is None:
        parts: list[ModelResponsePart] = [TextPart(printable(said.text))] if said.text else []
        kept = ModelResponse([*parts, *(ToolCallPart("", "") for _ in said.calls)])
    places = iter(range(len(said.calls)))
    sent: list[ModelResponsePart] = []
    for part in kept.parts:
        if isinstance(part, ToolCallPart):
            place = next(places)
            call = said.calls[place]
            sent.append(ToolCallPart(_name(call), _arguments(call), _id(index, place)))
        else:
            sent.append(part)
    return replace(kept, parts=sent)


def _kept(said: ModelSaid) -> ModelResponse | None:
    """The response as its service gave it, or None if this version of the model layer cannot read it back."""
    try:
        message = ModelMessagesTypeAdapter.validate_json(said.layer)[0]
    except (ValueError, IndexError):
        return None
    if not isinstance(message, ModelResponse):
        return None
    calls = sum(isinstance(part, ToolCallPart) for part in message.parts)
    return message if calls == len(said.calls) else None


def _id(index: int, place: int) -> str:
    return f"call_{index}_{place}"


def _name(call: ToolRequest) -> str:
    return call.untrusted_tool if _NAME.fullmatch(call.untrusted_tool) else "unknown_tool"


def _arguments(call: ToolRequest) -> dict[str, Any]:
    try:
        value = json.loads(printable(call.untrusted_args) or "{}")
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"malformed": printable(call.untrusted_args)[:2000]}


def incoming(response: ModelResponse, name: str) -> Reply | Fault:
    """Return what a response says and asks for, its arguments exactly as written.

    A response in which the service ran a tool of its own is a fault: nothing of ours decided about it.
    """
    if any(isinstance(part, NativeToolCallPart | NativeToolReturnPart) for part in response.parts):
        return Fault("provider_side_tool", f"{name}: the service ran a tool of its own, which is never allowed")
    if response.finish_reason is None:
        return Fault("model_unreachable", f"{name}: the answer broke off", "try again", again=True)
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    calls = tuple(_request(part) for part in response.parts if isinstance(part, ToolCallPart))
    reasoned = any(isinstance(part, ThinkingPart) for part in response.parts)
    layer = ModelMessagesTypeAdapter.dump_json([response]).decode("utf-8") if reasoned else ""
    return Reply(text, calls, layer, cut=response.finish_reason == "length")


def _request(part: ToolCallPart) -> ToolRequest:
    if isinstance(part.args, str):
        return ToolRequest(part.tool_name, part.args)
    return ToolRequest(part.tool_name, json.dumps(part.args) if part.args is not None else "")
