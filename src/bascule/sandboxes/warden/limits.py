"""The limits that are in force for a process somebody else put into a control group, read back from the kernel.

Stops: believing an engine that it set what it was asked to set. A limit of a group above holds as well, so the least
from the process's group up to the root of its tree is what counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bascule.linux.groups import parse_mounts, parse_own
from bascule.sandboxes.warden.cgroups import InForce

_UNLIMITED = 1 << 60


def in_force(process: int) -> InForce:
    """Return what holds.

    Args:
        process: a descriptor of its ``/proc/<pid>``.
    """
    try:
        descriptor = os.open("cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
        with open(descriptor, encoding="utf-8") as text:
            own = parse_own(text.read())
        controllers, unified = parse_mounts(Path("/proc/self/mounts").read_text("utf-8"))
    except (OSError, ValueError):
        return InForce()

    def least(name: str, modern: str, legacy: tuple[str, ...], read: Callable[[str], int]) -> int:
        found = _values(unified, own.get("", "/"), (modern,), read) if unified else []
        if name in controllers:
            found += _values(controllers[name], own.get(name, "/"), legacy, read)
        return min(found, default=0)

    return InForce(
        least("memory", "memory.max", ("memory.limit_in_bytes",), _plain),
        least("pids", "pids.max", ("pids.max",), _plain),
        least("cpu", "cpu.max", ("cpu.cfs_quota_us", "cpu.cfs_period_us"), _share),
    )


def _values(mount: str, own: str, names: tuple[str, ...], read: Callable[[str], int]) -> list[int]:
    return [value for place in _upwards(Path(mount), own) if (value := _value(place, names, read))]


def _upwards(mount: Path, own: str) -> Iterator[Path]:
    place = mount / own.lstrip("/")
    while place != mount and mount in place.parents:
        yield place
        place = place.parent


def _value(place: Path, names: tuple[str, ...], read: Callable[[str], int]) -> int:
    try:
        return read(" ".join((place / name).read_text("ascii").strip() for name in names))
    except OSError:
        return 0


def _plain(text: str) -> int:
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else 0


def _share(text: str) -> int:
    """Thousandths of processors, from a quota and its period in microseconds."""
    words = text.split()
    return int(words[0]) * 1000 // int(words[1]) if len(words) == 2 and all(map(str.isdecimal, words)) else 0
