from __future__ import annotations

import os
import select
import socket
import threading
from typing import Any

import pytest
from tests.control.simulated import SimulatedService, connected

from bascule.control.client import Client
from bascule.control.protocol import encode
from bascule.control.server import MAX_REQUESTS
from bascule.core.errors import BasculeError, Malformed, NotPermitted, Unavailable

CALL: dict[str, Any] = {
    "agent": "bruba-main", "args_text": "{}", "session": None, "dry_run": False, "wait": 0, "as_operator": False,
}  # fmt: skip


def test_a_request_is_answered() -> None:
    with connected() as (client, service):
        assert client.hello["ephemeral"] is True
        assert client.request("call", **CALL, tool="fine")["outcome"]["ok"] is True
        assert service.calls[0].args_text == "{}"


def test_the_gateways_error_is_raised_as_what_it_was() -> None:
    with connected() as (client, _):
        with pytest.raises(Malformed) as caught:
            client.request("approvals_show", ref="nothing")
        assert caught.value.code == "approval_unknown"
        client.request("approvals_deny", ref="apr_1")
        with pytest.raises(NotPermitted):
            client.request("approvals_approve", ref="apr_1")


def test_a_question_is_answered_in_the_middle_of_a_stream() -> None:
    seen = []
    with connected() as (client, _):
        for event in client.stream("send", None, agent="bruba-main", text="ask", session=None):
            seen.append(event["event"])
            if event["event"] == "approval":
                assert client.request("approvals_approve", ref="apr_1")["state"] == "approved"
    assert seen == ["text", "text", "approval", "answered", "done"]


def test_an_interrupt_cancels_the_stream_and_nothing_else() -> None:
    reader, writer = os.pipe()
    with connected() as (client, service):
        events = client.stream("send", reader, agent="bruba-main", text="wait", session=None)
        assert [next(events)["event"], next(events)["event"]] == ["text", "text"]
        os.write(writer, b"!")
        with pytest.raises(Unavailable) as caught:
            next(events)
        assert caught.value.code == "cancelled"
        assert service.turns_ended == 1
        assert client.request("agents_list")[0]["id"] == "bruba-main"
    os.close(reader)
    os.close(writer)


def test_leaving_ends_what_is_under_way() -> None:
    with connected() as (client, service):
        next(client.stream("send", None, agent="bruba-main", text="wait", session=None))
        client.close()
    assert service.turns_ended == 1


def test_a_stream_that_fails_raises() -> None:
    with connected() as (client, _), pytest.raises(Unavailable) as caught:
        list(client.stream("send", None, agent="bruba-main", text="down", session=None))
    assert caught.value.code == "model_down"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "gateway_gone"),
        (b"\0\0\0\2{", "gateway_gone"),
        (b"\xff\xff\xff\xff", "frame_too_long"),
        (encode({"hello": {"protocol": 999}}, 100), "protocol_differs"),
        (encode({"hello": 1}, 100), "protocol_differs"),
        (encode({"refused": 1}, 100), "answer_invalid"),
        (
            encode({"refused": {"code": "no", "message": "m", "remedy": ""}, "kind": "NotPermitted"}, 100),
            "no",
        ),
    ],
)
def test_what_is_no_welcome_ends_the_client(said: bytes, code: str) -> None:
    ours, theirs = socket.socketpair()
    closed = []
    theirs.sendall(said)
    theirs.close()
    with pytest.raises(BasculeError) as caught:
        Client(ours, lambda: closed.append(1))
    assert caught.value.code == code
    assert closed == [1]
    assert ours.fileno() == -1


def test_a_gateway_that_dies_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(encode({"hello": {"protocol": 1}}, 100))
    client = Client(ours, lambda: None)

    def die() -> None:
        theirs.recv(1000)
        theirs.close()

    thread = threading.Thread(target=die)
    thread.start()
    with pytest.raises(Unavailable) as caught:
        client.request("status")
    thread.join()
    assert caught.value.code == "gateway_gone"
    with pytest.raises(Unavailable):
        client.request("status")
    client.close()


def test_many_calls_keep_their_order() -> None:
    service = SimulatedService()
    with connected(service) as (client, _):
        seqs = [client.request("call", **CALL, tool="fine")["ledger"]["seq"] for _ in range(50)]
    assert seqs == list(range(1, 51))


def test_what_has_come_is_known_without_waiting() -> None:
    with connected() as (client, service):
        events = client.stream("approvals_watch", None)
        assert next(events)["approval"]["id"] == "apr_1"
        assert events.arrived() == []
        assert client.request("approvals_deny", ref="apr_1")["state"] == "denied"
        while not (come := events.arrived()):
            assert select.select([events], [], [], 10)[0]
        assert [(event["event"], event["id"]) for event in come] == [("answered", "apr_1")]
        client.request("call", **(CALL | {"args_text": '{"ident": "apr_2"}'}), tool="new_question")
        assert next(events)["approval"]["id"] == "apr_2"
        assert not events.ended
        events.close()
        assert list(events) == []
        assert client.request("status")["ledger_seq"] == 9
    assert (service.watchers, service.watches_ended) == ([], 1)


def test_the_end_of_a_stream_is_seen_while_one_waits_for_something_else() -> None:
    with connected() as (client, _):
        events = client.stream("send", None, agent="bruba-main", text="down", session=None)
        while not events.ended:
            assert select.select([events], [], [], 10)[0]
            assert events.arrived() == []
        with pytest.raises(Unavailable) as caught:
            next(events)
        assert caught.value.code == "model_down"
        assert list(events) == []


def test_a_stream_that_is_closed_leaves_nothing_behind() -> None:
    with connected() as (client, service):
        for _ in range(MAX_REQUESTS + 2):
            events = client.stream("approvals_watch", None)
            next(events)
            events.close()
            client.request("status")
        assert client.request("approvals_deny", ref="apr_1")["state"] == "denied"
        client.request("status")
        assert client._waiting == []
        assert client._unwanted == set()
    assert service.watches_ended == MAX_REQUESTS + 2
