"""The attacker's program against the next call: holds whatever the kernel lets a process hold, and will not end.

Tests list it as a tool of the agent and run it outside as a control; standard library only. ``lasting.py VERB WORDS``,
words in hexadecimal; says as JSON what came of each try, ``ok`` where something was had.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE = ("x86_64", "aarch64").index(os.uname().machine)
NUMBERS = {
    "io_uring": (425, 425), "userfaultfd": (323, 282), "keyring": (248, 217), "fanotify": (300, 262), "memfd": (319, 279),
    "queue": (240, 180), "seccomp": (317, 277), "getppid": (110, 173), "clone": (56, 220), "exit": (60, 93),
}  # fmt: skip
LEASE, OFD_LOCK, CLONE_VFORK = 1024, 37, 0x4000
INSTANCES = 100
"""Inotify instances that are left; an account has 128."""

FEW = 20
SCRATCH = 4 << 20
SLEEP = 600
KEPT: list[object] = []


def tried(action: Callable[[], object]) -> str:
    """What came of it: ``ok``, or the error's name."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def call(name: str, *arguments: object) -> int:
    return checked(LIBC.syscall(ctypes.c_long(NUMBERS[name][MACHINE]), *arguments))


def opened(name: str) -> int:
    # Without waiting: whoever opens what is leased does so for 45 seconds.
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o600)


def locks(place: str) -> dict[str, Callable[[], object]]:
    """Every kind of lock, on a file of its own each."""
    whole = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
    return {
        "lease": lambda: fcntl.fcntl(opened(f"{place}/lease"), LEASE, fcntl.F_WRLCK),
        "flock": lambda: fcntl.flock(opened(f"{place}/flock"), fcntl.LOCK_EX | fcntl.LOCK_NB),
        "lock of an open file": lambda: fcntl.fcntl(opened(f"{place}/ofd"), OFD_LOCK, whole),
        "record lock": lambda: fcntl.lockf(opened(f"{place}/lockf"), fcntl.LOCK_EX | fcntl.LOCK_NB),
    }


