"""A proxy for tests that listens on a socket of its own, and a box that speaks to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tests.egress.hellos import hello, records, sni
from tests.egress.world import AGENT, OPEN, Ledger, Resolver, ways

from bascule.core.reach import EgressPolicy, HostRule, Names
from bascule.egress.client import Ways
from bascule.egress.proxy import Proxy
from bascule.egress.talk import Patience

NAMES = {name: [["127.0.0.1"]] for name in ("a.test", "b.test", "localhost")}
HASTY = Patience(head=0.3, idle=0.3, whole=5.0, farewell=0.3)
CALM = Patience()


@dataclass
class House:
    port: int
    ledger: Ledger
    resolver: Resolver
    rules: EgressPolicy
    proxy: Proxy | None = None
    shared: Ways | None = None
    end: Callable[[], None] | None = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, *pieces: bytes, end: bool = False, tunnel: bool = False) -> bytes:
        """Send pieces, in a tunnel after the first is answered, and return everything that comes back."""
        reader, writer = await self.connect()
        back = b""
        try:
            async with asyncio.timeout(10):
                for number, piece in enumerate(pieces):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                    if tunnel and not number:
                        back = await reader.readuntil(b"\r\n\r\n")
                if end:
                    writer.write_eof()
                back += await reader.read()
        except ConnectionError:
            back += b""
        finally:
            writer.close()
        await self.settled()
        return back

    async def settled(self) -> None:
        """Wait until the proxy has nobody to talk to."""
        assert self.proxy is not None
        async with asyncio.timeout(10):
            while self.proxy.talking:
                await asyncio.sleep(0.005)


def listener() -> tuple[int, int]:
    """A listening socket's descriptor, and its port."""
    made = socket.create_server(("127.0.0.1", 0))
    return made.getsockname()[1], made.detach()


@asynccontextmanager
async def house(rules: EgressPolicy = OPEN, patience: Patience = CALM) -> AsyncIterator[House]:
    port, descriptor = listener()
    found = House(port, Ledger(), Resolver(NAMES), rules)
    shared = ways(rules, found.resolver, connect_seconds=2.0)
    found.shared = shared
    found.proxy = Proxy(AGENT, lambda: replace(shared, rules=found.rules), found.ledger, patience)
    found.end = found.proxy.attend(descriptor)
    try:
        yield found
    finally:
        await found.proxy.close()


def connect(place: str, extra: bytes = b"") -> bytes:
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode("utf-8", "surrogateescape") + extra


def tls_rules(port: int, *more: str) -> EgressPolicy:
    """a.test at a port of loopback, by a rule that holds its tunnels to TLS."""
    return replace(
        OPEN, allow=tuple(HostRule(h, Names.EXACT, h, frozenset({port}), "https") for h in ("a.test", *more))
    )


GOOD = records(hello(sni("a.test")))
