"""The attacker's program on a raw bridge: tries every way to an address that is not public, and to be one itself.

Run in a container of ours, and in an operator's own as a control; standard library only. ``bridged.py VERB WORDS``;
says as JSON what came of each try.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import struct
import sys
from collections.abc import Callable

PORT = 7007
SECONDS = 2.0


def tried(action: Callable[[], object]) -> str:
    """What came of it: ``ok`` with what it gave, or the error's name."""
    try:
        return f"ok {action()}"
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def knock(*addresses: str) -> dict[str, str]:
    """Ask for a word at each address, by TCP and by UDP."""

    def ask(address: str, kind: int) -> str:
        with socket.socket(socket.AF_INET, kind) as made:
            made.settimeout(SECONDS)
            made.connect((address, PORT))
            made.send(b"let me in")
            return made.recv(40).decode().strip()

    return {
        f"{name} {address}": tried(lambda address=address, kind=kind: ask(address, kind))
        for address in addresses
        for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM))
    }


def _number_of(device: str) -> int:
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 2


def _ways(address: str, site: str) -> dict[str, Callable[[], object]]:
    """Ways past a route: by device, by marks, by options, by another family, by a hand-made packet."""
    target = (address, PORT)
    number = _number_of("eth0")
    loose = b"\x83\x07\x04" + socket.inet_aton(address) + b"\0"  # loose source route, by way of the site

    def with_option(level: int, name: int, value: bytes | int, kind: int = socket.SOCK_DGRAM) -> Callable[[], object]:
        def go() -> object:
            with socket.socket(socket.AF_INET, kind) as made:
                made.settimeout(SECONDS)
                made.setsockopt(level, name, value)
                if kind == socket.SOCK_STREAM:
                    return made.connect(target)
                return made.sendto(b"let me in", target)

        return go

    def with_ancillary(name: int, data: bytes, whom: str = address) -> Callable[[], object]:
        def go() -> object:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
                return made.sendmsg([b"let me in"], [(socket.SOL_IP, name, data)], 0, (whom, PORT))

        return go

    def at_once() -> object:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
            made.settimeout(SECONDS)
            return made.sendto(b"let me in", 0x20000000, target)  # MSG_FASTOPEN

    def mapped() -> object:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as made:
            made.settimeout(SECONDS)
            return made.connect((f"::ffff:{address}", PORT))

    def by_hand() -> object:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as made:
            return made.sendto(struct.pack(">HHHH", 9, PORT, 8, 0), (address, 0))

    def by_frame() -> object:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0800) as made:
            return made.getsockname()

    return {
        "by device": with_option(socket.SOL_SOCKET, 25, b"eth0"),
        "by device, a stream": with_option(socket.SOL_SOCKET, 25, b"eth0", socket.SOCK_STREAM),
        "by device's number": with_option(socket.SOL_SOCKET, 62, number),
        "by interface": with_option(socket.SOL_IP, 50, struct.pack(">I", number)),
        "by mark": with_option(socket.SOL_SOCKET, 36, 1),
        "by options": with_option(socket.SOL_IP, 4, loose),
        "as somebody else": with_option(socket.SOL_IP, 19, 1),
        "to everybody": with_option(socket.SOL_SOCKET, socket.SO_BROADCAST, 1),
        "by a packet's interface": with_ancillary(8, struct.pack("=i8x", number)),
        "by a packet's options": with_ancillary(7, loose, site),
        "at once": at_once, "mapped": mapped, "by hand": by_hand, "by frame": by_frame,
    }  # fmt: skip


def sneak(site: str, *addresses: str) -> dict[str, str]:
    """Try every way to each address; ``site`` is one that may be reached."""
    return {
        f"{name} to {address}": tried(action) for address in addresses for name, action in _ways(address, site).items()
    }


def families() -> dict[str, str]:
    """Make sockets of every kind, and serve."""
    made = {
        "raw": (2, 3, 1), "raw udp": (2, 3, 17), "ping": (2, 2, 1), "udp lite": (2, 2, 136), "mptcp": (2, 1, 262),
        "sctp": (2, 1, 132), "dccp": (2, 6, 33), "ipv6": (10, 1, 0), "ipv6 udp": (10, 2, 0), "unix": (1, 1, 0),
        "route": (16, 3, 0), "netfilter": (16, 3, 12), "packet": (17, 2, 0), "bluetooth": (31, 5, 1), "alg": (38, 5, 0),
        "vsock": (40, 1, 0), "xdp": (44, 3, 0),
    }  # fmt: skip
    found = {name: tried(lambda kind=kind: socket.socket(*kind).close()) for name, kind in made.items()}
    found["bind"] = tried(lambda: socket.socket(2, 1).bind(("0.0.0.0", 7008)))
    found["bind udp"] = tried(lambda: socket.socket(2, 2).bind(("0.0.0.0", 7008)))
    found["listen"] = tried(lambda: socket.socket(2, 1).listen())
    found["group"] = tried(lambda: socket.socket(2, 2).setsockopt(0, 35, socket.inet_aton("224.0.0.251") + bytes(4)))
    return found


def undo() -> dict[str, str]:
    """Get rid of the rules: a network of one's own, another's, a device, a setting."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(result: int) -> str:
        if result < 0:
            raise OSError(ctypes.get_errno(), "refused")
        return "done"

    def write(path: str) -> str:
        with open(path, "w", encoding="ascii") as file:
            file.write("1")
        return "done"

    return {
        "a network of its own": tried(lambda: call(libc.unshare(0x40000000))),
        "a user namespace": tried(lambda: call(libc.unshare(0x10000000))),
        "back into another": tried(lambda: call(libc.setns(os.open("/proc/1/ns/net", os.O_RDONLY), 0))),
        "forwarding": tried(lambda: write("/proc/sys/net/ipv4/ip_forward")),
        "routes by source": tried(lambda: write("/proc/sys/net/ipv4/conf/all/accept_source_route")),
        "another family": tried(lambda: write("/proc/sys/net/ipv6/conf/all/disable_ipv6")),
        "down": tried(
            lambda: __import__("fcntl").ioctl(socket.socket(2, 2), 0x8914, b"eth0".ljust(18, b"\0") + bytes(22))
        ),
    }


def flood(address: str, count: str) -> dict[str, str]:
    """Begin as many connections as fast as it goes, each from a port of its own."""

    def once() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.sendto(b"let me in", (address, PORT))

    found: dict[str, int] = {}
    for _ in range(int(count)):
        said = tried(once)
        found[said] = found.get(said, 0) + 1
    return {said: str(number) for said, number in found.items()}


def names(*asked: str) -> dict[str, str]:
    """Look names up, and go where they lead."""
    found = {}
    for name in asked:
        address = tried(lambda name=name: socket.getaddrinfo(name, PORT, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
        found[name] = address
        if address.startswith("ok "):
            found |= {f"{name} {how}": said for how, said in knock(address[3:]).items()}
    return found


VERBS: dict[str, Callable[..., dict[str, str]]] = {
    "flood": flood, "knock": knock, "sneak": sneak, "families": families, "undo": undo, "names": names,
}  # fmt: skip

if __name__ == "__main__":
    sys.stdout.write(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])))
