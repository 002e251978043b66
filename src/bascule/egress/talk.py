"""One connection of a box to its proxy: one request or one tunnel, judged before anything is connected.

Stops: what the proxy stops; see there. Every talk leaves one record of a refusal, or one before the connection and one
when it ended, whichever way it ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from bascule.core.errors import BasculeError, Malformed, NotPermitted, Unavailable
from bascule.core.ids import AgentId
from bascule.core.reach import reach
from bascule.egress import client_hello
from bascule.egress.client import Ways
from bascule.egress.dial import Streams
from bascule.egress.head import LONGEST, Head, parse_head
from bascule.egress.journal import Entry, Journal
from bascule.egress.relay import Bounds, Tally, finish, relay

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_UNRECOGNISED_NAME: Final = b"\x15\x03\x03\x00\x02\x02\x70"
"""The TLS alert for a name that is not served (RFC 6066, section 3), so that the program can say why."""

_STATUS: Final = {"egress_rate": "429 Too Many Requests", "egress_busy": "503 Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a talk waits, in seconds: for a request or hello, for any byte, altogether, for a farewell."""

    head: float = 10.0
    idle: float = 60.0
    whole: float = 900.0
    farewell: float = 2.0


class Talk:
    """One connection.

    Args:
        agent: whose.
        streams: to the box.
        ways: rules, meter and dialer as they are now.
        journal: where it is written.
        patience: see there.
    """

    def __init__(self, agent: AgentId, streams: Streams, ways: Ways, journal: Journal, patience: Patience) -> None:
        self._reader, self._writer = streams
        self._ways = ways
        self._journal = journal
        self._patience = patience
        self._entry = Entry(agent, "proxy", "", "")
        self._opened: int | None = None
        self._established = False

    async def hold(self) -> None:
        """Carry one request or tunnel, and say goodbye; never raises but for a cancellation."""
        try:
            await self._request()
        except BasculeError as refused:
            self._writer.write(_UNRECOGNISED_NAME if self._established else _refusal(refused))
        except (OSError, EOFError, asyncio.CancelledError) as cut:
            self._writer.transport.abort()
            if isinstance(cut, asyncio.CancelledError):
                raise
        finally:
            await finish(self._writer, self._patience.farewell)

    async def _request(self) -> None:
        try:
            received, rest = await self._head()
            head = parse_head(received, self._ways.rules.literals)
            self._entry = replace(self._entry, method=head.method, target=head.target)
            ruling = reach(head.wanted, self._ways.rules)
            self._entry = replace(self._entry, rule=ruling.rule)
            if not ruling.allowed:
                raise NotPermitted(ruling.code, ruling.reason)
            _check_body(head, rest, self._ways.rules.max_request_bytes)
            with self._ways.meter.request(self._ways.rules):
                wanted = head.wanted
                addresses = await self._ways.dialer.checked(wanted.host, wanted.port, private=ruling.private)
                first = await self._hello(wanted.host) if ruling.tls else head.written() + rest
                self._opened = await self._journal.opened(self._entry)
                await self._connect(head, addresses, first, self._opened, tls=ruling.tls)
        except BasculeError as refused:
            if self._opened is None:
                await self._journal.refused(replace(self._entry, code=refused.code, reason=refused.message))
            raise

    async def _head(self) -> tuple[bytes, bytes]:
        """Return the head of a request, and what came behind it.

        Raises:
            Malformed: ``request_form``.
            Unavailable: ``request_slow``.
            EOFError: nothing was asked.
        """
        received = b""
        try:
            async with asyncio.timeout(self._patience.head):
                while b"\r\n\r\n" not in received:
                    piece = await self._reader.read(LONGEST + 1 - len(received))
                    received += piece
                    if not received:
                        raise EOFError
                    if not piece or len(received) > LONGEST:
                        raise Malformed("request_form", "the request's head does not end where it should")
        except TimeoutError:
            raise Unavailable("request_slow", "the request took too long to arrive") from None
        head, _, rest = received.partition(b"\r\n\r\n")
        return head, rest

    async def _hello(self, host: str) -> bytes:
        """Say that the tunnel stands, and return the first bytes in it, which name the host that was asked for.

        Raises:
            Malformed: ``tls_hello``, ``tls_no_name``.
            NotPermitted: ``tls_other_name``.
            Unavailable: ``request_slow``.
        """
        self._writer.write(_ESTABLISHED)
        self._established = True
        received = b""
        try:
            async with asyncio.timeout(self._patience.head):
                await self._writer.drain()
                while (name := client_hello.server_name(received)) is None:
                    piece = await self._reader.read(client_hello.LONGEST + 1 - len(received))
                    received += piece
                    if not piece:
                        raise Malformed("tls_hello", "the tunnel's first message was cut off")
        except TimeoutError:
            raise Unavailable("request_slow", "the tunnel's first message took too long to arrive") from None
        if name != host:
            raise NotPermitted("tls_other_name", f"a tunnel to {host} begins with a TLS handshake for {name[:80]!r}")
        return received

    async def _connect(self, head: Head, addresses: tuple[str, ...], first: bytes, opened: int, *, tls: bool) -> None:
        tally = Tally(code="cancelled")
        entry = self._entry
        try:
            server, address = await self._ways.dialer.open(addresses, head.wanted.port)
            entry = replace(entry, address=address)
            try:
                if head.address is None and not tls:
                    self._writer.write(_ESTABLISHED)
                    self._established = True
                await self._carry(head, server, first, tally)
            except asyncio.CancelledError:
                # Whoever cuts means at once: what still waits in memory is not to leave.
                server[1].transport.abort()
                raise
            finally:
                await finish(server[1], self._patience.farewell)
        except BasculeError as refused:
            tally.code = refused.code
            raise
        finally:
            entry = replace(entry, code=tally.code, sent=tally.sent, received=tally.received)
            await self._journal.closed(entry, opened)

    async def _carry(self, head: Head, server: Streams, first: bytes, tally: Tally) -> None:
        rules, patience = self._ways.rules, self._patience
        server[1].write(first)
        tally.sent = len(first)
        exact = head.address is not None
        most = len(head.written()) + head.length if exact else rules.max_request_bytes
        bounds = Bounds(most, rules.max_response_bytes, patience.idle, patience.whole, exact)
        await relay((self._reader, self._writer), server, bounds, tally)
        if tally.code != "ok":
            # Half an answer must not pass for a whole one.
            self._writer.transport.abort()


def _check_body(head: Head, rest: bytes, most: int) -> None:
    if len(rest) > head.length:
        raise Malformed("request_form", "the request has something behind it that does not belong to it")
    if head.length > most:
        raise NotPermitted("egress_size", f"the request's body is longer than {most} bytes")


def _refusal(refused: BasculeError) -> bytes:
    status = "403 Forbidden" if isinstance(refused, NotPermitted) else "502 Bad Gateway"
    if isinstance(refused, Malformed):
        status = "400 Bad Request"
    status = _STATUS.get(refused.code, status)
    body = f"{refused.code}: {refused.message}\n".encode("ascii", "backslashreplace")
    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return f"HTTP/1.1 {status}\r\n{fields}\r\n".encode("ascii") + body
