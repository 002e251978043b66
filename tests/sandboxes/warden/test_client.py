"""The gateway's end of the warden's socket: nobody waits for ever, and nothing runs that nobody waits for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bascule.core.confinement import Limits
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.sandboxes.warden.client import WardenClient
from bascule.sandboxes.warden.messages import StartWorker

START = StartWorker(0, AgentId("one"), False, (), Limits(1 << 20, 8, 5, 5, 1 << 10, 1 << 10))


class Warden:
    """The other end, in the test's own hand."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.setblocking(False)

    async def heard(self) -> dict[str, Any]:
        found = json.loads(await asyncio.get_running_loop().sock_recv(self._end, 1 << 16))
        assert isinstance(found, dict)
        return found

    async def says(self, **body: object) -> None:
        await asyncio.get_running_loop().sock_sendall(self._end, json.dumps(body).encode())


def scene(body: Callable[[WardenClient, Warden], Awaitable[None]]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            client = WardenClient.attach(ours)
            try:
                await asyncio.wait_for(body(client, Warden(theirs)), 20)
            finally:
                client.close()

    asyncio.run(main())


async def came_up(warden: Warden, asked: dict[str, Any]) -> None:
    await warden.says(id=asked["id"], ok=True, box=7, memory_limit=0, pids_limit=0)


def test_a_box_that_is_waited_for_runs_until_it_ends() -> None:
    async def body(client: WardenClient, warden: Warden) -> None:
        asking = asyncio.ensure_future(client.start(START, 0))
        await came_up(warden, await warden.heard())
        box = await asking
        assert (box.number, client.runs(7)) == (7, True)
        await warden.says(event="exit", box=7, exit=3, problem="", timed_out=False)
        assert (await box.exit).status == 3

    scene(body)


def test_a_box_that_nobody_waits_for_any_longer_is_killed_when_it_comes_up() -> None:
    async def body(client: WardenClient, warden: Warden) -> None:
        asking = asyncio.ensure_future(client.start(START, 0))
        asked = await warden.heard()
        asking.cancel()
        await asyncio.wait((asking,))
        await came_up(warden, asked)
        killing = await asyncio.wait_for(warden.heard(), 5)
        assert (killing["op"], killing["box"]) == ("kill", 7)
        await warden.says(id=killing["id"], ok=True)
        await warden.says(event="exit", box=7, exit=137, problem="", timed_out=False)
        while client.runs(7):
            await asyncio.sleep(0.01)

    scene(body)


def test_a_warden_that_goes_leaves_nobody_waiting() -> None:
    async def body(client: WardenClient, warden: Warden) -> None:
        asking = asyncio.ensure_future(client.start(START, 0))
        await warden.heard()
        warden._end.close()
        with pytest.raises(Unavailable) as gone:
            await asking
        assert (gone.value.code, client.alive) == ("warden_gone", False)

    scene(body)
