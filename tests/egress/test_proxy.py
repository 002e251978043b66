"""The proxy at its socket, as a box would speak to it: who is connected to is counted."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.egress.certificates import server_context, trusting
from tests.egress.hellos import ECH, extension, hello, records, sni
from tests.egress.proxying import GOOD, connect, house, listener, tls_rules
from tests.egress.ssrf import INSIDE_4, INSIDE_6, hosts
from tests.egress.world import listening, naming, page, saying

from bascule.core.errors import Unavailable
from bascule.core.reach import EgressPolicy, HostRule, Names
from bascule.egress import proxy
from bascule.egress.client import Ways


def test_a_plain_request_and_its_record() -> None:
    async def scene() -> None:
        async with listening(saying(page(b"hello"))) as server, house() as home:
            home.rules = naming(server.port, "a.test")
            answer = await home.say(f"GET http://a.test:{server.port}/x HTTP/1.1\r\n\r\n".encode())
            assert answer == page(b"hello")
            (_, opened), (_, closed) = home.ledger.entries
            assert (opened.via, opened.method, opened.target) == ("proxy", "GET", f"http://a.test:{server.port}/x")
            assert (closed.code, closed.received, closed.address) == ("ok", len(answer), "127.0.0.1")
            assert closed.sent > 0

    asyncio.run(scene())


def test_a_body_is_passed_on_and_not_a_byte_more() -> None:
    heard: list[bytes] = []

    async def all_of_it(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(6))
        writer.write(page())
        await writer.drain()
        writer.close()
        heard.append(await reader.read())

    async def scene() -> None:
        async with listening(all_of_it) as server, house() as home:
            home.rules = replace(naming(server.port, "a.test"), methods=frozenset({"POST"}))
            head = f"POST http://a.test:{server.port}/ HTTP/1.1\r\nContent-Length: 6\r\n\r\n".encode()
            smuggled = f"GET http://a.test:{server.port}/evil HTTP/1.1\r\n\r\n".encode()
            reader, writer = await home.connect()
            writer.write(head + b"abc")
            while not server.connections:
                await asyncio.sleep(0.005)
            writer.write(b"def" + smuggled)
            assert await reader.read() == page()
            writer.close()
            assert heard[0].endswith(b"\r\n\r\nabcdef")
            assert heard[1:] in ([b""], [])
            assert b"request_form" in await home.say(head + b"abcdef" + smuggled)
            assert server.connections == 1
            assert home.ledger.kinds == ["opened", "closed", "refused"]

    asyncio.run(scene())


def test_the_listener_is_there_to_be_reached() -> None:
    """The positive control: a relay without the wall takes a box anywhere."""

    async def naive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        host, _, port = line.rpartition(":")
        (_, inner) = await asyncio.open_connection(host.strip("[]"), int(port))
        inner.close()

    async def scene() -> int:
        async with listening() as inside, listening(naive) as relay:
            for place in ("127.0.0.1", "localhost", "127.1"):
                reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
                writer.write(connect(f"{place}:{inside.port}"))
                await reader.read()
                writer.close()
            return inside.connections

    assert asyncio.run(scene()) == 3


def test_no_notation_and_no_answer_reaches_a_listener() -> None:
    async def scene() -> None:
        async with listening() as four, listening(host="::1") as six, house() as home:
            for host in hosts():
                for asked in (connect(f"{host}:{four.port}"), connect(f"{host}:{six.port}")):
                    answer = await home.say(asked)
                    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 ")), host
            for host in INSIDE_4[::4]:
                asked = f"GET http://{host}:{four.port}/ HTTP/1.1\r\n\r\n".encode()
                assert b"host_literal" in await home.say(asked)
            for address in [*INSIDE_4, *INSIDE_6]:
                home.resolver.table["evil.test"] = [["93.184.216.34", address]]
                assert b"address_refused" in await home.say(connect(f"evil.test:{four.port}"))
            assert (four.connections, six.connections) == (0, 0)
            assert set(home.ledger.kinds) == {"refused"}

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("b.test:443", b"host_not_listed"),
        ("a.test:22", b"host_not_listed"),
        ("a.test:80", b"tunnel_plain"),
        ("a.test.evil.test:443", b"host_not_listed"),
        ("nobody.test:443", b"host_unresolved"),
    ],
)
def test_what_no_rule_names_is_refused_before_it_is_looked_up(place: str, code: bytes) -> None:
    async def scene() -> None:
        listed = EgressPolicy(
            allow=(HostRule("a.test", Names.EXACT, "a.test"), HostRule("n", Names.EXACT, "nobody.test"))
        )
        async with house(listed) as home:
            assert code in await home.say(connect(place))
            assert home.resolver.asked == (["nobody.test."] if code == b"host_unresolved" else [])
            assert home.ledger.codes == [code.decode()]

    asyncio.run(scene())


async def tls_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())


@pytest.mark.usefixtures("loopback_is_public")
def test_a_tls_tunnel_carries_to_the_host_it_names() -> None:
    async def scene() -> None:
        async with listening(tls_echo, ssl=server_context("a.test")) as server, house(tls_rules(server.port)) as home:
            reader, writer = await home.connect()
            writer.write(connect(f"a.test:{server.port}"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await writer.start_tls(trusting("a.test"), server_hostname="a.test")
            writer.write(b"through\n")
            assert await reader.readline() == b"through\n"
            writer.close()
            await home.settled()
            assert home.ledger.kinds == ["opened", "closed"]

    asyncio.run(scene())


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize(
    ("first", "code"),
    [
        (records(hello(sni("b.test"))), "tls_other_name"),
        (records(hello(sni("a.test."))), "tls_other_name"),
        (records(hello(sni("127.0.0.1"))), "tls_other_name"),
        (records(hello(extension(10, b""))), "tls_no_name"),
        (records(hello(sni("a.test"), extension(ECH, b"x"))), "tls_no_name"),
        (records(hello(sni("a.test"), sni("b.test"))), "tls_hello"),
        (b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n", "tls_hello"),
        (b"\x16\x03\x01\xff\xff", "tls_hello"),
        (b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + b"x" * 200_000, "tls_hello"),
        (GOOD[:-1], "tls_hello"),
        (b"", "tls_hello"),
    ],
)
def test_a_tunnel_whose_first_message_is_for_another_reaches_nobody(first: bytes, code: str) -> None:
    async def scene() -> None:
        async with listening() as server, house(tls_rules(server.port)) as home:
            answer = await home.say(connect(f"a.test:{server.port}"), first, end=True, tunnel=True)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert server.connections == 0
            assert home.ledger.kinds == ["refused"]
            assert home.ledger.codes == [code]

    asyncio.run(scene())


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_hello_in_pieces_is_put_through_unchanged(size: int) -> None:
    heard: list[bytes] = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.write(b"bye")

    async def scene() -> None:
        whole = records(hello(sni("A.Test")), size)
        async with listening(noting) as server, house(tls_rules(server.port)) as home:
            answer = await home.say(
                connect(f"a.test:{server.port}"), *(bytes([byte]) for byte in whole), end=True, tunnel=True
            )
            assert heard == [whole]
            assert answer.endswith(b"bye")
            assert home.ledger.entries[-1][1].sent == len(whole)

    asyncio.run(scene())


def test_what_is_pipelined_behind_a_connect_is_refused() -> None:
    async def scene() -> None:
        async with listening() as server, house() as home:
            home.rules = naming(server.port, "a.test")
            for behind in (GOOD, connect(f"a.test:{server.port}"), b"x"):
                assert b"request_form" in await home.say(connect(f"a.test:{server.port}", behind))
            assert server.connections == 0

    asyncio.run(scene())


def test_one_sides_end_is_passed_on_and_the_other_still_speaks() -> None:
    async def after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.read())

    async def scene() -> None:
        async with listening(after_the_end) as server, house() as home:
            home.rules = naming(server.port, "a.test")
            reader, writer = await home.connect()
            writer.write(connect(f"a.test:{server.port}"))
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"words")
            writer.write_eof()
            assert await reader.read() == b"heard words"
            writer.close()
            await home.settled()
            assert home.ledger.codes == ["ok", "ok"]
            assert home.shared is not None
            assert home.shared.meter.open == 0

    asyncio.run(scene())


def test_what_one_box_had_open_ends_with_it_and_another_box_goes_on() -> None:
    async def scene() -> None:
        async with listening() as server, house() as home:
            home.rules = naming(server.port, "a.test")
            assert home.proxy is not None
            other, descriptor = listener()
            end = home.proxy.attend(descriptor)
            asked = connect(f"a.test:{server.port}")
            first, second = await home.connect(), await asyncio.open_connection("127.0.0.1", other)
            for reader, writer in (first, second):
                writer.write(asked)
                assert b"200" in await reader.readuntil(b"\r\n\r\n")
            end()
            end()
            with suppress(ConnectionError):
                assert await second[0].read() == b""
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", other)
            assert home.proxy.talking == 1
            assert server.connections == 2
            for _, writer in (first, second):
                writer.close()
            await home.settled()
            assert b"200" in (await home.say(asked, end=True))[:20]

    asyncio.run(scene())


def test_whoever_has_no_rules_at_the_moment_is_not_spoken_with() -> None:
    async def scene() -> None:
        async with listening() as server, house() as home:
            home.rules = naming(server.port, "a.test")
            assert home.proxy is not None

            def none() -> Ways:
                raise Unavailable("proxy_missing", "contained")

            home.proxy._ways = none
            assert await home.say(connect(f"a.test:{server.port}")) == b""
            assert (server.connections, home.ledger.entries) == (0, [])

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["not listening", "unix", "file"])
def test_what_is_no_listening_socket_is_refused_and_closed(kind: str) -> None:
    async def scene() -> None:
        async with house() as home:
            assert home.proxy is not None
            if kind == "file":
                descriptor = os.open("/dev/null", os.O_RDONLY)
            else:
                family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
                descriptor = socket.socket(family, socket.SOCK_STREAM).detach()
            with pytest.raises(Unavailable) as refused:
                home.proxy.attend(descriptor)
            assert refused.value.code == "proxy_socket"
            with pytest.raises(OSError):
                os.fstat(descriptor)

    asyncio.run(scene())


def test_a_loop_of_connections_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "PACE_SECONDS", 60.0)

    async def scene() -> None:
        async with house() as home:
            assert home.proxy is not None
            crowd = [await home.connect() for _ in range(5)]
            async with asyncio.timeout(10):
                while not home.proxy.talking:
                    await asyncio.sleep(0.005)
            for _ in range(20):
                await asyncio.sleep(0)
            assert home.proxy.talking == 1
            for _, writer in crowd:
                writer.close()
            await home.settled()

    asyncio.run(scene())
