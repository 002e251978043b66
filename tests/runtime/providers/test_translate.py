"""Reasoning goes back to who gave it and to nobody else; what a service did by itself is a fault."""

from __future__ import annotations

import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    NativeToolCallPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from tests.runtime.world import READ, SESSION

from bascule.runtime.messages import Message, ModelSaid, Told, ToolAnswer, ToolRequest, ToolsAnswered, UserSaid
from bascule.runtime.providers.port import Ask, Fault, Reply
from bascule.runtime.providers.translate import incoming, outgoing

THOUGHT = ModelResponse(
    [ThinkingPart("hm", signature="sig"), TextPart("well"), ToolCallPart("read", '{"path":', "theirs")],
    finish_reason="tool_call",
    provider_name="anthropic",
)


def sent(*messages: Message, provider: str = "a:m") -> list[ModelMessage]:
    return outgoing(Ask(SESSION, "", messages, (READ,), 0), provider)


@pytest.mark.parametrize(("provider", "reasoned"), [("a:m", True), ("b:m", False)])
def test_reasoning_goes_back_to_its_own_provider_only(provider: str, reasoned: bool) -> None:
    reply = incoming(THOUGHT, "a:m")
    assert isinstance(reply, Reply)
    assert (reply.text, reply.calls) == ("well", (ToolRequest("read", '{"path":'),))
    said = ModelSaid(reply.text, reply.calls, reply.layer, "a:m")
    answered = ToolsAnswered((ToolAnswer("refused: x", Told.REFUSED),))
    response = sent(UserSaid("go"), said, answered, provider=provider)[1]
    assert any(isinstance(part, ThinkingPart) and part.signature == "sig" for part in response.parts) == reasoned
    (call,) = [part for part in response.parts if isinstance(part, ToolCallPart)]
    assert (call.tool_name, call.tool_call_id) == ("read", "call_1_0")
    assert isinstance(call.args, dict)


@pytest.mark.parametrize("layer", ["not json", "[]", '[{"kind": "request", "parts": []}]'])
def test_reasoning_that_cannot_be_read_back_is_left_out(layer: str) -> None:
    response = sent(UserSaid("go"), ModelSaid("well", (), layer, "a:m"))[1]
    assert response.parts == [TextPart("well")]


def test_a_tool_run_on_the_services_side_is_a_fault() -> None:
    native = ModelResponse([NativeToolCallPart("web_search", {}, "1"), TextPart("found")], finish_reason="stop")
    fault = incoming(native, "a:m")
    assert isinstance(fault, Fault)
    assert (fault.code, fault.again) == ("provider_side_tool", False)


def test_an_answer_without_an_end_is_no_answer() -> None:
    fault = incoming(ModelResponse([TextPart("hal")]), "a:m")
    assert isinstance(fault, Fault)
    assert fault.again


def test_words_without_an_answer_between_become_one_request() -> None:
    messages = sent(UserSaid("one"), ModelSaid("", provider="x"), UserSaid(""), UserSaid("\ud800"))
    (request,) = messages
    assert [part.content for part in request.parts] == ["one", "(nothing was said)", "\\ud800"]
