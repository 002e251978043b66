"""The stream of records: order, resumption, filters, ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from tests.channels.over_http import ALL, ask, body, events, served
from tests.channels.simulated_channel import AGENTS, SimulatedChannel, SimulatedDoors

from bascule.channels.web.site import Pace

PATH = "/api/v1/events"
QUICK = Pace(heartbeat=0.05)


async def read(asked: httpx2.AsyncClient, count: int, path: str = PATH, **headers: str) -> list[dict[str, Any]]:
    """Return so many events; comments are passed over."""
    found: list[dict[str, Any]] = []
    async with asked.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for event in events(answer):
            if "data" in event:
                found.append(event)
            if len(found) == count:
                break
    return found


def test_records_come_as_they_are_written_and_a_reader_goes_on_where_it_was() -> None:
    async def run() -> tuple[list[int], list[int], list[int]]:
        channel = SimulatedChannel()
        async with served(channel) as (port, _), ask(port) as asked:
            reading = asyncio.ensure_future(read(asked, 3))
            while not channel.followers:
                await asyncio.sleep(0.01)
            for number in range(5):
                channel.record("asked", AGENTS[number % 3])
            live = await reading
            missed = await read(asked, 2, **{"last-event-id": live[-1]["id"]})
            from_start = await read(asked, 8, f"{PATH}?after=0")
            assert [event["event"] for event in live] == ["record"] * 3
            assert all(body(event)["seq"] == int(event["id"]) for event in live + missed)
            return tuple([int(event["id"]) for event in part] for part in (live, missed, from_start))  # type: ignore[return-value] # three of three

    assert asyncio.run(run()) == ([4, 5, 6], [7, 8], [1, 2, 3, 4, 5, 6, 7, 8])


def test_a_broken_connection_loses_and_repeats_nothing() -> None:
    async def run() -> list[int]:
        channel = SimulatedChannel()
        seen: list[int] = []
        async with served(channel) as (port, _), ask(port) as asked:
            for turn in range(6):
                for _ in range(turn):
                    channel.record("decided", "bruba-main")
                last = {"last-event-id": str(seen[-1] if seen else 0)}
                seen += [int(event["id"]) for event in await read(asked, 2, **last)]
            while channel.followers:
                await asyncio.sleep(0.01)
        return seen

    assert asyncio.run(run()) == list(range(1, 13))


def test_only_the_own_agents_are_heard_of() -> None:
    async def run() -> list[str]:
        channel = SimulatedChannel()
        async with served(channel) as (port, _), ask(port, f"{ALL}.web") as asked:
            for number in range(9):
                channel.record("decided", AGENTS[number % 3])
            return [body(event)["agent"] for event in await read(asked, 4, f"{PATH}?after=0")]

    assert asyncio.run(run()) == ["bruba-web"] * 4


def test_silence_has_signs_of_life() -> None:
    async def run() -> list[dict[str, Any]]:
        found = []
        async with served(pace=QUICK) as (port, _), ask(port) as asked, asked.stream("GET", PATH) as answer:
            async for event in events(answer):
                found.append(event)
                if len(found) == 3:
                    break
        return found

    first, *rest = asyncio.run(run())
    assert first == {"retry": "2000"}
    assert [set(event) for event in rest] == [{"comment"}] * 2


@pytest.mark.parametrize("busy", [True, False])
def test_a_token_that_ends_ends_its_streams(busy: bool) -> None:
    async def run() -> int:
        channel, doors = SimulatedChannel(), SimulatedDoors()
        async with served(channel, doors=doors, pace=QUICK) as (port, _), ask(port) as asked:

            async def follow() -> int:
                count = 0
                async with asked.stream("GET", PATH) as answer:
                    async for event in events(answer):
                        count += "data" in event
                return count

            reading = asyncio.ensure_future(follow())
            while not channel.followers:
                await asyncio.sleep(0.01)
            del doors.tokens[ALL]
            async with asyncio.timeout(10):
                while not reading.done():
                    if busy:
                        channel.record("decided", "bruba-main")
                    await asyncio.sleep(0.01)
            while channel.followers:
                await asyncio.sleep(0.01)
            return await reading

    assert (asyncio.run(run()) > 0) == busy


def test_streams_have_a_number_and_come_back() -> None:
    async def run() -> tuple[int, str, int]:
        channel = SimulatedChannel()
        async with served(channel) as (port, made), ask(port) as asked:
            each = made.site.streams.each
            reading = [asyncio.ensure_future(read(asked, 99)) for _ in range(each)]
            while channel.followers < each:
                await asyncio.sleep(0.01)
            full = await asked.get(PATH)
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            while made.site.streams.taken:
                await asyncio.sleep(0.01)
            channel.record("decided", "bruba-main")
            again = await read(asked, 1, f"{PATH}?after=3")
            return full.status_code, full.json()["error"]["code"], len(again)

    assert asyncio.run(run()) == (503, "streams_full", 1)


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, str(2**53), "1\t2", ""])
def test_a_number_that_is_none(last: str) -> None:
    async def run() -> int:
        async with served() as (port, _), ask(port) as asked:
            return (await asked.get(PATH, headers={"last-event-id": last})).status_code

    assert asyncio.run(run()) == 400


@pytest.mark.parametrize(("token", "status"), [("", 401), ("nope", 401), ("tok-chat", 403), ("tok-approve", 403)])
def test_who_may_not_read_gets_no_stream(token: str, status: int) -> None:
    async def run() -> int:
        async with served() as (port, _), ask(port, token) as asked:
            return (await asked.get(PATH)).status_code

    assert asyncio.run(run()) == status


def test_a_reader_that_goes_away_is_not_followed_for() -> None:
    async def run() -> int:
        channel = SimulatedChannel()
        async with served(channel) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            sent = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {ALL}\r\n\r\n"
            writer.write(sent.encode())
            await reader.readuntil(b"retry")
            while not channel.followers:
                await asyncio.sleep(0.01)
            writer.transport.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    while channel.followers:
                        await asyncio.sleep(0.01)
            return channel.followers

    assert asyncio.run(run()) == 0
