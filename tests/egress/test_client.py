"""The gateway's own client reaches what policy names, at a public address, and nothing else: connections are counted."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace

import httpx2
import pytest
from tests.egress.certificates import server_context, trusting
from tests.egress.ssrf import INSIDE_4, INSIDE_6, hosts
from tests.egress.world import AGENT, OPEN, Handler, Ledger, Resolver, listening, naming, page, saying, silent, ways

from bascule.core.errors import BasculeError, NotPermitted
from bascule.core.reach import EgressPolicy, HostRule, Names, PrivatePlace
from bascule.core.web import Fetched
from bascule.egress.client import MOST_HOPS, Client

LOOPBACK = {"a.test": [["127.0.0.1"]], "b.test": [["127.0.0.1"]], "localhost": [["127.0.0.1"]]}


async def fetch(
    url: str,
    rules: EgressPolicy = OPEN,
    resolver: Resolver | None = None,
    *,
    ledger: Ledger | None = None,
    trust: ssl.SSLContext | None = None,
    most: int = 1 << 20,
    seconds: float = 10.0,
    headers: dict[str, str] | None = None,
) -> Fetched:
    found = ways(rules, resolver or Resolver(LOOPBACK), connect_seconds=2.0)
    client = Client(lambda _agent: found, ledger or Ledger(), trust)
    return await client.get(AGENT, url, most=most, seconds=seconds, headers=headers)


async def refusal(url: str, *args: object, **options: object) -> str:
    with pytest.raises(BasculeError) as refused:
        await fetch(url, *args, **options)  # type: ignore[arg-type]
    return refused.value.code


def test_the_listener_is_there_to_be_reached() -> None:
    """The positive control: without the wall, a name, a redirect and several notations lead inside."""

    async def scene() -> int:
        async with listening(saying(page())) as inside:
            places = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "0177.0.0.1"]
            async with (
                listening(
                    saying(page(status="302 Found", headers=f"Location: http://127.0.0.1:{inside.port}/\r\n"))
                ) as door,
                httpx2.AsyncClient(follow_redirects=True, trust_env=False) as naive,
            ):
                for place in places:
                    host = socket.gethostbyname(place)  # what any lax client does with them
                    assert (await naive.get(f"http://{host}:{inside.port}/")).text == "hello"
                await naive.get(f"http://127.0.0.1:{door.port}/")
            return inside.connections

    assert asyncio.run(scene()) == 7


def test_no_notation_reaches_a_listener() -> None:
    async def scene() -> tuple[int, int, set[str]]:
        codes: set[str] = set()
        async with listening() as four, listening(host="::1") as six:
            for host in hosts():
                for port in (four.port, six.port):
                    codes.add(await refusal(f"http://{host}:{port}/"))
            return four.connections, six.connections, codes

    four, six, codes = asyncio.run(scene())
    assert (four, six) == (0, 0)
    assert codes == {"host_literal", "host_name", "url_form", "host_local", "host_port"}


def test_no_answer_of_a_resolver_reaches_a_listener() -> None:
    async def scene() -> int:
        async with listening() as inside:
            for address in [*INSIDE_4, *INSIDE_6]:
                for answers in ([address], ["93.184.216.34", address]):
                    resolver = Resolver({"evil.test": [answers]})
                    assert await refusal(f"http://evil.test:{inside.port}/", OPEN, resolver) == "address_refused"
                    assert len(resolver.asked) == 1
            return inside.connections

    assert asyncio.run(scene()) == 0


def test_an_answer_that_changes_is_not_asked_for_again() -> None:
    async def scene() -> int:
        async with listening(saying(page())) as inside:
            # 127.0.0.9 stands for a checked place where nobody listens; what the name means next is never used.
            resolver = Resolver({"evil.test": [["127.0.0.9"], ["127.0.0.1"]]})
            rules = naming(inside.port, "evil.test")
            assert await refusal(f"http://evil.test:{inside.port}/", rules, resolver) == "host_unreachable"
            assert resolver.asked == ["evil.test"]
            after_it_changed = await fetch(f"http://evil.test:{inside.port}/", rules, resolver)
            assert after_it_changed.body == b"hello"
            return inside.connections

    assert asyncio.run(scene()) == 1


def redirecting(*locations: str, status: str = "302 Found") -> Handler:
    headers = "".join(f"Location: {location}\r\n" for location in locations)
    return saying(page(b"", status, headers))


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://127.0.0.1:{inside}/", "host_literal"),
        ("//127.0.0.1:{inside}/", "host_literal"),
        ("http://[::1]:{inside}/", "host_literal"),
        ("http://2130706433:{inside}/", "host_literal"),
        ("http://localhost:{inside}/", "host_local"),
        ("http://inside.test:{inside}/", "address_refused"),
        ("http://user:pw@a.test:{inside}/", "url_form"),
        ("http://a.test:{inside}\\@127.0.0.1/", "url_form"),
        ("file:///etc/passwd", "url_form"),
        ("gopher://a.test/", "url_form"),
        ("http://169.254.169.254/latest/meta-data/", "host_literal"),
        ("http://a.test:99999/", "host_port"),
        ("http://[", "redirect_form"),
        ("", "redirect_loop"),
        ("/again", "redirect_loop"),
    ],
)
def test_a_redirect_is_judged_like_a_request(location: str, code: str, status: str) -> None:
    async def scene() -> None:
        async with (
            listening() as inside,
            listening(redirecting(location.format(inside=inside.port), status=status)) as door,
        ):
            resolver = Resolver({"a.test": [["127.0.0.1"]], "inside.test": [["127.0.0.1"]]})
            rules = naming(door.port, "a.test")
            assert await refusal(f"http://a.test:{door.port}/", rules, resolver) == code
            assert inside.connections == 0
            assert door.connections == (MOST_HOPS if code == "redirect_loop" else 1)

    asyncio.run(scene())


def test_a_refusal_behind_a_redirect_says_that_it_is_one() -> None:
    async def scene() -> str:
        async with listening(redirecting("http://localhost/secret")) as door:
            with pytest.raises(NotPermitted) as refused:
                await fetch(f"http://a.test:{door.port}/", naming(door.port, "a.test"))
            return refused.value.message

    assert asyncio.run(scene()) == "a.test redirects elsewhere: localhost is no public name"


@pytest.mark.parametrize("locations", [(), ("http://a.test/", "http://b.test/")])
def test_a_redirect_leads_to_one_place(locations: tuple[str, ...]) -> None:
    async def scene() -> str:
        async with listening(redirecting(*locations)) as door:
            return await refusal(f"http://a.test:{door.port}/", naming(door.port, "a.test"))

    assert asyncio.run(scene()) == "redirect_form"


def test_a_redirect_to_an_allowed_place_is_followed_and_written_down() -> None:
    async def scene() -> None:
        ledger = Ledger()
        async with (
            listening(saying(page(b"there"))) as target,
            listening(redirecting(f"http://b.test:{target.port}/y#z")) as door,
        ):
            rules = naming(target.port, "b.test", rules=naming(door.port, "a.test"))
            found = await fetch(f"http://a.test:{door.port}/", rules, ledger=ledger)
            assert (found.body, found.host, found.status) == (b"there", "b.test", 200)
            assert found.hops == (f"http://a.test:{door.port}/", f"http://b.test:{target.port}/y")
        assert ledger.kinds == ["opened", "closed"] * 2
        assert ledger.codes == ["ok"] * 4
        assert [entry.received for kind, entry in ledger.entries if kind == "closed"] == [0, 5]
        assert {entry.address for kind, entry in ledger.entries if kind == "closed"} == {"127.0.0.1"}

    asyncio.run(scene())


def test_what_is_not_listed_is_not_even_looked_up() -> None:
    async def scene() -> None:
        ledger, resolver = Ledger(), Resolver(LOOPBACK)
        rules = EgressPolicy(allow=(HostRule("a.test", Names.EXACT, "a.test"),))
        assert await refusal("https://b.test/secret", rules, resolver, ledger=ledger) == "host_not_listed"
        assert resolver.asked == []
        assert ledger.kinds == ["refused"]

    asyncio.run(scene())


def test_nothing_is_connected_that_cannot_be_written_down() -> None:
    async def scene() -> int:
        async with listening() as inside:
            url = f"http://a.test:{inside.port}/"
            assert await refusal(url, naming(inside.port, "a.test"), ledger=Ledger(full=True)) == "ledger_full"
            return inside.connections

    assert asyncio.run(scene()) == 0


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def endless_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (silent, "fetch_slow"),
        (endless_headers, "fetch_failed"),
        (saying(b"SSH-2.0-x\r\n"), "fetch_failed"),
        (saying(b""), "fetch_failed"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), "fetch_failed"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"), "fetch_failed"),
        (saying(page(headers="Content-Encoding: gzip\r\n")), "content_encoded"),
        (saying(page(headers="Content-Encoding: identity, br\r\n")), "content_encoded"),
    ],
)
def test_a_server_that_misbehaves(handler: Handler, code: str) -> None:
    async def scene() -> list[str]:
        ledger = Ledger()
        async with listening(handler) as server:
            rules = naming(server.port, "a.test")
            url = f"http://a.test:{server.port}/"
            seconds = 0.2 if code == "fetch_slow" else 10.0
            assert await refusal(url, rules, ledger=ledger, seconds=seconds) == code
        assert ledger.kinds == ["opened", "closed"]
        return ledger.codes

    assert asyncio.run(scene()) == ["ok", "cancelled" if code == "fetch_slow" else code]


def test_a_body_is_cut_to_size() -> None:
    async def scene() -> None:
        async with listening(endless) as server:
            rules = naming(server.port, "a.test")
            found = await fetch(f"http://a.test:{server.port}/", rules, most=100_000)
            assert (len(found.body), found.truncated) == (100_000, True)
            narrow = replace(rules, max_response_bytes=10)
            assert len((await fetch(f"http://a.test:{server.port}/", narrow)).body) == 10

    asyncio.run(scene())


def test_what_the_site_hears_of_us() -> None:
    heard: list[bytes] = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(page(headers='Content-Type: Text/HTML; Charset="UTF-8"\r\nSet-Cookie: a=b\r\n'))

    async def scene() -> None:
        async with listening(noting) as server:
            found = await fetch(f"http://A.test.:{server.port}/a?b=c#d", naming(server.port, "a.test"))
            assert (found.content_type, found.charset) == ("text/html", "utf-8")
            lines = heard[0].decode().split("\r\n")
            assert lines[0] == "GET /a?b=c HTTP/1.1"
            assert f"Host: a.test:{server.port}" in lines
            assert not any(line.lower().startswith(("cookie", "authorization", "referer")) for line in lines)

    asyncio.run(scene())


def test_a_key_follows_no_redirect() -> None:
    async def scene() -> None:
        async with (
            listening(silent) as elsewhere,
            listening(redirecting(f"http://b.test:{elsewhere.port}/")) as door,
        ):
            rules = naming(elsewhere.port, "b.test", rules=naming(door.port, "a.test"))
            found = await fetch(f"http://a.test:{door.port}/", rules, headers={"X-Key": "k"})
            assert (found.status, elsewhere.connections) == (302, 0)

    asyncio.run(scene())


def test_tls_is_for_the_name_and_not_for_the_address() -> None:
    async def scene() -> None:
        async with listening(saying(page()), ssl=server_context("a.test")) as server:
            rules = naming(server.port, "a.test", "b.test")
            found = await fetch(f"https://a.test:{server.port}/", rules, trust=trusting("a.test"))
            assert found.body == b"hello"
            assert await refusal(f"https://b.test:{server.port}/", rules, trust=trusting("a.test")) == "fetch_failed"
            assert await refusal(f"https://a.test:{server.port}/", rules) == "fetch_failed"
        location = "http://a.test:80/"
        async with listening(redirecting(location), ssl=server_context("a.test")) as server:
            rules = naming(server.port, "a.test")
            url = f"https://a.test:{server.port}/"
            assert await refusal(url, rules, trust=trusting("a.test")) == "redirect_downgrade"

    asyncio.run(scene())


def test_the_meter_counts_every_hop() -> None:
    async def scene() -> tuple[str, int]:
        async with listening(redirecting("/")) as door:
            rules = replace(naming(door.port, "a.test"), requests_per_minute=3)
            return await refusal(f"http://a.test:{door.port}/", rules), door.connections

    assert asyncio.run(scene()) == ("egress_rate", 3)


def test_a_literal_that_policy_names_is_reached_and_only_at_its_port() -> None:
    async def scene() -> None:
        async with listening(saying(page())) as server, listening() as other:
            rules = replace(EgressPolicy(), private=(PrivatePlace("127.0.0.1", server.port),))
            assert (await fetch(f"http://127.0.0.1:{server.port}/", rules, Resolver())).body == b"hello"
            assert await refusal(f"http://127.0.0.1:{other.port}/", rules) == "host_local"
            assert await refusal(f"http://127.1:{server.port}/", rules) == "host_literal"
            assert other.connections == 0

    asyncio.run(scene())
