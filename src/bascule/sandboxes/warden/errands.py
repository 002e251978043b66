"""Work of the warden's that waits for others: done by a copy of it, so that no box ever waits for Docker.

Stops: an engine that hangs holding up the warden: the copy is ended by an alarm, and what was asked of it is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bascule.core.canonical import Json
from bascule.core.errors import BasculeError, Unavailable

Job = Callable[[], Mapping[str, Json]]
Heard = Callable[[Mapping[str, Json]], Mapping[str, Json]]
"""Takes what a job came to and returns what is answered."""

LONGEST_SECONDS = 25
"""How long an errand may take; the gateway waits a little longer."""

_MOST_DESCRIPTORS = 4096
_LARGEST = 1 << 20
_MOST = 64
"""Errands at once: a gateway that was taken over cannot have this process fork until nothing is left to fork with."""


@dataclass(slots=True)
class _Errand:
    request: int
    pid: int
    heard: Heard
    content: bytearray = field(default_factory=bytearray)


class Errands:
    """Errands under way; the warden's loop tells of what can be read."""

    def __init__(self, poll: select.epoll, answer: Callable[[Mapping[str, Json]], None], kept: tuple[int, ...]) -> None:
        """``answer`` sends to the gateway; ``kept`` are descriptors an errand needs."""
        self._poll = poll
        self._answer = answer
        self._kept = kept
        self._running: dict[int, _Errand] = {}

    def begin(self, request: int, job: Job, heard: Heard = dict, also: tuple[int, ...] = ()) -> None:
        """Do a job in a copy of this process; its result, after ``heard``, is the answer to ``request``.

        Args:
            request: number the answer carries.
            job: what is done.
            heard: what makes an answer of its result, here.
            also: descriptors the copy needs besides those of every errand.

        Raises:
            OSError: no process can be made.
            Unavailable: as many are under way as may be.
        """
        if len(self._running) >= _MOST:
            raise Unavailable("box_too_many", f"{_MOST} containers are being asked for or looked at")
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.fork()
        except OSError:
            os.close(reading)
            raise
        finally:
            if "pid" not in locals() or pid != 0:
                os.close(writing)
        if pid == 0:
            self._go(job, writing, also)
        os.set_blocking(reading, False)
        self._running[reading] = _Errand(request, pid, heard)
        self._poll.register(reading, select.EPOLLIN)

    def _go(self, job: Job, writing: int, also: tuple[int, ...]) -> None:
        """Never returns."""
        try:
            signal.alarm(LONGEST_SECONDS)
            kept = sorted({*self._kept, *also, writing})
            for before, after in zip([2, *kept], [*kept, _MOST_DESCRIPTORS], strict=True):
                os.closerange(before + 1, after)
            try:
                said: dict[str, Json] = {"ok": True, **job()}
            except BasculeError as error:
                said = refusal(error)
            except (OSError, ValueError, KeyError, TypeError) as error:
                said = refusal(Unavailable("docker_error", f"what was asked of Docker failed: {error}"))
            rest = memoryview(json.dumps(said).encode())
            while rest:
                rest = rest[os.write(writing, rest) :]
        finally:
            os._exit(0)

    def take(self, descriptor: int) -> bool:
        """Read what an errand says; return False if the descriptor is none of theirs."""
        errand = self._running.get(descriptor)
        if errand is None:
            return False
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(descriptor, 1 << 16):
                errand.content += chunk
                if len(errand.content) > _LARGEST:
                    break
            self._end(descriptor, errand)
        return True

    def _end(self, descriptor: int, errand: _Errand) -> None:
        del self._running[descriptor]
        self._poll.unregister(descriptor)
        os.close(descriptor)
        os.kill(errand.pid, signal.SIGKILL)
        os.waitpid(errand.pid, 0)
        try:
            said = json.loads(bytes(errand.content))
        except ValueError:
            said = refusal(Unavailable("docker_silent", "Docker did not answer in time"))
        self._answer({"id": errand.request, **errand.heard(said)})

    def finish(self) -> None:
        """Wait for all, as long as each may take."""
        for descriptor, errand in list(self._running.items()):
            os.waitpid(errand.pid, 0)
            os.close(descriptor)
            del self._running[descriptor]


def refusal(error: BasculeError) -> dict[str, Json]:
    """The answer where something failed."""
    return {"ok": False, "code": error.code, "message": error.message[:300], "remedy": error.remedy[:300]}
