"""A container's first process: connects to the gateway, starts what it is asked to, and clears up after every call.

Stops: anything of one call being left for the next: after each, no process but this one and the file worker is alive,
which the kernel's own count of children shows, and the scratch places are empty; where that cannot be had, it says so
and the container is replaced. When the gateway goes, so does this process, and with it the whole container. Does not
decide: what may run, be read or be written comes with each order.
"""

from __future__ import annotations

import os
import select
import struct
import time
from _socket import AF_UNIX, CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket

from bascule.sandboxes.resident import orders, signals, text, worker
from bascule.sandboxes.resident.places import PlaceError, Places
from bascule.sandboxes.resident.program import Running, start
from bascule.sandboxes.worker import walls

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

SCRATCHES = ("/tmp", "/dev/shm")  # noqa: S108 -- the container's own
LEAST_LANDLOCK = 1
"""Linux 5.13. Before ABI 3 a filter of system calls sees to it that what may only be read is not cut short either."""

_MOST_FILES = 8
_MOST_PROGRAMS = 16
_CLEARING_SECONDS = 3.0
_WALLS_SECONDS = 30.0
"""Longer than a gateway waits for a container; a warden that lives has removed this one by then."""

_GENTLE_ROUNDS = 20
_STREAMS = (3, 4)


class Despite:
    """``contextlib.suppress``, without what its module brings along."""

    __slots__ = ("_kinds",)

    def __init__(self, *kinds: type[OSError]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        """Go on if it is one of these."""
        return kind is not None and issubclass(kind, self._kinds)


class Resident:
    """Serves one gateway over one socket."""

    def __init__(self, line: socket) -> None:
        """Use ``line``, connected."""
        self._line = line
        self._poll = select.epoll()
        self._ends = signals.ends_of_children()
        for descriptor in (line.fileno(), self._ends):
            self._poll.register(descriptor, select.EPOLLIN)
        self._places = Places(SCRATCHES)
        self._landlock = walls.landlock_abi()
        self._running: dict[int, Running] = {}
        self._worker = 0
        self._made = 0

    def serve(self) -> None:
        """Answer until the gateway is gone."""
        while True:
            for descriptor, _ in self._poll.poll(self._patience()):
                if descriptor == self._line.fileno():
                    if not self._on_line():
                        return
                elif descriptor == self._ends:
                    with Despite(BlockingIOError):
                        os.read(self._ends, 4096)
                    self._reap()
                else:
                    self._on_status(descriptor)
            now = time.monotonic()
            for running in self._running.values():
                if running.deadline <= now:
                    running.timed_out, running.deadline = True, float("inf")
                    self._kill(running)

    def _patience(self) -> float | None:
        nearest = min((running.deadline for running in self._running.values()), default=float("inf"))
        return None if nearest == float("inf") else min(3600.0, max(0.0, nearest - time.monotonic()))

    def _on_line(self) -> bool:
        size = struct.calcsize("i")
        space = CMSG_SPACE(_MOST_FILES * size)
        message, ancillary, _, _ = self._line.recvmsg(orders.LARGEST, space, MSG_CMSG_CLOEXEC)
        if not message:
            return False
        files: list[int] = []
        for level, kind, data in ancillary:
            if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
                files += struct.unpack(f"{len(data) // size}i", data[: len(data) - len(data) % size])
        try:
            self._carry_out(orders.parse(message), files)
        finally:
            for descriptor in files:
                os.close(descriptor)
        return True

    def _carry_out(self, order: dict[str, Any], files: list[int]) -> None:
        operation, number = order["op"], order["id"]
        try:
            if operation == "run":
                self._run(order, files)
                return
            found: dict[str, Any] = {}
            if operation == "worker":
                self._start_worker(files)
            elif operation == "look":
                path, digest, head = self._places.look(order["paths"])
                found = {"path": path, "sha256": digest, "head": head.hex()}
            elif operation == "kill":
                for running in [run for run in self._running.values() if run.number == order["box"]]:
                    self._kill(running)
            else:
                clean = self._clear(order["scratches"])
                found = {"clean": clean, "worker": worker.lives(self._worker)}
            self._say({"id": number, "ok": True, **found})
        except PlaceError as error:
            self._say({"id": number, "ok": False, "code": error.code, "message": error.message})
        except OSError as error:
            self._say({"id": number, "ok": False, "code": "container_error", "message": str(error)[:300]})

    def _say(self, body: dict[str, Any]) -> None:
        self._line.send(text.write(body))

    # -- the file worker

    def _start_worker(self, files: list[int]) -> None:
        if len(files) != 1:
            raise PlaceError("container_order", "a worker takes one descriptor")
        worker.end(self._worker)
        self._worker = worker.start(files[0])

    # -- programs

    def _run(self, order: dict[str, Any], files: list[int]) -> None:
        if len(files) not in _STREAMS or len(self._running) >= _MOST_PROGRAMS:
            raise PlaceError("container_order", "a program takes three descriptors, and one to wait for")
        if self._landlock < LEAST_LANDLOCK:
            raise PlaceError(
                "landlock_old", f"programs in a container need Landlock ABI {LEAST_LANDLOCK}, not {self._landlock}"
            )
        self._places.check(order["program"], order["sha256"])
        rights = self._places.rights(order, self._landlock)
        self._made += 1
        running = start(order, rights, files, self._made, time.monotonic())
        self._running[running.pid] = running
        self._poll.register(running.status, select.EPOLLIN)

    def _on_status(self, descriptor: int) -> None:
        for running in list(self._running.values()):
            if running.status == descriptor:
                self._read_status(running)

    def _read_status(self, running: Running) -> None:
        if running.status < 0:
            return
        with Despite(BlockingIOError):
            while chunk := os.read(running.status, 4096):
                running.text = (running.text + chunk)[:4096]
            self._poll.unregister(running.status)
            os.close(running.status)
            running.status = -1
        if running.is_ready and not running.told:
            running.told = True
            self._say({"id": running.order, "ok": True, "box": running.number})

    def _reap(self) -> bool:
        """Take the dead away; return True if nothing but the file worker is left alive.

        The file worker is a child of another kind (see ``worker.py``), which this does not count.
        """
        ended: list[tuple[Running, int]] = []
        alone = False
        with Despite(ChildProcessError):
            alone = True
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] in self._running:
                    ended.append((self._running.pop(found[0]), os.waitstatus_to_exitcode(found[1])))
            alone = False
        for running, _ in ended:
            self._kill(running)  # what is left of its session holds its streams
        if ended and not self._running:
            alone = self._scour()
        for running, code in ended:
            self._ended(running, code)
        return alone

    def _scour(self) -> bool:
        """Kill everything but the file worker; return True once nothing is left."""
        end = time.monotonic() + _CLEARING_SECONDS
        rounds = 0
        while not self._reap():
            rounds += 1
            if rounds > _GENTLE_ROUNDS:
                os.kill(-1, signals.SIGKILL)  # whoever forks faster than it is found; this takes the worker as well
            else:
                self._kill_others()
            if time.monotonic() > end:
                return False
            time.sleep(0.0005)
        return True

    def _ended(self, running: Running, code: int) -> None:
        self._read_status(running)
        if running.status >= 0:  # a copy of its end is held by a child it left
            self._poll.unregister(running.status)
            os.close(running.status)
        problem, message = running.problem
        if not running.told:
            self._say({"id": running.order, "ok": False, "code": problem or "box_failed", "message": message})
            return
        status = code if code >= 0 else 128 - code
        self._say(
            {"event": "exit", "box": running.number, "exit": status, "problem": problem, "timed_out": running.timed_out}
        )

    def _kill(self, running: Running) -> None:
        """Kill a program and its session; who left that is found when the call is cleared up."""
        for target in (-running.pid, running.pid):
            with Despite(ProcessLookupError, PermissionError):
                os.kill(target, signals.SIGKILL)

    # -- after a call

    def _clear(self, further: list[str]) -> bool:
        """Return True if nothing is left."""
        return self._scour() and all(_empty(place) for place in (*SCRATCHES, *further))

    def _kill_others(self) -> None:
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in {1, self._worker}:
                with Despite(ProcessLookupError, PermissionError):
                    os.kill(int(name), signals.SIGKILL)


