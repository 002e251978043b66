"""A small internet for tests: listeners on loopback that count who comes, and a resolver that says what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.reach import EgressPolicy, HostRule, Names, PrivatePlace
from bascule.egress.client import Ways
from bascule.egress.dial import Dialer
from bascule.egress.journal import Entry
from bascule.egress.meter import Meter

AGENT = AgentId("bruba-web")
EVERY_PORT = frozenset(range(1, 65_536))
OPEN = EgressPolicy(allow=(HostRule("*", Names.PUBLIC, ports=EVERY_PORT),), requests_per_minute=1 << 20)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


def saying(answer: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return handler


def page(body: bytes = b"hello", status: str = "200 OK", headers: str = "Content-Type: text/plain\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Listener:
    """A server on loopback."""

    port: int
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def listening(handler: Handler = silent, host: str = "127.0.0.1", **options: object) -> AsyncIterator[Listener]:
    found = Listener(0)

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(counted, host, 0, **options)  # type: ignore[arg-type]
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


class Resolver:
    """Answers from a table: each name has answers in order, the last of which stays."""

    def __init__(self, table: dict[str, Sequence[Sequence[str]]] | None = None) -> None:
        self.table = {name: list(answers) for name, answers in (table or {}).items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.table.get(host.removesuffix("."))
        if answers is None:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class Ledger:
    """A journal in memory; ``full`` as a disk is."""

    entries: list[tuple[str, Entry]] = field(default_factory=list)
    full: bool = False

    async def refused(self, entry: Entry) -> None:
        self.entries.append(("refused", entry))

    async def opened(self, entry: Entry) -> int:
        if self.full:
            raise Unavailable("ledger_full", "the disk is full")
        self.entries.append(("opened", entry))
        return len(self.entries) - 1

    async def closed(self, entry: Entry, opened: int) -> None:
        kind, before = self.entries[opened]
        assert (kind, before.target) == ("opened", entry.target)
        self.entries.append(("closed", entry))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.entries]

    @property
    def codes(self) -> list[str]:
        return [entry.code for _, entry in self.entries]


def ways(rules: EgressPolicy, resolver: Resolver, **patience: float) -> Ways:
    return Ways(rules, Meter(lambda: 0.0), replace(Dialer(resolver), **patience))  # type: ignore[arg-type]


def naming(port: int, *hosts: str, rules: EgressPolicy = OPEN) -> EgressPolicy:
    """The rules, with these hosts named as private at one port."""
    return replace(rules, private=(*rules.private, *(PrivatePlace(host, port) for host in hosts)))
