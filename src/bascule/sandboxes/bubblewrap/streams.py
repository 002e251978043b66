"""Feeding and collecting pipes of boxes from an event loop, with a cap.

Stops: a program that never stops writing filling the gateway's memory, and one that never reads holding it up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_CHUNK = 1 << 16


class Collector:
    """Reads a pipe to its end, keeps at most ``limit`` bytes, and tells once when more came."""

    def __init__(self, descriptor: int, limit: int, overflow: Callable[[], None]) -> None:
        self.content = bytearray()
        self.truncated = False
        self._descriptor = descriptor
        self._limit = limit
        self._overflow = overflow
        self._loop = asyncio.get_running_loop()
        self.end: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return
        room = self._limit - len(self.content)
        self.content += chunk[: max(0, room)]
        if len(chunk) > room and not self.truncated:
            self.truncated = True
            self._overflow()

    def drain(self) -> None:
        """Read what already lies in the pipe, once."""
        if self._descriptor >= 0:
            self._read()

    def close(self) -> None:
        """Stop reading; the writer then gets ``SIGPIPE``."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        if not self.end.done():
            self.end.set_result(None)


class Feeder:
    """Writes bytes into a pipe as its reader takes them, then closes it."""

    def __init__(self, descriptor: int, content: bytes) -> None:
        self._descriptor = descriptor
        self._rest = memoryview(content)
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_writer(descriptor, self._write)

    def _write(self) -> None:
        try:
            self._rest = self._rest[os.write(self._descriptor, self._rest[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:  # the reader is gone: what it did not want is dropped
            self.close()
            return
        if not self._rest:
            self.close()

    def close(self) -> None:
        """Stop writing; the reader then sees the end."""
        if self._descriptor >= 0:
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
