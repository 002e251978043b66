"""Streams to a reader over HTTP: events as they come, a sign of life when none does, and an end when it must.

Stops: a stream that outlives its reader, its right to read, or the server; and events piling up for a reader that does
not read. Does not stop a reader from being late: what it missed it asks for by sequence number.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from bascule.core.errors import Unavailable

T = TypeVar("T")

QUEUED: Final = 16
"""Events taken ahead of a slow reader."""

BEAT: Final = b": still here\n\n"
"""A comment, which readers of event streams ignore (WHATWG HTML, section 9.2.6)."""


STREAM_HEADERS: Final = {"X-Accel-Buffering": "no"}
"""Proxies that gather an answer before they hand it on are asked not to (nginx's own header)."""

EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


async def beating(
    source: AsyncIterator[T], seconds: float, ending: asyncio.Event | None = None
) -> AsyncGenerator[T | None, None]:
    """Yield what a source yields, and None whenever nothing came for a while; end it when the reader goes.

    The source runs in one task from its beginning to its end, as an asynchronous generator that holds timeouts or task
    groups needs; cancelling that task is how it learns that nobody listens any more.

    Args:
        source: what to read.
        seconds: longest silence.
        ending: ends the stream when set.

    Raises:
        BaseException: whatever the source raises.
    """
    queue: asyncio.Queue[T | _End] = asyncio.Queue(QUEUED)
    pump = asyncio.ensure_future(_pump(source, queue))
    stop = asyncio.ensure_future((ending if ending is not None else asyncio.Event()).wait())
    getting = asyncio.ensure_future(queue.get())
    try:
        while True:
            waiting: set[asyncio.Future[Any]] = {getting, stop}
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                if stop.done():
                    return
                yield None
                continue
            found = getting.result()
            if isinstance(found, _End):
                if found.error is not None:
                    raise found.error
                return
            getting = asyncio.ensure_future(queue.get())
            yield found
    finally:
        await _cancel(pump, stop, getting)


async def _pump(source: AsyncIterator[T], queue: asyncio.Queue[T | _End]) -> None:
    try:
        async for item in source:
            await queue.put(item)
    except Exception as error:  # noqa: BLE001 -- handed on to the reader, who raises it
        await queue.put(_End(error))
    else:
        await queue.put(_End())
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


class Stream(StreamingResponse):
    """An answer that goes on; what it holds is given back however it ends, even if it never began.

    Args:
        body: what to send.
        held: closed at the end.
        media_type: of the body.
    """

    def __init__(self, body: AsyncGenerator[bytes, None], held: AsyncExitStack, media_type: str) -> None:
        super().__init__(body, media_type=media_type, headers=STREAM_HEADERS)
        self._body = body
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, until it ends or nobody is there."""
        async with self._held:
            self._held.push_async_callback(self._body.aclose)
            await super().__call__(scope, receive, send)


@dataclass(slots=True)
class Seats:
    """A bounded number of streams, for each name and for all."""

    each: int
    together: int
    taken: dict[str, int] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Return if there is one to take.

        Raises:
            Unavailable: ``streams_full``.
        """
        if self.taken.get(name, 0) >= self.each or sum(self.taken.values()) >= self.together:
            raise Unavailable("streams_full", "too many streams are open", "close one, or wait")

    def take(self, name: str) -> Callable[[], None]:
        """Take one and return how to give it back, once.

        Raises:
            Unavailable: ``streams_full``.
        """
        self.check(name)
        self.taken[name] = self.taken.get(name, 0) + 1
        given = False

        def give() -> None:
            nonlocal given
            if not given:
                given = True
                self.taken[name] -= 1
                if not self.taken[name]:
                    del self.taken[name]

        return give


def event(data: str, *, name: str = "", number: int | None = None) -> bytes:
    """Return one server-sent event; a line break in the data begins another data line, so it can end nothing early."""
    head = (f"id: {number}\n" if number is not None else "") + (f"event: {name}\n" if name else "")
    body = "".join(f"data: {line}\n" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return f"{head}{body}\n".encode()
