"""Serving an application on a socket of the gateway's own event loop.

Stops: a second server on the port being taken for ours, clients that connect and say nothing, say it one byte at a
time, or never read, more connections than a person needs, signal handlers and logs that are not the gateway's own, and
a stop that waits for somebody's browser. Does not stop: a local program from using up the connections there are.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr

from bascule.channels.web.doorway import HEAD_LIMIT, SECURITY, UNCACHED
from bascule.channels.web.site import Built
from bascule.core.errors import Unavailable
from bascule.core.surfaces import HttpPolicy

CONNECTIONS: Final = 256
"""At once, of everybody."""

FROM_ONE: Final = 64
"""At once from one address that is not this machine's own: a browser opens about six."""

HEAD_SECONDS: Final = 10
"""In which a request's first line and headers must be here."""

IDLE_SECONDS: Final = 30
"""A connection may lie idle between requests."""

STALLED_SECONDS: Final = 30
"""A client may leave what we send unread."""

BACKLOG: Final = 64
"""Connections the kernel keeps for us before we accept them."""

GRACE_SECONDS: Final = 2
"""Requests under way may finish in when the server ends."""

_SIX_TOO: Final = frozenset({"127.0.0.1", "0.0.0.0"})  # noqa: S104 -- compared with
_LOOPBACK: Final = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True, slots=True)
class Listener:
    """The sockets of one server: the address policy names, and whatever else ``localhost`` means to a browser."""

    sockets: tuple[socket.socket, ...]

    @property
    def port(self) -> int:
        """The port of all of them."""
        port: int = self.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Stop listening."""
        for each in self.sockets:
            each.close()


def listen(policy: HttpPolicy) -> Listener:
    """Listen where policy says.

    Browsers try ``::1`` first for ``localhost``. If only ``127.0.0.1`` were ours, another account of this machine could
    listen there, and be told what was meant for us; so we take both, or neither.

    Raises:
        Unavailable: ``http_port`` the port is taken or may not be had, ``http_address`` this machine has no such
            address.
    """
    found = [_listen(policy.host, policy.port)]
    if policy.host in _SIX_TOO:
        try:
            found.append(_listen("::1", found[0].getsockname()[1]))
        except Unavailable as refused:
            if refused.code == "http_port":
                Listener(tuple(found)).close()
                raise
    return Listener(tuple(found))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _unheard(host, port, error) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # The IPv6 wildcard means both families here, whatever the machine's own default.
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise _unheard(host, port, error) from None
    found.setblocking(False)  # noqa: FBT003 -- as the method is
    return found


def _unheard(host: str, port: int, error: OSError) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        told = f"port {port} of {host} is in use by another program"
        return Unavailable("http_port", told, "end it, or name another gateway.port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Unavailable("http_port", f"port {port} may not be listened on", "name a gateway.port above 1023")
    told = f"this machine cannot listen on {host}"
    return Unavailable("http_address", told, "correct gateway.bind and gateway.customBindHost")


async def serve(built: Built, listener: Listener) -> None:
    """Serve until cancelled; then let requests finish for :data:`GRACE_SECONDS`, end the rest, and return.

    Streams end at once. A chat turn that waits for an answer is cancelled with its request, so stop the turns first if
    they are to be taken up again.
    """
    server = _Server(_config(built), built)
    running = asyncio.ensure_future(server.serve(sockets=list(listener.sockets)))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        built.site.ending.set()
        server.end()
        await running
        raise
    finally:
        listener.close()


def _config(built: Built) -> uvicorn.Config:
    return uvicorn.Config(
        built.app,
        http=Connection,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        log_level="error",  # it warns of every odd request, and whoever sends those could fill the disk
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=HEAD_LIMIT,
        backlog=BACKLOG,
    )


class _Server(uvicorn.Server):
    """A server without signal handlers, which sleeps until it is ended instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config, built: Built) -> None:
        super().__init__(config)
        self._built = built

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the gateway's."""
        yield

    async def main_loop(self) -> None:
        """Keep the date of answers right until the end."""
        while not await self.on_tick(0):
            try:
                async with asyncio.timeout(1):
                    await self._built.site.ending.wait()
            except TimeoutError:
                continue
            self.should_exit = True

    def end(self) -> None:
        """Stop accepting, finish, return from ``serve``."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, and see that nothing is left."""
        await super().shutdown(sockets)
        left = set(self.server_state.tasks)
        await asyncio.gather(*left, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Connection(H11Protocol):
    """One connection, with a bound on every wait for its client."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._head: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the parent's
        """Accept, or hang up if there are enough."""
        super().connection_made(transport)
        if self._crowded():
            transport.abort()
            return
        self._head = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def _crowded(self) -> bool:
        address = self.client[0] if self.client is not None else ""
        if len(self.connections) > CONNECTIONS:
            return True
        if address.startswith(_LOOPBACK):
            return False
        others = Counter(get_remote_addr(other.transport) for other in self.connections)
        return sum(count for peer, count in others.items() if peer is not None and peer[0] == address) > FROM_ONE

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the waits."""
        for timer in (self._head, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A request that is whole ends the wait for its head."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and self._head is not None:
            self._head.cancel()
            self._head = None

    def on_response_complete(self) -> None:
        """Wait for the next request, idle time included."""
        before = self.cycle
        super().on_response_complete()
        if self._head is not None:
            self._head.cancel()
        waits = self.cycle is before and not self.transport.is_closing()
        self._head = self.loop.call_later(IDLE_SECONDS + HEAD_SECONDS, self.transport.abort) if waits else None
        if self.transport.is_closing():
            # Closing waits until all is read; a client that does not read must not keep the connection.
            self._stall()

    def pause_writing(self) -> None:
        """The client does not read: give it some time."""
        super().pause_writing()
        self._stall()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._stalled is not None and not self.transport.is_closing():
            self._stalled.cancel()
            self._stalled = None

    def _stall(self) -> None:
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also one that has not read its answer."""
        super().timeout_keep_alive_handler()
        self._stall()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP without another word, and hang up."""
        headers = b"".join(name + b": " + value + b"\r\n" for name, value in (*SECURITY, UNCACHED))
        told = msg.encode("ascii", "replace")
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        self.transport.write(head + headers + b"content-length: %d\r\n\r\n" % len(told) + told)
        self.transport.close()
        self._stall()

    def _unsupported_upgrade_warning(self) -> None:
        """A wish for another protocol is passed over, as RFC 9110 section 7.8 allows, and fills no log."""
