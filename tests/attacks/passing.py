"""The attacker's program that passes a word on: leaves it wherever the kernel keeps anything, or looks for it there.

Tests list it as a tool of the agent and run it outside as a control; standard library only. ``passing.py VERB WORDS``,
words in hexadecimal; says as JSON what came of each try, ``ok`` where something was had. What lies in the agent's own
directory is no secret among its sessions and is not tried.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE = ("x86_64", "aarch64").index(os.uname().machine)
ADD_KEY, KEYCTL, MQ_OPEN = (248, 217)[MACHINE], (250, 219)[MACHINE], (240, 180)[MACHINE]
SEARCH, JOIN_SESSION = 10, 1
RINGS = {"session keyring": -3, "user keyring": -4, "user session keyring": -5}
PLACES = (
    "/tmp",
    "/dev/shm",
    "/var/tmp",
    "/run",
    "/run/lock",
    "/dev/mqueue",
    "/dev",
    "/",
    "/etc",
    "/opt",
    "/mnt",
    "/home",
)
ADDRESSES = {
    "tcp": ("127.0.0.1", 1),
    "tcp of version 6": ("::1", 1),
    "udp": ("127.0.0.1", 2),
    "udp of version 6": ("::1", 2),
}
HELD: list[object] = []
NAME = "held.json"


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


def call(number: int, *arguments: object) -> int:
    return checked(LIBC.syscall(ctypes.c_long(number), *arguments))


def key_of(word: str) -> int:
    return int(word[-6:], 16)


def port_of(word: str) -> int:
    return 20_000 + key_of(word) % 40_000


def written(path: str, word: str) -> None:
    with open(path, "x", encoding="ascii") as file:
        file.write(word)


def bound(family: int, kind: int, address: object) -> None:
    made = socket.socket(family, kind)
    HELD.append(made)
    made.bind(address)
    if kind == socket.SOCK_STREAM:
        made.listen()


def reached(family: int, kind: int, address: object) -> None:
    with socket.socket(family, kind) as made:
        made.settimeout(2)
        made.connect(address)
        if kind == socket.SOCK_DGRAM and family != socket.AF_UNIX:  # who does not listen there says so to the next word
            made.send(b"x")
            select.select([made], [], [], 0.2)
            made.send(b"x")


def sockets(word: str, action: Callable[[int, int, object], None]) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {}
    for name, (host, kind) in ADDRESSES.items():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found[name] = lambda f=family, k=kind, h=host: action(f, k, (h, port_of(word)))
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        found[f"abstract {kind.name}"] = lambda k=kind: action(socket.AF_UNIX, k, f"\0{word}{int(k)}")
        found[f"socket in /tmp {kind.name}"] = lambda k=kind: action(socket.AF_UNIX, k, f"/tmp/{word}{int(k)}")
    return found


def objects(word: str, flags: int) -> dict[str, Callable[[], object]]:
    """Kernel objects that outlast whoever makes them; ``flags`` as for making or for finding."""
    key = key_of(word)
    return {
        "shared memory": lambda: checked(LIBC.shmget(key, 4096, flags)),
        "message queue": lambda: checked(LIBC.msgget(key, flags)),
        "semaphores": lambda: checked(LIBC.semget(key, 1, flags)),
        "named queue": lambda: call(MQ_OPEN, word.encode(), os.O_RDWR | (os.O_CREAT if flags & 0o1000 else 0), 0o666, None),
    }  # fmt: skip


def leave(word: str) -> dict[str, str]:
    """Leave it everywhere, and a process that goes on."""
    text = word.encode()
    tries: dict[str, Callable[[], object]] = {
        f"file in {place}": lambda p=place: written(f"{p}/{word}", word) for place in PLACES
    }
    tries |= {
        ring: lambda n=number: call(ADD_KEY, b"user", text, text, ctypes.c_long(len(text)), ctypes.c_long(n))
        for ring, number in RINGS.items()
    }
    tries |= sockets(word, bound) | objects(word, 0o1666) | {
        "fifo": lambda: os.mkfifo(f"/tmp/{word}-fifo"),
        "new session keyring": lambda: call(KEYCTL, JOIN_SESSION, text),
        "hostname": lambda: checked(LIBC.sethostname(text, len(text))),
        "domain": lambda: checked(LIBC.setdomainname(text, len(text))),
        "name": lambda: checked(LIBC.prctl(15, text[:15], 0, 0, 0)),
        "open file": lambda: HELD.append(os.open("/tmp", os.O_TMPFILE | os.O_RDWR)),
        "setting": lambda: os.close(os.open("/proc/sys/kernel/domainname", os.O_WRONLY)),
    }  # fmt: skip
    found = {name: tried(action) for name, action in tries.items()}
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in (0, 1, 2):
                os.close(descriptor)
            signal.alarm(60)
            os.execve("/proc/self/exe", ["passing", "-ISc", "import time; time.sleep(60)", word], {"WORD": word})
        os._exit(0)
    os.wait()
    return found


def hold(word: str) -> dict[str, str]:
    """Leave it everywhere and stay; what came of it stands in the agent's own directory."""
    found = leave(word)
    with open(f"/workspace/workspace/{NAME}.new", "w", encoding="ascii") as file:
        json.dump(found, file)
    os.rename(f"/workspace/workspace/{NAME}.new", f"/workspace/workspace/{NAME}")
    signal.pause()
    return found


def meet(word: str) -> dict[str, str]:
    """Whatever of it is to be had."""
    text = word.encode()
    tries: dict[str, Callable[[], object]] = {
        f"file in {place}": lambda p=place: os.stat(f"{p}/{word}") for place in PLACES
    }
    tries |= {
        ring: lambda n=number: call(KEYCTL, SEARCH, ctypes.c_long(n), b"user", text, 0)
        for ring, number in RINGS.items()
    }
    tries |= sockets(word, reached) | objects(word, 0o666) | {"fifo": lambda: os.stat(f"/tmp/{word}-fifo")}
    found = {name: "ok" for name, action in tries.items() if tried(action) == "ok"}
    if word in (*os.uname(), *os.environ.values()):
        found["machine"] = "ok"
    for path in ("/proc/keys", "/proc/key-users", "/proc/net/unix", "/proc/sysvipc/shm", "/proc/sys/kernel/domainname"):
        with suppress(OSError), open(path, "rb") as file:
            found |= {path: "ok"} if text in file.read() else {}
    for pid in [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]:
        for name in ("environ", "cmdline", "comm"):
            with suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
                # Whoever looks for it for somebody else has it among its words as well, as digits.
                found |= {f"process's {name}": "ok"} if text[:15] in file.read() else {}
    return found


def clear(word: str) -> dict[str, str]:
    """Take away what was left without any wall."""
    LIBC.shmctl(LIBC.shmget(key_of(word), 0, 0), 0, None)
    LIBC.msgctl(LIBC.msgget(key_of(word), 0), 0, None)
    LIBC.semctl(LIBC.semget(key_of(word), 0, 0), 0, 0, None)
    LIBC.syscall(ctypes.c_long(MQ_OPEN + 1), word.encode())
    for name in [f"{place}/{word}" for place in PLACES] + [f"/tmp/{word}{end}" for end in ("-fifo", "1", "2")]:
        with suppress(OSError):
            os.unlink(name)
    return {}


VERBS: dict[str, Callable[..., dict[str, str]]] = {"leave": leave, "hold": hold, "meet": meet, "clear": clear}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(VERBS[sys.argv[1]](*(bytes.fromhex(word).decode() for word in sys.argv[2:]))))
