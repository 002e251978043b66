"""A model service on the loopback: streaming, raw tool calls, failures in one line, and no key anywhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.providers.fake_service import Canned, call, delta, serving
from tests.runtime.world import READ, SESSION, World, denied, world

from bascule.runtime.events import TextDelta, TurnStatus
from bascule.runtime.messages import ModelSaid, Told, ToolAnswer, ToolRequest, ToolsAnswered, UserSaid
from bascule.runtime.providers.layered import LayeredProvider, Service
from bascule.runtime.providers.openai import connect
from bascule.runtime.providers.port import Ask, Fault, Reply

KEY = "sk-canary-0123456789"
HELLO = Canned(chunks=[delta(role="assistant", content="Hel"), delta(content="lo"), delta(finish="stop")])


def provider(url: str, key: str = KEY) -> LayeredProvider:
    return LayeredProvider(Service("box:tiny", "openai", "tiny", url, key), connect)


def ask_once(url: str, ask: Ask) -> tuple[Reply | Fault, list[str]]:
    pieces: list[str] = []

    async def run() -> Reply | Fault:
        one = provider(url)

        async def on_text(text: str) -> None:
            pieces.append(text)

        try:
            return await one.ask(ask, on_text, pieces.append)
        finally:
            await one.close()

    return asyncio.run(run()), [piece for piece in pieces if piece]


def simple(*messages: Any) -> Ask:
    return Ask(SESSION, "be kind", messages or (UserSaid("hi"),), (READ,), 0)


def test_words_stream_and_the_request_offers_our_tools_and_no_others() -> None:
    with serving(HELLO) as service:
        reply, pieces = ask_once(service.url, simple())
    assert reply == Reply("Hello")
    assert pieces == ["Hel", "lo"]
    (request,) = service.requests
    assert [tool["function"]["name"] for tool in request["tools"]] == ["read"]
    assert {tool["type"] for tool in request["tools"]} == {"function"}
    assert "web_search_options" not in request
    assert request["messages"][0] == {"role": "system", "content": "be kind"}
    assert service.headers[0]["authorization"] == f"Bearer {KEY}"


def test_tool_calls_arrive_word_for_word_however_broken() -> None:
    chunks = [
        delta(role="assistant", tool_calls=[call(0, "nope", '{"a":1,"a"', "1")]),
        delta(tool_calls=[call(0, None, ':2} "x')]),
        delta(tool_calls=[call(1, "read", '{"path": "a"}', "1")]),
        delta(finish="tool_calls"),
    ]
    with serving(Canned(chunks=chunks)) as service:
        reply, _ = ask_once(service.url, simple())
    assert reply == Reply("", (ToolRequest("nope", '{"a":1,"a":2} "x'), ToolRequest("read", '{"path": "a"}')))


def test_a_history_with_broken_calls_is_sent_in_a_shape_every_service_takes() -> None:
    calls = (
        ToolRequest("no such\ntool", "{broken"),
        ToolRequest("read", '{"path": "a"}'),
        ToolRequest("read", "\ud800"),
    )
    answers = tuple(ToolAnswer(f"answer {n}", Told.REFUSED) for n in range(3))
    with serving(HELLO) as service:
        ask_once(service.url, simple(UserSaid("go"), ModelSaid("", calls), ToolsAnswered(answers), UserSaid("and?")))
    sent = service.requests[0]["messages"]
    asked = sent[2]["tool_calls"]
    assert [item["function"]["name"] for item in asked] == ["unknown_tool", "read", "read"]
    assert all(isinstance(json.loads(item["function"]["arguments"]), dict) for item in asked)
    identifiers = [item["id"] for item in asked]
    assert len(set(identifiers)) == 3
    assert [(m["tool_call_id"], m["content"]) for m in sent[3:6]] == list(
        zip(identifiers, ["answer 0", "answer 1", "answer 2"], strict=True)
    )
    assert sent[6]["content"] == "and?"


def test_a_turn_over_http_goes_through_the_gate(tmp_path: Path) -> None:
    asks = [delta(role="assistant", tool_calls=[call(0, "read", '{"path": "x"}', "a")]), delta(finish="tool_calls")]
    with serving(Canned(chunks=asks), HELLO) as service:
        w = world(tmp_path, provider(service.url), [denied()])
        assert turn(w).status is TurnStatus.DONE
    assert [p.untrusted_args for p in w.gate.proposals] == ['{"path": "x"}']
    assert service.requests[1]["messages"][-1]["content"] == "refused: not here (elsewhere)"
    w.close()


def turn(w: World) -> Any:
    async def run() -> Any:
        try:
            return await w.say("go")
        finally:
            await w.provider.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("first", "pause"),
    [
        (Canned(429, body='{"error": {"message": "slow down"}}', headers={"retry-after": "3"}), 3.0),
        (Canned(500, body="<html>oops</html>"), 1.0),
        (Canned(503, body="{}"), 1.0),
        (Canned(chunks=[delta(role="assistant", content="Hal")], cut=True), 1.0),
        (Canned(chunks=[delta(role="assistant", content="Hal")]), 1.0),
    ],
)
def test_what_passes_is_asked_again(tmp_path: Path, first: Canned, pause: float) -> None:
    with serving(first, HELLO) as service:
        w = world(tmp_path, provider(service.url))
        ended = turn(w)
    assert (ended.status, ended.text) == (TurnStatus.DONE, "Hello")
    assert w.pauses == [pause]
    assert len(service.requests) == 2
    assert [m for m in w.history.messages(SESSION) if isinstance(m, ModelSaid)] == [
        ModelSaid("Hello", provider="box:tiny")
    ]
    w.close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Canned(401, body=json.dumps({"error": {"message": f"bad key {KEY} given"}})), "model_key_refused"),
        (Canned(404, body='{"error": {"message": "no such model"}}'), "model_unknown"),
        (Canned(400, body='{"error": {"message": "two\\nlines"}}'), "model_request_refused"),
        (Canned(307, headers={"location": "http://127.0.0.1:9/"}), None),
    ],
)
def test_what_does_not_pass_is_one_line_without_the_key(tmp_path: Path, answer: Canned, code: str | None) -> None:
    with serving(*[answer] * 5) as service:
        w = world(tmp_path, provider(service.url))
        ended = turn(w)
    assert ended.status is TurnStatus.FAILED
    assert code in {None, ended.code}
    assert "\n" not in ended.message
    assert KEY not in repr(w.events)
    assert KEY not in repr(provider(service.url).__dict__)
    w.close()


def test_nobody_there_is_said_in_one_line() -> None:
    with serving() as service:
        url = service.url
    fault, _ = ask_once(url, simple())
    assert isinstance(fault, Fault)
    assert (fault.code, fault.again) == ("model_unreachable", True)


def test_nonsense_instead_of_a_stream_is_a_fault() -> None:
    with serving(Canned(chunks=[{"choices": "no"}])) as service:
        fault, _ = ask_once(service.url, simple())
    assert isinstance(fault, Fault)
    assert "\n" not in fault.message


def test_cancel_mid_stream_returns_at_once_and_keeps_the_words(tmp_path: Path) -> None:
    with serving(Canned(chunks=[delta(role="assistant", content="one ")], hang=True)) as service:
        w = world(tmp_path, provider(service.url))

        async def story() -> None:
            running = asyncio.create_task(w.say("go"))
            while not any(isinstance(event, TextDelta) for event in w.events):
                await asyncio.sleep(0.01)
            w.turns.cancel(SESSION)
            assert (await running).status is TurnStatus.CANCELLED
            await w.provider.close()

        asyncio.run(story())
    assert w.history.messages(SESSION)[1] == ModelSaid("one ", provider="box:tiny")
    w.close()
