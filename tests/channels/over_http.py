"""Applications over HTTP: as a client in the same loop, or served on a real socket of this machine."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx2
from tests.channels.simulated_channel import SimulatedChannel, SimulatedDoors, simulated_policy

from bascule.channels.api.routes import add
from bascule.channels.web.serving import Listener, serve
from bascule.channels.web.site import Built, Pace, Part, build
from bascule.core.surfaces import HttpPolicy

ALL = "tok-read-approve-chat-admin"
BASE = "http://127.0.0.1:18789"


def built(
    channel: SimulatedChannel | None = None,
    doors: SimulatedDoors | None = None,
    http: HttpPolicy | None = None,
    parts: Iterable[Part] = (add,),
    pace: Pace | None = None,
) -> Built:
    held = SimulatedChannel() if channel is None else channel
    rest = () if pace is None else (pace,)
    return build(held, SimulatedDoors() if doors is None else doors, simulated_policy(http), parts, *rest)


@asynccontextmanager
async def client(made: Built, token: str = ALL, **more: Any) -> AsyncIterator[httpx2.AsyncClient]:
    headers = ({"authorization": f"Bearer {token}"} if token else {}) | more.pop("headers", {})
    transport = httpx2.ASGITransport(made.app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers, **more) as found:
        yield found


@asynccontextmanager
async def served(
    channel: SimulatedChannel | None = None, http: HttpPolicy | None = None, **more: Any
) -> AsyncIterator[tuple[int, Built]]:
    """Serve on a port that was free, and yield it."""
    found = socket.create_server(("127.0.0.1", 0))
    found.setblocking(False)
    listener, port = Listener((found,)), found.getsockname()[1]
    made = built(channel, http=replace(HttpPolicy() if http is None else http, port=port), **more)
    task = asyncio.ensure_future(serve(made, listener))
    try:
        yield port, made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def ask(port: int, token: str = ALL) -> httpx2.AsyncClient:
    """A client with a real connection."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, verify=False)


async def raw(port: int, sent: bytes, *, until_closed: bool = True) -> bytes:
    """Send bytes and return what comes back until the other end hangs up, or the first piece of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        async with asyncio.timeout(20):
            return await (reader.read() if until_closed else reader.read(1 << 16))
    finally:
        writer.close()


async def events(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield server-sent events as dictionaries of their fields; comments as ``{"comment": …}``."""
    found: dict[str, Any] = {}
    async for line in response.aiter_lines():
        if not line:
            if found:
                yield found
            found = {}
        elif line.startswith(":"):
            found["comment"] = line[1:].strip()
        else:
            name, _, value = line.partition(": ")
            found[name] = f"{found[name]}\n{value}" if name in found else value


def body(event: dict[str, Any]) -> Any:
    return json.loads(event["data"])
