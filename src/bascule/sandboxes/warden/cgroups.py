"""Limits of memory, processes and processors by control groups, version 2 or 1, or none; what is in force is read back.

Stops: a box using up the machine's memory, process table or processors. Does not stop anything where the machine gives
no controller; then the limit reads 0, resource limits of single processes are all there is, and a finding says so.
Groups are kept and used again, for making one costs more than setting one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bascule.core.confinement import Limits
from bascule.linux.groups import CONTROLLERS, SEAT, enable, parse_mounts, parse_own

_PREFIX = "bascule-"
_OVERHEAD_PIDS = 3
"""bubblewrap's two processes, and one that is just being replaced by the program."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What the kernel says it limits a group to: bytes, processes, thousandths of processors; 0 for no limit."""

    memory: int = 0
    pids: int = 0
    cpus: int = 0

    def joined(self, other: InForce) -> InForce:
        """Both together, each of another hierarchy."""
        return InForce(*(max(getattr(self, name), getattr(other, name)) for name in InForce.__slots__))


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One place groups can be made.

    Attributes:
        base: the warden's own directory in it.
        memory_file: holds the memory limit, empty if this hierarchy has none.
        swap_file: holds the limit that covers swap, written around the memory limit; may be missing on the machine.
        swap_open: what to write to it before; version 1 refuses a memory limit above it.
        swap_closed: what to write to it after, empty for the memory limit itself.
        pids_file: holds the process limit, empty if this hierarchy has none.
        cpu_file: holds the processor time of each period, empty if this hierarchy has none.
        period_file: holds the period in microseconds; empty where the same file holds both (version 2).
    """

    base: Path
    memory_file: str = ""
    swap_file: str = ""
    swap_open: str = ""
    swap_closed: str = ""
    pids_file: str = ""
    cpu_file: str = ""
    period_file: str = ""

    def limit(self, directory: Path, limits: Limits) -> InForce:
        """Set the limits of one group and return those then in force."""
        memory = pids = cpus = 0
        if self.memory_file:
            _set(directory / self.swap_file, self.swap_open)
            memory = _set(directory / self.memory_file, str(limits.memory_bytes))
            _set(directory / self.swap_file, self.swap_closed or str(limits.memory_bytes))
        if self.pids_file:
            pids = max(0, _set(directory / self.pids_file, str(limits.pids + _OVERHEAD_PIDS)) - _OVERHEAD_PIDS)
        if self.cpu_file:
            cpus = self._processors(directory, *limits.quota())
        return InForce(memory, pids, cpus)

    def _processors(self, directory: Path, quota: int, period: int) -> int:
        both = not self.period_file
        try:
            if not both:
                # Version 1 checks the pair at each write, and the group may have had another one.
                (directory / self.cpu_file).write_text("-1")
                (directory / self.period_file).write_text(str(period))
            (directory / self.cpu_file).write_text(f"{quota} {period}" if both else str(quota))
            said = [(directory / name).read_text() for name in (self.cpu_file, self.period_file) if name]
        except OSError:
            return 0
        read = " ".join(said).split()
        return int(read[0]) * 1000 // int(read[1]) if len(read) == 2 and all(map(str.isdecimal, read)) else 0


@dataclass(frozen=True, slots=True)
class Group:
    """One group, as its directory in every hierarchy; none where groups cannot be made."""

    directories: tuple[Path, ...]

    def join(self) -> None:
        """Put the calling process into the group; it has one thread.

        Version 1 takes that thread by itself. Moving it as a process makes the kernel hold up every fork and exit of
        the machine until all processors have passed a quiescent state, some 10 ms (``cgroup_attach_lock``).

        Raises:
            OSError: as the kernel says.
        """
        for directory in self.directories:
            threads = directory / "tasks"
            _write(threads if threads.exists() else directory / "cgroup.procs", "0")

    def kill(self) -> None:
        """Kill every member where the kernel can do so at once (version 2); elsewhere do nothing."""
        for directory in self.directories:
            killer = directory / "cgroup.kill"
            if killer.exists():
                killer.write_text("1")


class Cgroups:
    """Makes, lends and takes back groups."""

    def __init__(self, hierarchies: tuple[Hierarchy, ...], locks: tuple[int, ...]) -> None:
        self._hierarchies = hierarchies
        self._locks = locks
        self._free: list[tuple[Path, ...]] = []
        self._in_force: dict[tuple[Path, ...], tuple[Limits, InForce]] = {}
        self._made = 0

    def lend(self) -> Group:
        """Return an empty group without limits; it has no directory where no controller can be used."""
        if not self._hierarchies:
            return Group(())
        try:
            return Group(self._free.pop() if self._free else self._make())
        except OSError:
            return Group(())

    def limit(self, group: Group, limits: Limits) -> InForce:
        """Set a group's limits and return those then in force.

        What was read back of a group once holds until other limits are asked for: only this warden may write there.
        """
        known = self._in_force.pop(group.directories, None)
        if known is None or known[0] != limits:
            known = (limits, self._set(group, limits))
        if known[1].memory and known[1].pids:
            self._in_force[group.directories] = known
        return known[1]

    def _set(self, group: Group, limits: Limits) -> InForce:
        found = InForce()
        if group.directories:
            for hierarchy, directory in zip(self._hierarchies, group.directories, strict=True):
                found = found.joined(hierarchy.limit(directory, limits))
        return found

    def take_back(self, group: Group) -> None:
        """Keep an emptied group for the next box."""
        if group.directories:
            self._free.append(group.directories)

    def _make(self) -> tuple[Path, ...]:
        self._made += 1
        made = tuple(hierarchy.base / str(self._made) for hierarchy in self._hierarchies)
        for directory in made:
            directory.mkdir()
        return made

    def close(self) -> None:
        """Remove every group that is empty."""
        for hierarchy in self._hierarchies:
            _remove(hierarchy.base)
        for lock in self._locks:
            os.close(lock)
        self._hierarchies, self._locks, self._free = (), (), []
        self._in_force.clear()


def _write(path: Path, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode("ascii"))
    finally:
        os.close(descriptor)


def _set(path: Path, value: str) -> int:
    """Set a limit and return what the kernel made of it: 0 if it is missing or means no limit."""
    try:
        path.write_text(value)
        read = path.read_text().strip()
    except OSError:
        return 0
    return int(read) if read.isdecimal() and int(read) < 1 << 60 else 0


def _remove(base: Path) -> None:
    for child in [*base.glob("[0-9]*"), base]:
        try:
            child.rmdir()
        except OSError:  # still in use or already gone: the next warden tries again
            continue


def _claim(parent: Path) -> tuple[Path, int]:
    """Make this warden's own directory below ``parent``, after removing what dead wardens left."""
    for stale in parent.glob(_PREFIX + "*"):
        descriptor = os.open(stale, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(stale)
        except OSError:
            continue
        finally:
            os.close(descriptor)
    base = parent / (_PREFIX + os.urandom(8).hex())
    base.mkdir()
    lock = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return base, lock


def _unified(mount: Path, own: str) -> tuple[Hierarchy, int] | None:
    """Version 2: beside this process's seat if it has one; else below the root, or the own group, by what may be."""
    place = mount / own.lstrip("/")
    for parent in (place.parent,) if place.name == SEAT else (mount, place):
        try:
            if not enable(parent, ()):
                continue
            base, lock = _claim(parent)
            given = enable(base, CONTROLLERS)
        except OSError:
            continue
        return Hierarchy(base, **{key: value for name in given for key, value in _UNIFIED[name].items()}), lock
    return None


_UNIFIED: Mapping[str, Mapping[str, str]] = {
    "memory": {
        "memory_file": "memory.max", "swap_file": "memory.swap.max", "swap_open": "0", "swap_closed": "0",
    },
    "pids": {"pids_file": "pids.max"},
    "cpu": {"cpu_file": "cpu.max"},
}  # fmt: skip
_LEGACY: Mapping[str, Mapping[str, str]] = {
    "memory": {
        "memory_file": "memory.limit_in_bytes", "swap_file": "memory.memsw.limit_in_bytes", "swap_open": "-1",
    },
    "pids": {"pids_file": "pids.max"},
    "cpu": {"cpu_file": "cpu.cfs_quota_us", "period_file": "cpu.cfs_period_us"},
}  # fmt: skip


def _legacy(controllers: Mapping[str, str], own: Mapping[str, str]) -> Iterable[tuple[Hierarchy, int]]:
    for name, files in _LEGACY.items():
        if name in controllers:
            with contextlib.suppress(OSError):
                base, lock = _claim(Path(controllers[name]) / own.get(name, "/").lstrip("/"))
                yield Hierarchy(base, **files), lock


def detect() -> Cgroups:
    """Return what this machine and account can limit by groups; possibly nothing."""
    try:
        controllers, unified = parse_mounts(Path("/proc/self/mounts").read_text("utf-8"))
        own = parse_own(Path("/proc/self/cgroup").read_text("utf-8"))
    except (OSError, ValueError):
        return Cgroups((), ())
    modern = _unified(Path(unified), own.get("", "/")) if unified else None
    found = [modern] if modern else list(_legacy(controllers, own))
    return Cgroups(tuple(item[0] for item in found), tuple(item[1] for item in found))
