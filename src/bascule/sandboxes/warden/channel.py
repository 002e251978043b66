"""The warden's end of the socket: one datagram in with its descriptors, answers out as the gateway takes them.

Stops: the warden waiting for a gateway that does not read (answers queue up, and beyond a bound the gateway counts as
gone), and descriptors of refused messages staying open.
"""

from __future__ import annotations

import array
import json
import select
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from bascule.core.canonical import Json
from bascule.sandboxes.warden.messages import LARGEST_MESSAGE

_MOST_UNSENT = 4096
_MOST_FILES = 8


@dataclass(frozen=True, slots=True)
class Received:
    """One datagram as it came. ``cut``: part of it or of its descriptors was lost."""

    untrusted_message: bytes
    files: tuple[int, ...]
    cut: bool


def receive(connection: socket.socket, most_bytes: int, most_files: int) -> Received:
    """Return the next datagram; none of its descriptors is inherited by a program started later.

    ``socket.recv_fds`` will not do: it drops its flags, and a mount's descriptor that gets into a box leads out of it.

    Raises:
        OSError: nothing can be received, or nothing yet.
    """
    size = array.array("i").itemsize
    message, ancillary, flags, _ = connection.recvmsg(
        most_bytes, socket.CMSG_SPACE(most_files * size), socket.MSG_CMSG_CLOEXEC
    )
    files = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(data[: len(data) - len(data) % size])
    return Received(message, tuple(files), bool(flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)))


class Channel:
    """A non-blocking ``SOCK_SEQPACKET`` socket, registered with ``poll``."""

    def __init__(self, gateway: socket.socket, poll: select.epoll) -> None:
        gateway.settimeout(0)
        self._gateway = gateway
        self._poll = poll
        self._unsent: deque[bytes] = deque()
        poll.register(gateway.fileno(), select.EPOLLIN)

    @property
    def descriptor(self) -> int:
        """For telling its events apart."""
        return self._gateway.fileno()

    @property
    def stuck(self) -> bool:
        """The other end has stopped reading."""
        return len(self._unsent) > _MOST_UNSENT

    def receive(self) -> Received | None:
        """Return the next datagram; empty and without descriptors when the other end is gone, None for none yet."""
        try:
            return receive(self._gateway, LARGEST_MESSAGE + 1, _MOST_FILES)
        except BlockingIOError:
            return None
        except OSError:
            return Received(b"", (), cut=False)

    def send(self, body: Mapping[str, Json]) -> None:
        """Send an answer, or keep it until it can be sent."""
        self._unsent.append(json.dumps(body).encode())
        self.flush()

    def flush(self) -> None:
        """Send what is kept; a gateway that is gone gets nothing more."""
        while self._unsent:
            try:
                self._gateway.send(self._unsent[0], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._poll.modify(self._gateway.fileno(), select.EPOLLIN | select.EPOLLOUT)
                return
            except OSError:
                self._unsent.clear()
                return
            self._unsent.popleft()
        self._poll.modify(self._gateway.fileno(), select.EPOLLIN)


def id_of(untrusted_message: bytes) -> int:
    """Return the id of a request that was refused, 0 if it has none, so that its sender can match the answer."""
    try:
        body = json.loads(untrusted_message)
    except (ValueError, RecursionError):
        return 0
    del untrusted_message
    number = body.get("id") if isinstance(body, dict) else 0
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 53 else 0
