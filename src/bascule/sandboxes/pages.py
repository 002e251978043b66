"""The gateway's end of a worker that reads one page: asks once, and believes nothing but that it is text.

Stops: a page that breaks its reader reaching the gateway: what comes back is bounded, due within a time, and taken for
a stranger's text. Does not stop: a subverted reader giving another text than the page's.
"""

from __future__ import annotations

import asyncio
import socket

from bascule.core.errors import Unavailable
from bascule.sandboxes.hello import Hello, Setup, WorkerLimits
from bascule.sandboxes.line import Line, ending, greet
from bascule.sandboxes.worker.frames import OVERHEAD, FrameError, pack

LIMITS = WorkerLimits(file_bytes=1, write_bytes=4 << 20, read_bytes=4 << 20, glob_entries=1)
"""Of a page and of its text: four mebibytes."""

_READ_SECONDS = 20.0

_REASONS = {
    "charset_unknown": "the page's encoding is not one that is read",
    "worker_exhausted": "the page takes more memory than there is for reading it",
    "worker_fault": "the page broke its reader",
}


def page_setup(canary: str) -> Setup:
    """What a worker that reads pages is told; ``canary`` as for :class:`Setup`."""
    return Setup((), canary, LIMITS, pages=True)


class PageReader:
    """One conversation, for one page."""

    def __init__(self, line: Line, hello: Hello) -> None:
        """Use :meth:`meet`."""
        self._line = line
        self.hello = hello

    @classmethod
    async def meet(cls, channel: socket.socket, canary: str, seconds: float) -> PageReader:
        """Send a fresh worker its set-up and wait for its self-test; arguments and errors as :func:`greet`."""
        return cls(*await greet(channel, page_setup(canary), seconds))

    def close(self) -> None:
        """End it; the worker ends itself when it notices."""
        self._line.close()

    async def text(self, content: bytes, charset: str) -> str:
        """Return the text of a page of at most :data:`LIMITS` bytes.

        Raises:
            Unavailable: ``page_unread`` and why, or ``worker_…``.
        """
        if len(content) > LIMITS.write_bytes:
            raise Unavailable("page_unread", f"the page is longer than {LIMITS.write_bytes} bytes")
        said = charset.encode("ascii", "replace")[:100]
        with ending(self._line.close):
            async with asyncio.timeout(_READ_SECONDS):
                await self._line.send(pack([b"text", said, content]))
                fields = await self._line.receive(LIMITS.read_bytes + OVERHEAD)
            if len(fields) != 2 or fields[0] not in {b"ok", b"no"}:
                raise FrameError("neither ok nor no")
        if fields[0] == b"ok":
            return fields[1].decode("utf-8", "replace")
        reason = _REASONS.get(fields[1].decode("ascii", "replace"), "its reader refused it")
        raise Unavailable("page_unread", f"no text could be made of the page: {reason}")