def adrift(place: str, scratch: str) -> None:
    """Send a lock, a deleted file and watches over sockets that only hold each other, and let go of all."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    locked = opened(f"{place}/adrift")
    fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    watches = [LIBC.inotify_init1(0) for _ in range(FEW)]
    held = [locked, deleted(scratch), one.fileno(), other.fileno(), *(watch for watch in watches if watch >= 0)]
    for end in (one, other):
        end.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", held))])
    for descriptor in held:
        os.close(descriptor)
    one.detach()
    other.detach()


def watched(place: str) -> None:
    checked(LIBC.inotify_add_watch(checked(LIBC.inotify_init1(0)), place.encode(), 0xFFF))


def deleted(place: str) -> int:
    """A file that has no name any more and takes room all the same."""
    name = f"{place}/deleted-{os.getpid()}"
    made = opened(name)
    os.unlink(name)
    os.write(made, b"x" * SCRATCH)
    return made


def headless() -> None:
    """Without its first thread, which is what others see of a process."""
    threading.Thread(target=time.sleep, args=(SLEEP,)).start()
    call("exit", 0)


def notified() -> None:
    """Wait in a call of which nobody will ever be told."""
    # Load the number; a call of getppid waits for whoever holds the listener; all others pass.
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, NUMBERS["getppid"][MACHINE]), (6, 0, 0, 0x7FC00000), (6, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    LIBC.prctl(38, 1, 0, 0, 0)
    call("seccomp", 1, 8, program)
    LIBC.syscall(ctypes.c_long(NUMBERS["getppid"][MACHINE]))


def borrowed() -> None:
    """Wait for a child that has borrowed this process and never gives it back."""
    if LIBC.syscall(ctypes.c_long(NUMBERS["clone"][MACHINE]), ctypes.c_long(CLONE_VFORK | 17), 0, 0, 0, 0) == 0:
        time.sleep(SLEEP)


STATES: dict[str, Callable[[], object]] = {
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "headless": headless,
    "notified": notified,
    "borrowed": borrowed,
    "namespaces": lambda: KEPT.extend(os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in os.listdir("/proc/self/ns")),
    "timers": lambda: (signal.signal(signal.SIGALRM, lambda *_: None), signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)),
}  # fmt: skip


def leave(place: str, scratch: str) -> dict[str, str]:
    """Hold everything in processes of all kinds, then end as if nothing were."""
    tries = locks(place) | {
        "adrift": lambda: adrift(place, scratch),
        "deleted": lambda: KEPT.append(deleted(scratch)),
        "watches": lambda: [watched(place) for _ in range(INSTANCES - FEW)],
        "io_uring": lambda: call("io_uring", 8, ctypes.create_string_buffer(256)),
        "userfaultfd": lambda: call("userfaultfd", 1),
        "keyring": lambda: call("keyring", b"user", b"left", b"left", ctypes.c_long(4), ctypes.c_long(-4)),
        "fanotify": lambda: call("fanotify", 0, 0),
        "memfd": lambda: call("memfd", b"left", 0),
        "queue": lambda: call("queue", b"left", os.O_CREAT | os.O_RDWR, 0o600, None),
    }
    os.mkdir(f"{scratch}/closed", 0)
    os.mkdir(f"{scratch}/closed too", 0o300)
    os.mkdir(f"{scratch}/closed too/closed", 0o300)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        said = {name: tried(action) for name, action in tries.items()}
        said |= {name: str(beget(action)) for name, action in STATES.items()}
        os.write(writing, json.dumps(said).encode())
        wait(writing)
    return dict(json.loads(os.read(reading, 1 << 16)))


def beget(action: Callable[[], object]) -> int:
    """A process of its own that does something and then waits."""
    child = os.fork()
    if child == 0:
        os.setsid()
        for descriptor in (0, 1, 2):  # whoever waits for its streams would wait for it
            os.close(descriptor)
        with suppress(OSError):
            action()
        wait()
    return child


def wait(*also: int) -> None:
    for descriptor in (0, 1, 2, *also):
        with suppress(OSError):
            os.close(descriptor)
    for each in range(1, 32):
        if each not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM):
            signal.signal(each, signal.SIG_IGN)
    while True:
        time.sleep(SLEEP)


def stay(place: str, scratch: str) -> dict[str, str]:
    """Hold everything and do not end."""
    leave(place, scratch)
    wait()
    return {}


def meet(place: str, scratch: str) -> dict[str, str]:
    """What an earlier call holds; nothing if it is as if there had been none."""
    found = {name: came for name, action in locks(place).items() if (came := tried(action)) not in {"ok", "EPERM"}}
    came = tried(lambda: fcntl.flock(opened(f"{place}/adrift"), fcntl.LOCK_EX | fcntl.LOCK_NB))
    found |= {} if came == "ok" else {"adrift": came}
    instances = 0
    while instances < INSTANCES and LIBC.inotify_init1(0) >= 0:
        instances += 1
    found |= {} if instances == INSTANCES else {"watches": str(instances)}
    room = os.statvfs(scratch)
    found |= {} if (room.f_blocks - room.f_bfree) * room.f_frsize < SCRATCH else {"room": "taken"}
    found |= {name: "ok" for name in os.listdir(scratch) if name.startswith(("closed", "deleted"))}
    for pid in [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in {1, os.getpid()}]:
        with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as words:
            if b"lasting" in words.read():
                found[f"process {pid}"] = "ok"
    return found


def become(uid: str, verb: str, *words: str) -> dict[str, str]:
    """Another verb under another account."""
    os.setgroups([])
    os.setresgid(int(uid), int(uid), int(uid))
    os.setresuid(int(uid), int(uid), int(uid))
    LIBC.prctl(4, 1, 0, 0, 0)  # as it was before the account changed
    return VERBS[verb](*words)


VERBS: dict[str, Callable[..., dict[str, str]]] = {"leave": leave, "stay": stay, "meet": meet, "become": become}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(VERBS[sys.argv[1]](*(bytes.fromhex(word).decode() for word in sys.argv[2:]))))
    sys.stdout.flush()
    os._exit(0)
