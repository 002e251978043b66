"""From an allowed name to a connection: resolved once, every address checked, only a checked address connected to.

Stops: a name that means one address when it is checked and another when it is connected to, and one that has any
address inside. Does not stop: a public address that somebody's router leads back inside; and the look-up itself tells
the name to whoever serves it, which is why only names that a rule allows are looked up.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bascule.core.addresses import address_problem
from bascule.core.errors import NotPermitted, Unavailable
from bascule.core.hosts import literal_problem

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host name and a port to the IP addresses it has, in the order to try them; raises ``OSError`` for none.

The name has its final dot, so that no search list tries it below the machine's own domain; one that policy names as
private has none, as the machine's own table of hosts knows it without."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

MOST_ADDRESSES: Final = 32
"""Addresses looked at of one answer; an answer with more is refused."""

MOST_TRIED: Final = 4
"""Addresses tried until one answers."""


class SystemResolver:
    """The machine's own resolver, each look-up on a thread that nobody waits for: not the loop, not the process's end.

    Args:
        most: look-ups at once. A thread is as long about it as the machine's resolver is, so whoever asks for names
            that take long makes its own next ones wait; agents that are to be strangers have a resolver each.
    """

    def __init__(self, most: int = 8) -> None:
        self._places = asyncio.Semaphore(most)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name, each once.

        Raises:
            OSError: it has none, or nobody knows.
        """
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[str]] = loop.create_future()

        def done(answer: Sequence[str] | Exception) -> None:
            self._places.release()
            if found.done():
                return
            if isinstance(answer, Exception):
                found.set_exception(answer)
            else:
                found.set_result(answer)

        def work() -> None:
            answer = _addresses(host, port)
            with suppress(RuntimeError):  # the loop has ended, and nobody asks any more
                loop.call_soon_threadsafe(done, answer)

        try:
            threading.Thread(target=work, name="resolve", daemon=True).start()
        except RuntimeError:
            self._places.release()
            raise OSError(errno.EAGAIN, "no thread can be started to look a name up") from None
        return await found


def _addresses(host: str, port: int) -> Sequence[str] | Exception:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Dialer:
    """How names become connections.

    Attributes:
        resolve: asked once for each connection.
        resolve_seconds: patience for an answer.
        connect_seconds: patience for one address.
        buffer: bytes that wait in a stream before its other end is made to wait.
    """

    resolve: Resolve
    resolve_seconds: float = 5.0
    connect_seconds: float = 10.0
    buffer: int = 1 << 16

    async def checked(self, host: str, port: int, *, private: bool = False) -> tuple[str, ...]:
        """Return the addresses of an allowed host that may be connected to; all of them were checked.

        Args:
            host: canonical, and allowed by a rule.
            port: where to.
            private: policy names this host and port as private.

        Raises:
            NotPermitted: ``address_refused``, one of its addresses is not public.
            Unavailable: ``host_unresolved``.
        """
        if private and literal_problem(host):
            found: tuple[str, ...] = (host,)
        else:
            found = await self._look_up(host if private else f"{host}.", port)
        if not 0 < len(found) <= MOST_ADDRESSES:
            raise Unavailable("host_unresolved", f"{host} has {len(found)} addresses")
        for address in found:
            if problem := address_problem(address, private=private):
                # Which address it is stays unsaid: an agent could map the operator's network by asking.
                raise NotPermitted("address_refused", f"{host} has an address that is not public: {problem}")
        return found

    async def _look_up(self, host: str, port: int) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(self.resolve_seconds):
                return tuple(await self.resolve(host, port))
        except (OSError, UnicodeError):  # a time-out is one of the former
            raise Unavailable("host_unresolved", f"the name {host.removesuffix('.')} cannot be resolved") from None

    async def open(self, addresses: Sequence[str], port: int) -> tuple[Streams, str]:
        """Connect to the first of these checked addresses that answers, and return which it was.

        Raises:
            Unavailable: ``host_unreachable``, none answers.
        """
        for address in addresses[:MOST_TRIED]:
            try:
                async with asyncio.timeout(self.connect_seconds):
                    streams = await asyncio.open_connection(address, port, limit=self.buffer)
            except OSError:
                continue
            return streams, address
        raise Unavailable("host_unreachable", f"no address answers at port {port}")
