"""What a worker measures about itself: who it is, what walls stand, what it can reach.

Stops: claiming a wall that is not there: each value is read back from the kernel after the wall was built, the canary
and the routes before Landlock could hide them. Does not stop: a lie, were the Python in the box not ours; the gateway
therefore also asks the kernel for the sender's uid.
"""

from __future__ import annotations

import os

_SETS = (b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb")


class SelfTest:
    """Opens what must be read back later, and measures what the walls will hide.

    Raises:
        OSError: ``/proc`` is not mounted.
    """

    def __init__(self, canary: bytes) -> None:
        self._status = os.open(b"/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        self._map = _read(b"/proc/self/uid_map")
        self._routes = count_routes(_read(b"/proc/self/net/route"), _read(b"/proc/self/net/ipv6_route"))
        self._canary = try_canary(canary)

    def report(self, landlock: int, *, dumpable: bool) -> list[bytes]:
        """Return the measurements as ``name=value`` fields.

        Args:
            landlock: ABI in force, from the wall itself, for the kernel shows it nowhere.
            dumpable: asked before the filter, behind which nobody can ask or change it.

        Raises:
            OSError: the kernel's account of this process cannot be read.
        """
        os.lseek(self._status, 0, os.SEEK_SET)
        status = parse_status(os.read(self._status, 1 << 16))
        os.close(self._status)
        uid = int(status[b"Uid"].split()[0])
        capabilities = 0
        for name in _SETS:
            capabilities |= int(status[name], 16)
        values = {
            "version": 1,
            "uid": uid,
            "outer_uid": outer_uid(uid, self._map),
            "canary": self._canary,
            "seccomp": int(status[b"Seccomp"]),
            "capabilities": f"{capabilities:x}",
            "no_new_privs": int(status[b"NoNewPrivs"]),
            "routes": self._routes,
            "landlock": landlock,
            "dumpable": int(dumpable),
        }
        return [f"{name}={value}".encode("ascii") for name, value in values.items()]


def _read(path: bytes) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def parse_status(text: bytes) -> dict[bytes, bytes]:
    """Return the fields of ``/proc/self/status``."""
    rows = (line.partition(b":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in rows}


def outer_uid(uid: int, uid_map: bytes) -> int:
    """Return what ``uid`` is called one user namespace further out, or 65534 (nobody) if the map does not say."""
    for line in uid_map.splitlines():
        inside, outside, count = map(int, line.split())
        if inside <= uid < inside + count:
            return outside + uid - inside
    return 65534


def count_routes(ipv4: bytes, ipv6: bytes) -> int:
    """Return how many routes lead out by any device but loopback.

    Args:
        ipv4: ``/proc/net/route``, device in the first column under one heading line; empty if there is no such file.
        ipv6: ``/proc/net/ipv6_route``, device in the last column.
    """
    devices = [line.split()[0] for line in ipv4.splitlines()[1:] if line.strip()]
    devices += [line.split()[-1] for line in ipv6.splitlines() if line.strip()]
    return sum(device != b"lo" for device in devices)


def try_canary(path: bytes) -> str:
    """Open a file that only the gateway may read, and tell what came of it."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError as error:
        return "denied" if error.errno == _EACCES else "refused"
    except OSError:
        return "missing"
    return "readable"


_EACCES = 13
"""Denied by the file's mode; EPERM would be some other wall's doing and proves nothing about accounts."""
