"""Bounds of the proxy: sizes, times, rates and ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.egress.proxying import GOOD, HASTY, House, connect, house, tls_rules
from tests.egress.world import listening, naming


async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def tunnel_of(home: House, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await home.connect()
    writer.write(connect(f"a.test:{port}"))
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def closing(home: House) -> str:
    """The code of the last closed entry, once it is written."""
    async with asyncio.timeout(10):
        while "closed" not in home.ledger.kinds:
            await asyncio.sleep(0.01)
    return home.ledger.entries[-1][1].code


def test_sizes_are_bounds_in_both_directions() -> None:
    async def down() -> str:
        async with listening(flood) as server, house(patience=HASTY) as home:
            home.rules = replace(naming(server.port, "a.test"), max_response_bytes=100_000)
            reader, writer = await tunnel_of(home, server.port)
            with suppress(ConnectionError):
                assert len(await reader.read()) <= 100_000
            writer.close()
            return await closing(home)

    async def up() -> str:
        async with listening() as server, house(patience=HASTY) as home:
            home.rules = replace(naming(server.port, "a.test"), max_request_bytes=10)
            _, writer = await tunnel_of(home, server.port)
            writer.write(b"x" * 11)
            code = await closing(home)
            writer.close()
            asked = f"GET http://a.test:{server.port}/ HTTP/1.1\r\nContent-Length: 11\r\n\r\n".encode()
            assert b"egress_size" in await home.say(asked)
            return code

    assert asyncio.run(down()) == "egress_size"
    assert asyncio.run(up()) == "egress_size"


def test_the_slow_and_the_silent_are_let_go() -> None:
    async def scene() -> None:
        async with listening() as server, listening(flood) as flooding, house(patience=HASTY) as home:
            home.rules = naming(flooding.port, "a.test", rules=naming(server.port, "a.test"))
            assert b"request_slow" in await home.say(b"GET http://a.te")
            assert b"request_slow" in await home.say()
            assert server.connections == 0
            idle = await tunnel_of(home, server.port)
            assert await closing(home) == "egress_idle"
            idle[1].close()
            home.ledger.entries.clear()
            unread = await tunnel_of(home, flooding.port)  # the box never reads what it asked for
            assert await closing(home) == "egress_idle"
            unread[1].close()
            assert home.shared is not None
            assert home.shared.meter.open == 0

    asyncio.run(scene())


@pytest.mark.usefixtures("loopback_is_public")
def test_a_hello_that_never_comes_is_not_waited_for() -> None:
    async def scene() -> None:
        async with listening() as server, house(tls_rules(server.port), HASTY) as home:
            assert b"200" in await home.say(connect(f"a.test:{server.port}"), GOOD[:20], tunnel=True)
            assert server.connections == 0
            assert home.ledger.codes == ["request_slow"]

    asyncio.run(scene())


def test_a_head_without_end_is_refused() -> None:
    async def scene() -> None:
        async with house() as home:
            endless = b"GET http://a.test/ HTTP/1.1\r\n" + b"X: " + b"x" * 40_000
            await home.say(endless)
            assert home.ledger.codes == ["request_form"]

    asyncio.run(scene())


def test_rates_and_numbers() -> None:
    async def scene() -> None:
        async with listening() as server, house() as home:
            home.rules = replace(naming(server.port, "a.test"), connections=1, requests_per_minute=2)
            _, first = await tunnel_of(home, server.port)
            reader, second = await home.connect()
            second.write(connect(f"a.test:{server.port}"))
            assert b"egress_busy" in await reader.read()
            second.close()
            assert home.proxy is not None
            second, third = (await home.connect())[1], (await home.connect())[1]
            await asyncio.sleep(0.02)
            assert home.proxy.talking == 2  # nobody even listens to a third
            for writer in (first, second, third):
                writer.close()
            await home.settled()
            await home.say(connect("a.test:1"))
            assert b"egress_rate" in await home.say(connect(f"a.test:{server.port}"))
            assert server.connections == 1

    asyncio.run(scene())


def test_nothing_is_connected_that_cannot_be_written_down() -> None:
    async def scene() -> None:
        async with listening() as server, house() as home:
            home.rules = naming(server.port, "a.test")
            home.ledger.full = True
            assert b"ledger_full" in await home.say(connect(f"a.test:{server.port}"))
            assert server.connections == 0

    asyncio.run(scene())


def test_closing_cuts_every_tunnel_and_writes_it_down() -> None:
    async def scene() -> None:
        async with listening() as server, house() as home:
            home.rules = naming(server.port, "a.test")
            reader, writer = await tunnel_of(home, server.port)
            assert home.proxy is not None
            await home.proxy.close()
            with pytest.raises(ConnectionError):
                await home.connect()
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert home.ledger.codes == ["ok", "cancelled"]
            assert home.proxy.talking == 0

    asyncio.run(scene())
