"""How a conversation is put to a very small model, and what its answer must look like.

Stops: a model of 135 million parameters being asked to do more than pick: it says one short thing, or calls one tool
whose arguments stand in the operator's own words. Does not stop: what it says from being made up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bascule.core.toolspec import ParamKind, ToolSpec
from bascule.runtime.messages import Message, ModelSaid, ToolAnswer, ToolRequest, ToolsAnswered, UserSaid, printable
from bascule.runtime.providers.port import Ask, Fault, Reply

MAX_SAY = 400
"""Characters of one answer; beyond, small models repeat themselves."""

MAX_TOKENS = 180
MAX_QUOTED = 700
"""Characters of any one message shown to the model; its whole context is 2048 tokens."""

KEPT = 5
"""Messages of the conversation shown to the model."""

MAX_TOOLS = 3
_PREFERRED = ("read", "exec", "memory_search", "web_search")

_PATH = re.compile(r"(?<![\w/.])(?:[\w.-]*/[\w./-]*\w|\w[\w-]*\.[a-z]{1,5})(?![\w/])", re.ASCII)
_QUOTED = re.compile(r"[`\"“]([^`\"”]{1,200})[`\"”]")
_RUN = re.compile(r"\b(?:run|execute|search(?: for)?|find)\s+(?:the (?:command|program)\s+)?([^`\"].{0,200})", re.I)
_VERBS = {
    "read": re.compile(r"\b(?:read|open|show|print|what(?:'s| is| does)|look|summari[sz]e|list)\b", re.I),
    "exec": re.compile(r"\b(?:run|execute)\b", re.I),
    "memory_search": re.compile(r"\b(?:remember|recall|memory)\b", re.I),
    "web_search": re.compile(r"\b(?:web|internet|online)\b", re.I),
}
_NEVER = re.compile(r"(?!)")

_SYSTEM = "You are a small, friendly assistant. Answer in one or two short sentences."
_SHOTS = (
    ("Hello!", {"say": "Hello! What can I do for you?"}),
    ("What is the capital of France?", {"say": "The capital of France is Paris."}),
)
_QUESTION = "Text:\n{}\n\nWhat does the text say?"
_TEXT_SHOT = (_QUESTION.format("The meeting is at noon."), {"say": "It says that the meeting is at noon."})
_DATA = re.compile(r"^--- data (\w+) ---\n(.*?)\n--- end of data \1 ---$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tool the words may mean, and the values its required arguments may have."""

    tool: ToolSpec
    values: dict[str, list[str]]
    meant: bool


def request(ask: Ask) -> dict[str, Any]:
    """Return a chat completion request whose answer can only be ``{"say"}`` or one tool call."""
    messages: list[dict[str, str]] = [{"role": "system", "content": _SYSTEM}]
    for words, reply in (*_SHOTS, _TEXT_SHOT) if _told(ask.messages) else _SHOTS:
        messages += [_turn("user", words), _turn("assistant", json.dumps(reply))]
    messages += _recent(ask.messages)
    return {
        "messages": messages,
        "max_tokens": MAX_TOKENS,
        "temperature": 0.0,
        "seed": 1,
        "dry_multiplier": 0.8,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema(ask)}},
    }


def schema(ask: Ask) -> dict[str, Any]:
    """Return the JSON schema of the answer.

    After a tool's answer only words are possible. When the operator's words name a tool's verb and hold a value for
    its arguments, only a call is; when they hold a value but no verb, either.
    """
    say = {
        "type": "object",
        "properties": {"say": _sayable(ask.messages)},
        "required": ["say"],
        "additionalProperties": False,
    }
    found = candidates(ask)
    meant = [candidate for candidate in found if candidate.meant]
    branches = [_branch(candidate) for candidate in meant or found]
    if not meant:
        branches.insert(0, say)
    return branches[0] if len(branches) == 1 else {"oneOf": branches}


