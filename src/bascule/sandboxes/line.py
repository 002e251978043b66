"""A conversation with a worker in a box: frames over a socket, each due within a time.

Stops: a worker that says more than was asked for, goes away, or stays silent holding anybody up: the conversation is
then over. Who sends the first frame is the kernel's word. Does not read what an answer says.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bascule.core.errors import Unavailable
from bascule.sandboxes.hello import Hello, Setup, read_hello
from bascule.sandboxes.worker.frames import HEAD, MAX_CONTROL, FrameError, body_length, pack, unpack

_FIRST_READ = 64 << 10
_CREDENTIALS = struct.Struct("=iII")


class Line:
    """A stream socket that carries frames; one side of one conversation."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)  # noqa: FBT003  # the standard library's signature
        self._channel = channel
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End the conversation."""
        self._channel.close()

    @property
    def is_over(self) -> bool:
        """True if the other side is gone, or has said something unasked; true only between an answer and a request."""
        try:
            self._channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    async def send(self, frame: bytes) -> None:
        """Send one frame; raises :class:`OSError`."""
        await self._loop.sock_sendall(self._channel, frame)

    async def receive(self, maximum: int) -> list[bytes]:
        """Return the next frame's fields; raises :class:`FrameError` or :class:`OSError`."""
        return await self._frame(await self._loop.sock_recv(self._channel, _FIRST_READ), maximum)

    async def _frame(self, start: bytes, maximum: int) -> list[bytes]:
        """Return the fields of the frame that begins with ``start``; it must end where the stream now ends."""
        if len(start) < HEAD:
            start += await self._exactly(HEAD - len(start))
        length = body_length(start[:HEAD], maximum)
        if HEAD + length < len(start):
            raise FrameError("more than was asked for")
        if HEAD + length == len(start):
            return unpack(start[HEAD:])
        return unpack(start[HEAD:] + await self._exactly(HEAD + length - len(start)))

    async def receive_hello(self) -> tuple[list[bytes], int, int]:
        """Return the first frame's fields with the sender's (pid, uid), as the kernel knows them."""
        first, pid, uid = await self._with_sender()
        return await self._frame(first, MAX_CONTROL), pid, uid

    def ask_for_sender(self) -> None:
        """Have the kernel tell who sends; must precede whatever makes the other side send."""
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    async def _with_sender(self) -> tuple[bytes, int, int]:
        readable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._channel, _resolve, readable)
        try:
            await readable
        finally:
            self._loop.remove_reader(self._channel)
        data, ancillary, _, _ = self._channel.recvmsg(_FIRST_READ, socket.CMSG_SPACE(_CREDENTIALS.size))
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(content) == _CREDENTIALS.size:
                pid, uid, _ = _CREDENTIALS.unpack(content)
                return data, pid, uid
        raise FrameError("the kernel named no sender")

    async def _exactly(self, count: int) -> bytearray:
        buffer = bytearray(count)
        rest = memoryview(buffer)
        while rest:
            got = await self._loop.sock_recv_into(self._channel, rest)
            if got == 0:
                raise ConnectionResetError("the worker has gone")
            rest = rest[got:]
        return buffer


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@contextmanager
def ending(close: Callable[[], None]) -> Iterator[None]:
    """A conversation that fails on the way, by whatever cause, is over: its next bytes could belong to anything."""
    try:
        yield
    except TimeoutError:
        close()
        raise Unavailable("worker_timeout", "the file worker did not answer in time") from None
    except OSError:
        close()
        raise Unavailable("worker_dead", "the file worker has ended") from None
    except FrameError:
        close()
        raise Unavailable("worker_garbled", "the file worker gave an answer that makes no sense") from None
    except BaseException:
        close()
        raise


async def greet(channel: socket.socket, setup: Setup, seconds: float) -> tuple[Line, Hello]:
    """Send a fresh worker its set-up, and return the line to it with its self-test.

    Args:
        channel: the gateway's end of the socket pair; owned from here on, closed on failure.
        setup: roots, canary, limits.
        seconds: how long the worker may take to start.

    Raises:
        Unavailable: ``worker_timeout``, ``worker_dead``, ``worker_garbled``, or ``worker_setup`` with its reason.
    """
    line = Line(channel)
    with ending(line.close):
        line.ask_for_sender()
        async with asyncio.timeout(seconds):
            await line.send(pack(setup.fields()))
            fields, pid, uid = await line.receive_hello()
        return line, read_hello(fields, pid, uid)