def _empty(place: str) -> bool:
    """Remove what stands in a scratch place; False if something resists, such as a tree of great depth."""
    try:
        with os.scandir(place) as entries:
            for entry in list(entries):
                if entry.stat(follow_symlinks=False).st_uid != os.getuid():
                    continue  # the way to a mount that Docker made; no program can make it
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    os.unlink(entry.path)
    except FileNotFoundError:
        return True
    except (OSError, RecursionError):
        return False
    return True


def _remove(directory: str) -> None:
    """Remove a tree by names, which nobody can turn into links meanwhile: nothing else is alive that could write here.

    Raises:
        OSError: something resists.
        RecursionError: it is of great depth.
    """
    os.chmod(directory, 0o700)  # a program can make one that its own account may not look into
    with os.scandir(directory) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                _remove(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(directory)


def _is_tightened() -> bool:
    """Read what ``statvfs`` would say, which an operator's filter of calls may refuse (proc_pid_mountinfo(5))."""
    with open("/proc/self/mountinfo", "rb") as mounts:
        rows = [line.split(b" ") for line in mounts]
    return any(row[4] == b"/" and b"nosuid" in row[5].split(b",") for row in rows)


def _await_walls() -> None:
    """Wait until the warden has compared and tightened what is mounted here: a root without setuid is its last word.

    Else whoever answers at the other end, be it a gateway that was taken over, could have something run before that.

    Raises:
        OSError: it never comes to it.
    """
    end = time.monotonic() + _WALLS_SECONDS
    while not _is_tightened():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.001)


def main(address: str) -> None:
    """Be a container's first process; never returns."""
    status = 3
    try:
        walls.set_dumpable(on=False)
        walls.ignore_interrupts()
        os.umask(0o077)
        _await_walls()
        line = socket(AF_UNIX, SOCK_SEQPACKET)
        line.connect(address)
        Resident(line).serve()
        status = 0
    except (OSError, orders.OrderError):
        status = 3
    finally:
        os._exit(status)
