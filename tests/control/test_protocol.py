from __future__ import annotations

import inspect
import json
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.control import protocol, server
from bascule.control.protocol import Cancel, Decoder, Request, encode, error_frame, parse_request, read_error
from bascule.core.errors import BasculeError, Malformed, NotPermitted, Tampered, Unavailable
from bascule.service.port import CallRequest, Channel, Minting, Service, Wider

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4), st.integers(1, 40))
def test_frames_survive_any_cutting(frames: list[dict[str, Any]], size: int) -> None:
    stream = b"".join(encode(frame, 1 << 20) for frame in frames)
    decoder = Decoder(1 << 20)
    found = [frame for at in range(0, len(stream), size) for frame in decoder.feed(stream[at : at + size])]
    assert found == frames
    assert decoder.clean


def test_lone_surrogates_survive() -> None:
    assert Decoder(100).feed(encode({"a": "\ud800"}, 100)) == [{"a": "\ud800"}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", "frame_not_object"),
        (b"{", "frame_not_json"),
        (b"\xff", "frame_not_json"),
        (b'{"a":"\xc3\xa9"}', "frame_not_json"),
        (b'{"a":1,"a":2}', "frame_not_json"),
        (b'{"a":NaN}', "frame_not_json"),
        (b"[" * 100_000, "frame_not_json"),
    ],
)
def test_what_is_no_frame_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        Decoder(1 << 20).feed(len(body).to_bytes(4, "big") + body)
    assert caught.value.code == code


def test_a_long_frame_is_refused_before_its_body_arrives() -> None:
    with pytest.raises(Malformed) as caught:
        Decoder(10).feed((11).to_bytes(4, "big"))
    assert caught.value.code == "frame_too_long"


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, b"x"])
def test_what_is_no_json_is_not_sent(value: object) -> None:
    with pytest.raises(Malformed) as caught:
        encode({"a": value}, 100)
    assert caught.value.code == "frame_not_json"


def test_what_is_too_long_is_not_sent() -> None:
    with pytest.raises(Malformed) as caught:
        encode({"a": "x" * 100}, 50)
    assert caught.value.code == "frame_too_long"


def good(method: str) -> dict[str, Any]:
    samples: dict[type, Any] = {bool: True, int: 3, float: 0.5, str: "x"}
    return {field.name: samples[field.kind] for field in protocol.METHODS[method]}


@pytest.mark.parametrize("method", protocol.METHODS)
def test_every_method_parses_with_exactly_its_parameters(method: str) -> None:
    params = good(method)
    assert parse_request({"id": 1, "method": method, "params": params}) == Request(1, method, params)
    for missing in params:
        less = {name: value for name, value in params.items() if name != missing}
        with pytest.raises(Malformed):
            parse_request({"id": 1, "method": method, "params": less})
    with pytest.raises(Malformed):
        parse_request({"id": 1, "method": method, "params": {**params, "more": 1}})
    for name in params:
        with pytest.raises(Malformed):
            parse_request({"id": 1, "method": method, "params": {**params, name: ["no"]}})


GATHERED: dict[str, tuple[type, str]] = {
    "call": (CallRequest, "request"),
    "approvals_grant": (Wider, "wider"),
    "tokens_create": (Minting, "minting"),
}
"""Methods whose parameters arrive together, as a noun under this name."""


def test_methods_are_those_of_the_service() -> None:
    for name, fields in protocol.METHODS.items():
        signature = inspect.signature(getattr(Service, name))
        hints = typing.get_type_hints(getattr(Service, name), vars(inspect.getmodule(Service)))
        wanted = [part for part in signature.parameters if part not in {"self", "caller"}]
        if name in GATHERED:
            kind, held = GATHERED[name]
            wanted = [slot for part in wanted for slot in (kind.__slots__ if part == held else [part])]
            hints |= typing.get_type_hints(kind)
        assert wanted == [field.name for field in fields]
        assert ("caller" in signature.parameters) == (name in server.SIGNED)
        for field in fields:
            assert hints[field.name] == (field.kind | None if field.nullable else field.kind)
    public = {name for name in vars(Service) if not name.startswith("_")}
    assert public == set(protocol.METHODS)


def test_streams_are_those_of_the_service() -> None:
    streamed = {name for name in protocol.METHODS if not inspect.iscoroutinefunction(getattr(Service, name))}
    assert streamed == server.STREAMED
    assert server.STREAMED <= server.SIGNED <= set(protocol.METHODS)


def test_what_only_a_channel_may_do_is_no_method() -> None:
    beyond = {name for name in vars(Channel) if not name.startswith("_")}
    assert Service in Channel.__mro__
    assert beyond == {"hear", "follow"}
    assert beyond.isdisjoint(protocol.METHODS)


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"id": "1", "method": "status", "params": {}},
        {"id": True, "method": "status", "params": {}},
        {"id": -1, "method": "status", "params": {}},
        {"id": 1, "method": "status"},
        {"id": 1, "method": "status", "params": []},
        {"id": 1, "method": "status", "params": {}, "more": 1},
        {"id": 1, "method": "__init__", "params": {}},
        {"id": 1, "method": ["status"], "params": {}},
        {"id": 1, "method": "approvals_show", "params": {"ref": "x" * 513}},
        {"id": 1, "method": "approvals_list", "params": {"everything": 1}},
        {"id": 1, "method": "ledger_show", "params": {"seq": True}},
        {"id": 1, "method": "ledger_show", "params": {"seq": 1.5}},
        {"id": 1, "method": "agents_show", "params": {"agent": None}},
    ],
)
def test_other_requests_are_refused(frame: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_request(frame)


def test_a_cancellation_parses() -> None:
    assert parse_request({"id": 4, "cancel": True}) == Cancel(4)


@pytest.mark.parametrize("kind", [Malformed, NotPermitted, Unavailable, Tampered])
def test_errors_are_the_same_on_both_sides(kind: type[BasculeError]) -> None:
    frame = json.loads(json.dumps(error_frame(3, kind("some_code", "what\nwhere", "do this"))))
    found = read_error(frame)
    assert type(found) is kind
    assert (found.code, found.message, found.remedy) == ("some_code", "what where", "do this")


@pytest.mark.parametrize(
    "frame", [{}, {"error": {}, "kind": "Malformed"}, {"error": {"code": 1, "message": "", "remedy": ""}, "kind": "X"}]
)
def test_an_error_that_makes_no_sense_is_still_an_error(frame: dict[str, Any]) -> None:
    assert read_error(frame).code == "answer_invalid"
