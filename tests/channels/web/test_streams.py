"""Streams: life signs, ends, and what becomes of their sources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.channels.web.streams import EVENTS, Seats, Stream, beating, event
from bascule.core.errors import Unavailable


class Source:
    def __init__(self, *items: Any, then: str = "end") -> None:
        self.items = items
        self.then = then
        self.tasks: set[Any] = set()
        self.ended = 0
        self.given = 0

    async def __call__(self) -> AsyncIterator[Any]:
        try:
            for item in self.items:
                self.tasks.add(asyncio.current_task())
                self.given += 1
                yield item
                await asyncio.sleep(0)
            if self.then == "hang":
                async with asyncio.timeout(3600):
                    await asyncio.Event().wait()
            if self.then == "break":
                raise ZeroDivisionError("x")
        finally:
            self.tasks.add(asyncio.current_task())
            self.ended += 1


def test_items_pass_in_order_and_one_task_runs_the_source() -> None:
    source = Source(1, 2, 3)

    async def run() -> list[Any]:
        return [item async for item in beating(source(), 10)]

    assert asyncio.run(run()) == [1, 2, 3]
    assert (source.ended, len(source.tasks)) == (1, 1)


def test_silence_is_told_and_an_error_raised_in_its_place() -> None:
    async def run() -> list[Any]:
        found = []
        async with aclosing(beating(Source(1, then="hang")(), 0.01)) as items:
            async for item in items:
                found.append(item)
                if found.count(None) == 2:
                    break
        broken = beating(Source(7, then="break")(), 10)
        found.append(await anext(broken))
        with pytest.raises(ZeroDivisionError):
            await anext(broken)
        return found

    assert asyncio.run(run()) == [1, None, None, 7]


@pytest.mark.parametrize("how", ["close", "cancel", "ending"])
def test_the_source_ends_with_its_reader(how: str) -> None:
    source, ending = Source(1, then="hang"), asyncio.Event()

    async def run() -> int:
        stream = beating(source(), 10, ending)
        assert await anext(stream) == 1
        if how == "close":
            await stream.aclose()
        elif how == "ending":
            ending.set()
            assert [item async for item in stream] == []
        else:
            reading: asyncio.Future[Any] = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return source.ended

    assert asyncio.run(run()) == 1


def test_a_slow_reader_holds_the_source_back() -> None:
    source = Source(*range(1000))

    async def run() -> int:
        async with aclosing(beating(source(), 10)) as items:
            await anext(items)
            await asyncio.sleep(0.02)
            return source.given

    assert asyncio.run(run()) < 30


@pytest.mark.parametrize("begun", [True, False])
def test_what_a_stream_holds_is_given_back_however_it_ends(begun: bool) -> None:
    given: list[str] = []

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            yield b"x"
            await asyncio.Event().wait()
        finally:
            given.append("body")

    async def run() -> None:
        held = AsyncExitStack()
        held.callback(given.append, "seat")
        stream = Stream(body(), held, EVENTS)

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if not begun:
                raise OSError("gone")

        with nullcontext() if begun else pytest.raises(BaseException):
            await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)

    asyncio.run(run())
    assert given[-1] == "seat"
    assert given.count("seat") == 1


def test_seats_are_few_and_come_back_once() -> None:
    seats = Seats(each=2, together=3)
    leave = seats.take("a")
    seats.take("a")
    with pytest.raises(Unavailable) as full:
        seats.take("a")
    assert full.value.code == "streams_full"
    seats.take("b")
    with pytest.raises(Unavailable):
        seats.take("c")
    leave()
    leave()
    seats.take("c")
    assert seats.taken == {"a": 1, "b": 1, "c": 1}


@given(st.text(max_size=50), st.integers(0, 9))
def test_no_text_can_end_an_event_or_begin_a_field(text: str, number: int) -> None:
    lines = event(text, name="record", number=number).decode().split("\n")
    assert lines[:2] == [f"id: {number}", "event: record"]
    assert lines[-2:] == ["", ""]
    assert all(line.startswith("data: ") for line in lines[2:-2])
    assert "\r" not in "".join(lines)
