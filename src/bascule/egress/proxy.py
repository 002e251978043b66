"""The proxy that one agent's boxes speak to, on one unix socket, so that it knows who speaks.

Stops: a connection to any place no rule names, to any address that is not public, inside a tunnel to another host than
was asked for, unrecorded, or without measure; a slow or silent client holding a place for ever. Nothing is connected
before it is judged, resolved, checked and written down. Does not stop: what a program says to an allowed host; inside
TLS nobody here sees methods, paths, or which of its sites that host's server is asked for.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.egress.client import Ways
from bascule.egress.journal import Journal
from bascule.egress.relay import PIECE
from bascule.egress.talk import Patience, Talk

_CREDENTIALS: Final = struct.Struct("iII")


class Proxy:
    """One agent's way out.

    Args:
        agent: whose.
        ways: its rules of the moment, meter and dialer.
        journal: where every request is written.
        uid: the kernel uid that may connect; None for any that reaches the socket.
        patience: see there.
    """

    def __init__(
        self, agent: AgentId, ways: Callable[[], Ways], journal: Journal, *, uid: int | None, patience: Patience
    ) -> None:
        self._agent = agent
        self._ways = ways
        self._journal = journal
        self._uid = uid
        self._patience = patience
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self, path: str, mode: int) -> None:
        """Listen on a socket file, which must not be there yet.

        Args:
            path: where.
            mode: its permissions; who may write to it may connect.

        Raises:
            Unavailable: ``proxy_socket``, it cannot be made.
        """
        try:
            self._server = await asyncio.start_unix_server(self._accept, sock=_bound(path, mode), limit=PIECE)
        except OSError as error:
            raise Unavailable("proxy_socket", f"the proxy of {self._agent} cannot listen: {error.strerror}") from None

    async def close(self) -> None:
        """Stop listening, and cut every tunnel; returns when they are gone. The socket file is the caller's."""
        if self._server is not None:
            self._server.close()
        talks = tuple(self._talks)
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways = self._ways()
        # Twice as many may speak as may be connected, so that the one too many is told why.
        if len(self._talks) >= 2 * ways.rules.connections or not self._is_known(writer):
            writer.transport.abort()
            return
        talk = Talk(self._agent, (reader, writer), ways, self._journal, self._patience)
        task = asyncio.get_running_loop().create_task(talk.hold())
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)

    def _is_known(self, writer: asyncio.StreamWriter) -> bool:
        if self._uid is None:
            return True
        peer = writer.get_extra_info("socket")
        _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        return bool(uid == self._uid)


def _bound(path: str, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(path)
        Path(path).chmod(mode)
    except OSError:
        listener.close()
        raise
    return listener
