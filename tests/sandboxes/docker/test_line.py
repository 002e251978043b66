"""A resident that says anything but what it may ends its container, and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bascule.core.confinement import Limits
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.core.plan import ProgramKind
from bascule.sandboxes.docker.line import ContainerLine
from bascule.sandboxes.warden.client import RunningBox
from bascule.sandboxes.warden.messages import RunProgram

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
                return await asyncio.wait_for(asking, 60)
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
        waiting = asyncio.ensure_future(line.clear([]))
        await asyncio.sleep(0)
        theirs.close()
        codes = []
        for each in (waiting, line.clear([])):
            with pytest.raises(Unavailable) as refused:
                await asyncio.wait_for(each, 60)
            codes.append(refused.value.code)
        return codes

    before = len(os.listdir("/proc/self/fd"))
    assert asyncio.run(body()) == ["container_gone"] * 2
    assert len(os.listdir("/proc/self/fd")) <= before


# -- a program that was asked for, and a resident that says what it likes about it

RUN = RunProgram(
    0, AgentId("a"), ("x",), "/usr/bin/x", "0" * 64, ProgramKind.NATIVE, "", (), False, (), Limits(1, 1, 1, 1, 1, 1)
)


def started(
    tell: Callable[[ContainerLine, socket.socket, RunningBox], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Have a program come up as box 1, then ``tell``."""
    monkeypatch.setattr("bascule.sandboxes.docker.line._EXIT_SECONDS", 0.5)
    monkeypatch.setattr("bascule.sandboxes.warden.client._ANSWER_SECONDS", 2.0)

    async def body() -> Any:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = ContainerLine.open(ours, "/h/shared", "/h/agents/a")
            theirs.settimeout(0)
            running = asyncio.ensure_future(line.run(RUN, []))
            number = json.loads(await asyncio.get_running_loop().sock_recv(theirs, 1 << 18))["id"]
            theirs.send(json.dumps({"id": number, "ok": True, "box": 1}).encode())
            try:
                return await asyncio.wait_for(tell(line, theirs, await running), 20)
            finally:
                line.close()

    return asyncio.run(body())


def test_an_exit_that_never_comes_ends_the_container_and_not_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(line: ContainerLine, theirs: socket.socket, box: RunningBox) -> tuple[str, bool]:
        killing = asyncio.ensure_future(line.kill(box.number))
        order = json.loads(await asyncio.get_running_loop().sock_recv(theirs, 1 << 18))
        with contextlib.suppress(BrokenPipeError):  # on a very busy machine it was given up before it could answer
            theirs.send(json.dumps({"id": order["id"], "ok": True}).encode())
        with contextlib.suppress(Unavailable):
            await killing
        return (await box.exit).problem, line.alive

    assert started(tell, monkeypatch) == ("container_gone", False)


def test_an_answer_that_never_comes_ends_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(line: ContainerLine, _theirs: socket.socket, box: RunningBox) -> tuple[str, str, bool]:
        with pytest.raises(Unavailable) as refused:
            await line.clear([])
        return refused.value.code, (await box.exit).problem, line.alive

    assert started(tell, monkeypatch) == ("container_silent", "container_gone", False)


@pytest.mark.parametrize(
    "said",
    [
        {"event": "exit", "box": 2, "exit": 0, "problem": "", "timed_out": False},
        {"event": "exit", "box": 1, "exit": float("nan"), "problem": "", "timed_out": False},
        {"event": "exit", "box": 1, "exit": 1 << 70, "problem": "", "timed_out": False},
        {"id": 2, "ok": True, "box": 1},
        {"id": 2, "ok": True, "box": 7},
        {"id": 1, "ok": True, "box": 1},
    ],
)
def test_what_is_said_of_programs_nobody_asked_for_ends_the_container(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tell(line: ContainerLine, theirs: socket.socket, box: RunningBox) -> tuple[str, str, bool]:
        asking = asyncio.ensure_future(line.clear([]))
        await asyncio.get_running_loop().sock_recv(theirs, 1 << 18)
        theirs.send(json.dumps(said).encode())
        with pytest.raises(Unavailable) as refused:
            await asking
        return refused.value.code, (await box.exit).problem, line.alive

    assert started(tell, monkeypatch) == ("container_gone", "container_gone", False)


def test_a_second_program_under_the_first_ones_number_ends_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(line: ContainerLine, theirs: socket.socket, box: RunningBox) -> tuple[str, str]:
        second = asyncio.ensure_future(line.run(RUN, []))
        order = json.loads(await asyncio.get_running_loop().sock_recv(theirs, 1 << 18))
        theirs.send(json.dumps({"id": order["id"], "ok": True, "box": 1}).encode())
        with pytest.raises(Unavailable) as refused:
            await second
        return refused.value.code, (await box.exit).problem

    assert started(tell, monkeypatch) == ("container_gone", "container_gone")


def test_one_that_never_stops_talking_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps({"event": "exit", "box": 1, "exit": 0, "problem": "", "timed_out": False}).encode()

    async def tell(line: ContainerLine, theirs: socket.socket, _box: RunningBox) -> tuple[int, int]:
        taken = 0

        def take(_message: bytes) -> None:  # as if every word of it were fine
            nonlocal taken
            taken += 1
            with contextlib.suppress(BlockingIOError):
                theirs.send(said)

        monkeypatch.setattr(line, "take", take)
        theirs.send(said)
        turns = 0
        while taken < 1000:
            await asyncio.sleep(0)
            turns += 1
        return taken, turns

    taken, turns = started(tell, monkeypatch)
    assert turns >= taken // 64
