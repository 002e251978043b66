"""What a file worker is told at start and what it answers: set-up, self-test, and the verdict on it.

Stops: an unfit box being used. A hello that does not parse is no hello, and each measurement that falls short is named.
Does not stop: a worker that lies about itself; hence the uid that counts is the kernel's word, not the worker's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from bascule.core.errors import Unavailable
from bascule.core.posture import Posture
from bascule.sandboxes.worker.frames import FrameError, flag, number, pairs

_FATES = {b"denied", b"refused", b"readable", b"missing"}
_LIMITS = ("file_bytes", "write_bytes", "read_bytes", "glob_entries")


@dataclass(frozen=True, slots=True)
class Root:
    """A place the worker may use: a directory, or one granted file; ``path`` is a normal box path."""

    path: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Maxima: sizes in bytes, directory entries one expansion may look at."""

    file_bytes: int = 256 << 20
    write_bytes: int = 8 << 20
    read_bytes: int = 8 << 20
    glob_entries: int = 100_000


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is told at start.

    Attributes:
        roots: where it may work; none for one that reads pages.
        canary: a box path that only the gateway's account may read.
        limits: maxima.
        pages: it makes text of pages, and may open no file at all.
    """

    roots: tuple[Root, ...]
    canary: str
    limits: WorkerLimits = WorkerLimits()
    pages: bool = False

    def fields(self) -> list[bytes]:
        """The set-up frame's fields."""
        limits = self.limits
        return [
            b"version=1",
            b"canary=" + os.fsencode(self.canary),
            b"pages=%d" % self.pages,
            *(b"root=" + (b"rw:" if root.writable else b"ro:") + os.fsencode(root.path) for root in self.roots),
            *(f"{name}={getattr(limits, name)}".encode() for name in _LIMITS),
        ]


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker measured of itself, and what the kernel says of it.

    Attributes:
        kernel_uid: uid of the sender in the gateway's user namespace, from the kernel (``SCM_CREDENTIALS``).
        kernel_pid: its process id in the gateway's namespace, 0 if it has none there.
        uid: inside its user namespace.
        outer_uid: one namespace further out, by its own account.
        canary: ``denied``, ``refused``, ``readable`` or ``missing``.
        seccomp: mode; 2 is filtering.
        capabilities: union of all sets.
        no_new_privs: the flag is set.
        routes: network routes besides loopback.
        landlock: ABI in force.
        dumpable: other processes of its uid may look into it.
    """

    kernel_uid: int
    kernel_pid: int
    uid: int
    outer_uid: int
    canary: str
    seccomp: int
    capabilities: int
    no_new_privs: bool
    routes: int
    landlock: int
    dumpable: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What a hello is held against: the agent's and the gateway's kernel uid, and the least Landlock ABI.

    ``single``: they are one, and whether policy calls for that is layer 1's to say; then no canary is to be seen.
    ``bridged``: policy puts the box on a bridge, so it sees routes; layer 3 says so.
    """

    uid: int
    gateway_uid: int
    minimum_landlock: int = 1
    single: bool = False
    bridged: bool = False


def posture(hello: Hello, expected: Expected, *, memory_limit: int, pids_limit: int, cpus_limit: int = 0) -> Posture:
    """Judge a hello; ``problems`` is empty if the worker is fit for use.

    Args:
        hello: the measurements.
        expected: what they should be.
        memory_limit: bytes in force, 0 if none, as the backend set it.
        pids_limit: processes in force, 0 if none, as the backend set it.
        cpus_limit: thousandths of processors in force, 0 if none, as the backend set it.
    """
    canary = "missing" if expected.single else "denied"
    checks = (
        (hello.kernel_uid == 0, "the worker runs as root"),
        (
            hello.kernel_uid == expected.gateway_uid and not expected.single,
            "the worker runs under the gateway's account",
        ),
        (hello.kernel_uid != expected.uid, f"the worker runs as uid {hello.kernel_uid}, not {expected.uid}"),
        (hello.canary != canary, f"the canary file is {hello.canary}, not {canary}"),
        (hello.seccomp != 2, f"seccomp mode is {hello.seccomp}, not 2"),
        (hello.capabilities != 0, f"capabilities remain: {hello.capabilities:x}"),
        (not hello.no_new_privs, "no_new_privs is not set"),
        (hello.routes != 0 and not expected.bridged, f"{hello.routes} network routes are visible"),
        (hello.landlock < expected.minimum_landlock, f"Landlock ABI {hello.landlock} < {expected.minimum_landlock}"),
        (hello.dumpable, "the worker can be traced by its own account"),
    )
    return Posture(
        kernel_uid=hello.kernel_uid,
        gateway_uid=expected.gateway_uid,
        canary_denied=hello.canary == "denied",
        seccomp=hello.seccomp,
        capabilities=hello.capabilities,
        no_new_privs=hello.no_new_privs,
        routes=hello.routes,
        landlock_abi=hello.landlock,
        memory_limit=memory_limit,
        pids_limit=pids_limit,
        cpus_limit=cpus_limit,
        problems=tuple(problem for failed, problem in checks if failed),
    )


def read_hello(untrusted_fields: list[bytes], pid: int, uid: int) -> Hello:
    """Return the hello in a worker's first frame.

    Args:
        untrusted_fields: the frame.
        pid: the sender's process id, from the kernel.
        uid: the sender's uid, from the kernel.

    Raises:
        FrameError: a measurement is missing, doubled or no value of its kind.
        Unavailable: ``worker_setup``: the worker could not open a root or build a wall.
    """
    values = dict(untrusted := pairs(untrusted_fields))
    if len(values) != len(untrusted) or values.get("version") != b"1" or "problem" not in values:
        raise FrameError("not a hello")
    if values["problem"]:
        raise Unavailable(
            "worker_setup", "the file worker could not open its roots or build its walls: " + _code(values)
        )
    try:
        if values["canary"] not in _FATES:
            raise FrameError("not a canary's fate")
        return Hello(
            kernel_uid=uid,
            kernel_pid=pid,
            uid=number(values["uid"], 1 << 32),
            outer_uid=number(values["outer_uid"], 1 << 32),
            canary=values["canary"].decode("ascii"),
            seccomp=number(values["seccomp"], 9),
            capabilities=_hexadecimal(values["capabilities"]),
            no_new_privs=flag(values["no_new_privs"]),
            routes=number(values["routes"], 1 << 20),
            landlock=number(values["landlock"], 1 << 10),
            dumpable=flag(values["dumpable"]),
        )
    except KeyError:
        raise FrameError("a measurement is missing") from None


def _hexadecimal(untrusted_field: bytes) -> int:
    if not re.fullmatch(rb"[0-9a-f]{1,16}", untrusted_field):
        raise FrameError("not a hexadecimal number")
    return int(untrusted_field, 16)


def _code(values: dict[str, bytes]) -> str:
    code = values["problem"]
    if not re.fullmatch(rb"[a-z_]{1,40}", code):
        raise FrameError("not a code")
    return code.decode("ascii")