def _sayable(messages: Sequence[Message]) -> dict[str, Any]:
    """Anything short; but where a tool gave no text there is one true thing to say, so nothing is left to invent."""
    answers = _told(messages)
    if answers and not any(_DATA.search(answer.text) for answer in answers):
        return {"enum": ["; ".join(answer.text for answer in answers)[:MAX_SAY]]}
    return {"type": "string", "minLength": 1, "maxLength": MAX_SAY}


def _told(messages: Sequence[Message]) -> tuple[ToolAnswer, ...]:
    last = messages[-1] if messages else None
    return last.answers if isinstance(last, ToolsAnswered) else ()


def candidates(ask: Ask) -> list[Candidate]:
    """Return the few tools that the last words may mean."""
    last = ask.messages[-1] if ask.messages else None
    if not isinstance(last, UserSaid):
        return []
    known = {tool.name: tool for tool in ask.tools}
    ordered = [known[name] for name in _PREFERRED if name in known]
    found = [_candidate(tool, last.text) for tool in ordered]
    return [candidate for candidate in found if candidate is not None][:MAX_TOOLS]


def _candidate(tool: ToolSpec, words: str) -> Candidate | None:
    values: dict[str, list[str]] = {}
    for param in tool.params:
        if not param.required:
            continue
        if param.kind is ParamKind.PATH:
            values[param.name] = _PATH.findall(words)
        elif param.kind is ParamKind.STRING and not param.choices:
            values[param.name] = _phrases(words)
        else:
            return None
    if not values or not all(values.values()):
        return None
    return Candidate(tool, values, bool(_VERBS.get(tool.name, _NEVER).search(words)))


def _phrases(words: str) -> list[str]:
    quoted = _QUOTED.findall(words)
    return quoted or [match.strip().rstrip("?.!") for match in _RUN.findall(words)]


def _branch(candidate: Candidate) -> dict[str, Any]:
    arguments = {name: {"enum": values[:8]} for name, values in candidate.values.items()}
    return {
        "type": "object",
        "properties": {
            "tool": {"const": candidate.tool.name},
            "args": {
                "type": "object",
                "properties": arguments,
                "required": list(arguments),
                "additionalProperties": False,
            },
        },
        "required": ["tool", "args"],
        "additionalProperties": False,
    }


def _recent(messages: Sequence[Message]) -> list[dict[str, str]]:
    shown: list[dict[str, str]] = []
    for message in messages[-KEPT:]:
        if isinstance(message, UserSaid):
            shown.append(_turn("user", _cut(message.text)))
        elif isinstance(message, ModelSaid):
            shown.append(_turn("assistant", _said(message)))
        elif isinstance(message, ToolsAnswered):
            texts = [found[2] if (found := _DATA.search(answer.text)) else answer.text for answer in message.answers]
            shown.append(_turn("user", _QUESTION.format(_cut("\n".join(texts)))))
    # The model's template wants the two to alternate, beginning with the user.
    return shown[1:] if shown and shown[0]["role"] == "assistant" else shown


def _said(message: ModelSaid) -> str:
    if message.calls:
        call = message.calls[0]
        return _cut(
            f'{{"tool": {json.dumps(printable(call.untrusted_tool))}, "args": {printable(call.untrusted_args)}}}'
        )
    return json.dumps({"say": _cut(message.text)})


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _cut(text: str) -> str:
    plain = printable(text)
    return plain if len(plain) <= MAX_QUOTED else plain[:MAX_QUOTED] + " […]"


def read(untrusted_content: str, name: str, *, cut: bool) -> Reply | Fault:
    """Return what the model's JSON says; a fault if it was cut before it was whole."""
    try:
        value = json.loads(untrusted_content)
    except (ValueError, RecursionError):
        value = None
    del untrusted_content
    if isinstance(value, dict) and isinstance(value.get("say"), str):
        return Reply(value["say"].strip(), cut=cut)
    if isinstance(value, dict) and isinstance(value.get("tool"), str):
        return Reply("", (ToolRequest(value["tool"], json.dumps(value.get("args", {}))),))
    return Fault("local_model_garbled", f"{name}: the small model lost its thread", "ask again in other words")
