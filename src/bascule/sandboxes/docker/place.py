"""Where a container finds its gateway: a directory of its own with one socket, good for one connection.

Stops: anybody but the agent's own account answering for a container (the kernel names who connects), and a second
connection: the socket is gone once the first stands. Lies in the gateway's state, where no other account gets; the
container sees this one directory, to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from bascule.core.errors import Unavailable

_NAME = "line"
_CREDENTIALS = struct.Struct("=iII")


class Place:
    """Used once, as a context: made on entry, gone on exit."""

    def __init__(self, parent: Path) -> None:
        """Make places below ``parent``."""
        self.name = os.urandom(16).hex()
        self._directory = parent / self.name
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def __enter__(self) -> Self:
        """Make the directory and listen.

        Raises:
            Unavailable: the state cannot be written.
        """
        try:
            self._directory.parent.mkdir(mode=0o700, exist_ok=True)
            self._directory.mkdir(mode=0o700)
            descriptor = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # By descriptor, for a socket's name may be no longer than 107 bytes and a home's may.
                self._listener.bind(f"/proc/self/fd/{descriptor}/{_NAME}")
            finally:
                os.close(descriptor)
            (self._directory / _NAME).chmod(0o666)
            self._directory.chmod(0o711)
        except OSError as error:
            self._leave()
            raise Unavailable("box_place", f"a box has no place in the state: {error}", "free space") from None
        self._listener.listen(1)
        self._listener.setblocking(False)  # noqa: FBT003 -- the standard library's signature
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        self._leave()

    def _leave(self) -> None:
        self._listener.close()
        with contextlib.suppress(OSError):
            (self._directory / _NAME).unlink()
        with contextlib.suppress(OSError):
            self._directory.rmdir()

    async def accept(self, uid: int, seconds: float) -> socket.socket:
        """Return the connection of a process of ``uid``; others are turned away.

        Raises:
            Unavailable: none comes in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    connection, _ = await loop.sock_accept(self._listener)
                    if _peer(connection) == uid:
                        return connection
                    connection.close()
        except (TimeoutError, OSError):
            raise Unavailable(
                "container_silent", "the container did not come up; is there a Python 3.11 in its image?"
            ) from None


def _peer(connection: socket.socket) -> int:
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(said)[1])
