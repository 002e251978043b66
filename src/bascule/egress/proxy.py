"""The proxy that one agent's boxes speak to, each on a listening socket in its own network: so it knows who speaks.

Stops: a connection to any place no rule names, to any address that is not public, inside a tunnel to another host than
was asked for, unrecorded, or without measure; a slow or silent client holding a place for ever, a quick one keeping the
gateway busy. Nothing is connected before it is judged, resolved, checked and written down. Does not stop: what a
program says to an allowed host; inside TLS nobody here sees methods, paths, or which of its sites that host's server is
asked for.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.egress.client import Ways
from bascule.egress.journal import Journal
from bascule.egress.relay import PIECE
from bascule.egress.talk import Patience, Talk

PACE_SECONDS: Final = 0.01
"""Between two connections of one box: a hundred a second are plenty, and a loop could keep the gateway busy."""

RETRY_SECONDS: Final = 0.2
"""Before accepting anew when the gateway has no descriptor left."""


class _Attendance:
    """One socket that is answered, connection by connection, each handed to ``begin``."""

    def __init__(self, listener: socket.socket, begin: Callable[[socket.socket], asyncio.Task[None] | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._begin = begin
        self._pause: asyncio.TimerHandle | None = None
        self.talks: set[asyncio.Task[None]] = set()
        self.ended = False
        self._watch()

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        self._loop.remove_reader(self._listener)
        pause = PACE_SECONDS
        try:
            connection, _ = self._listener.accept()
        except OSError:
            pause = RETRY_SECONDS
        else:
            task = self._begin(connection)
            if task is not None:
                self.talks.add(task)
                task.add_done_callback(self.talks.discard)
        self._pause = self._loop.call_later(pause, self._watch)

    def end(self) -> None:
        """Accept nothing more, and cut what is spoken; a second time does nothing."""
        if self.ended:
            return
        self.ended = True
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self.talks:
            task.cancel()


class Proxy:
    """One agent's way out.

    Args:
        agent: whose.
        ways: its rules of the moment, meter and dialer; raises :class:`BasculeError` while it has none.
        journal: where every request is written.
        patience: see there.
    """

    def __init__(self, agent: AgentId, ways: Callable[[], Ways], journal: Journal, patience: Patience) -> None:
        self._agent = agent
        self._ways = ways
        self._journal = journal
        self._patience = patience
        self._attended: set[_Attendance] = set()

    @property
    def talking(self) -> int:
        """Connections that are spoken with now."""
        return sum(len(each.talks) for each in self._attended)

    def attend(self, listener: int) -> Callable[[], None]:
        """Accept on a listening TCP socket until the returned function is called, which cuts its tunnels too.

        Args:
            listener: its descriptor; taken over, also when this raises.

        Raises:
            Unavailable: ``proxy_socket``, it is no such socket.
        """
        try:
            taken = _listening(listener)
        except OSError as error:
            os.close(listener)
            raise Unavailable("proxy_socket", f"{self._agent} has no socket to listen on: {error.strerror}") from None
        attendance = _Attendance(taken, self._begin)
        self._attended = {each for each in self._attended if each.talks or not each.ended} | {attendance}
        return attendance.end

    async def close(self) -> None:
        """Accept nothing more on any socket, and cut every tunnel; returns when they are gone."""
        talks = [task for each in self._attended for task in each.talks]
        for attendance in self._attended:
            attendance.end()
        await asyncio.gather(*talks, return_exceptions=True)

    def _begin(self, connection: socket.socket) -> asyncio.Task[None] | None:
        try:
            ways = self._ways()
        except BasculeError:
            connection.close()
            return None
        # Twice as many may speak as may be connected, so that the one too many is told why.
        if self.talking >= 2 * ways.rules.connections:
            connection.close()
            return None
        connection.settimeout(0)
        task = asyncio.get_running_loop().create_task(self._talk(connection, ways))
        task.add_done_callback(lambda _done: connection.close())  # a task that is cancelled at once never begins
        return task

    async def _talk(self, connection: socket.socket, ways: Ways) -> None:
        try:
            streams = await asyncio.open_connection(sock=connection, limit=PIECE)
        except OSError:
            return
        await Talk(self._agent, streams, ways, self._journal, self._patience).hold()


def _listening(descriptor: int) -> socket.socket:
    """Return the socket of a descriptor, which is closed by nobody else from here on.

    Raises:
        OSError: it is no listening TCP socket.
    """
    found = socket.socket(fileno=descriptor)
    if not _is_listening(found):
        found.detach()
        raise OSError(0, "it is no listening TCP socket")
    found.settimeout(0)
    return found


def _is_listening(found: socket.socket) -> bool:
    tcp = found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM
    return tcp and bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
