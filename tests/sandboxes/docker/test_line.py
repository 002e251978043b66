"""A resident that says anything but what it may ends its container, and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from bascule.core.errors import BasculeError, Unavailable
from bascule.sandboxes.docker.line import ContainerLine

Reply = Callable[[dict[str, Any]], bytes]


def asked(reply: Reply) -> BasculeError | tuple[str, str, bytes]:
    """Ask for a program and return what comes of the reply."""

    async def body() -> BasculeError | tuple[str, str, bytes]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = ContainerLine.open(ours, "/h/shared", "/h/agents/a")
            loop = asyncio.get_running_loop()
            theirs.settimeout(0)
            asking = asyncio.ensure_future(line.look(["/usr/bin/x"]))
            order = json.loads(await loop.sock_recv(theirs, 1 << 16))
            theirs.send(reply(order))
            try:
                return await asyncio.wait_for(asking, 5)
            except BasculeError as error:
                return error
            finally:
                line.close()

    return asyncio.run(body())


def test_a_good_answer_is_taken() -> None:
    found = {"ok": True, "path": "/usr/bin/x", "sha256": "a" * 64, "head": "7f45"}
    assert asked(lambda order: json.dumps({"id": order["id"], **found}).encode()) == ("/usr/bin/x", "a" * 64, b"\x7fE")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 50_000,
        b'{"id": 99, "ok": true}',
        b'{"id": true, "ok": true}',
        b'{"event": "exit", "box": "x", "exit": 0, "problem": "", "timed_out": false}',
        b'{"event": "exit", "box": 1, "exit": -1, "problem": "", "timed_out": false}',
        b'{"id": 1, "ok": true, "box": -1}',
        b'{"id": 1, "ok": false}',
    ],
)
def test_nonsense_ends_the_line(said: bytes) -> None:
    found = asked(lambda _order: said)
    assert isinstance(found, Unavailable)
    assert found.code == "container_gone"


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "x", "sha256": "a" * 64, "head": ""},
        {"path": "/x", "sha256": "short", "head": ""},
        {"path": "/x", "sha256": "a" * 64, "head": "zz"},
        {"path": "/x", "sha256": "a" * 64, "head": "00" * 4000},
        {"path": "/x", "sha256": "a" * 64, "head": 7},
        {},
    ],
)
def test_a_wrong_answer_is_none(wrong: dict[str, Any]) -> None:
    found = asked(lambda order: json.dumps({"id": order["id"], "ok": True, **wrong}).encode())
    assert isinstance(found, Unavailable)
    assert found.code == "container_error"


def test_only_known_codes_are_taken() -> None:
    def said(code: str) -> Reply:
        return lambda order: json.dumps({"id": order["id"], "ok": False, "code": code, "message": "m"}).encode()

    found = [asked(said(code)) for code in ("program_changed", "allowed", "warden_gone")]
    assert [error.code for error in found if isinstance(error, Unavailable)] == [
        "program_changed",
        "container_error",
        "container_error",
    ]


def test_a_resident_that_is_gone_fails_what_waits_and_what_comes() -> None:
    async def body() -> list[str]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line = ContainerLine.open(ours, "/h/shared", "/h/agents/a")
        waiting = asyncio.ensure_future(line.clear())
        await asyncio.sleep(0)
        theirs.close()
        codes = []
        for each in (waiting, line.clear()):
            with pytest.raises(Unavailable) as refused:
                await asyncio.wait_for(each, 5)
            codes.append(refused.value.code)
        return codes

    before = len(os.listdir("/proc/self/fd"))
    assert asyncio.run(body()) == ["container_gone"] * 2
    assert len(os.listdir("/proc/self/fd")) <= before
