"""The process spares are copied from: itself a copy of the warden from before it had served anyone.

Stops: a box's first process being made with anything in memory that a request brought, and the warden sharing its
memory with a new child at every box, after which each page it writes to is copied first. The children are the warden's,
which alone waits for them. Decides nothing, and ends with the warden.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

from bascule.linux.calls import CLONE_NEWPID, fork_for_parent
from bascule.sandboxes.warden.channel import receive

_LONGEST = 4096
_ANSWER_SECONDS = 10.0
"""Forking takes a millisecond or two; one that needs this long is stuck and is made anew."""

_MOST_DESCRIPTORS = 4096


class Nursery:
    """Makes children of the warden, each the first process of a process namespace."""

    def __init__(self, child: Callable[[socket.socket, bytes], None]) -> None:
        """Start it.

        Args:
            child: what each new process does, with its socket and what was said; does not return.
        """
        self._child = child
        self._pid = -1
        self._line: socket.socket | None = None
        self._start()

    def make(self, said: bytes, stream: socket.socket) -> int:
        """Return the number of a new child that has ``stream`` and was told ``said``.

        Raises:
            OSError: no process can be made, or the nursery is gone; the next call starts it again.
        """
        if self._line is None:
            self._start()
        line = self._line
        if line is None:
            raise OSError(11, "no process can be made")
        try:
            socket.send_fds(line, [said], [stream.fileno()])
            answer = int(line.recv(_LONGEST) or b"0")
        except OSError:
            self.end()
            raise
        if answer == 0:
            self.end()
            raise OSError(3, "the process that boxes are made from is gone")
        if answer < 0:
            raise OSError(-answer, os.strerror(-answer))
        return answer

    def end(self) -> None:
        """End it; its children stay."""
        if self._line is not None:
            self._line.close()
            self._line = None
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._pid = os.fork()
            except OSError:
                ours.close()
                raise
            if self._pid == 0:
                self._serve(theirs)
        ours.settimeout(_ANSWER_SECONDS)
        self._line = ours

    def _serve(self, line: socket.socket) -> None:
        """Never returns."""
        try:
            # Whoever holds a copy of another's socket keeps its peer from noticing that the other is gone.
            os.closerange(3, line.fileno())
            os.closerange(line.fileno() + 1, _MOST_DESCRIPTORS)
            while (received := receive(line, _LONGEST, 1)).untrusted_message:
                with socket.socket(fileno=received.files[0]) as stream:
                    line.send(str(self._fork(line, stream, received.untrusted_message)).encode("ascii"))
        finally:
            os._exit(0)

    def _fork(self, line: socket.socket, stream: socket.socket, said: bytes) -> int:
        """Return the child's number, or the kernel's reason below zero."""
        try:
            pid = fork_for_parent(CLONE_NEWPID)
        except OSError as error:
            return -(error.errno or 11)
        if pid == 0:
            line.close()
            self._child(stream, said)
        return pid
