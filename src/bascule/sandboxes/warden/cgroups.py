"""Memory and process limits by control groups, version 2 or 1, or none; what is in force is read back, never assumed.

Stops: a box using up the machine's memory or process table. Does not stop anything where the machine gives no
controller; then the limit reads 0, resource limits of single processes are all there is, and a finding says so.
Groups are kept and used again, for making one costs more than setting one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bascule.core.confinement import Limits

_PREFIX = "bascule-"
_OVERHEAD_PIDS = 3
"""bubblewrap's two processes, and one that is just being replaced by the program."""


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
    """

    base: Path
    memory_file: str = ""
    swap_file: str = ""
    swap_open: str = ""
    swap_closed: str = ""
    pids_file: str = ""

    def limit(self, directory: Path, limits: Limits) -> tuple[int, int]:
        """Set the limits of one group and return the bytes and processes then in force, 0 for none."""
        memory = pids = 0
        if self.memory_file:
            _set(directory / self.swap_file, self.swap_open)
            memory = _set(directory / self.memory_file, str(limits.memory_bytes))
            _set(directory / self.swap_file, self.swap_closed or str(limits.memory_bytes))
        if self.pids_file:
            pids = max(0, _set(directory / self.pids_file, str(limits.pids + _OVERHEAD_PIDS)) - _OVERHEAD_PIDS)
        return memory, pids


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


def parse_mounts(mountinfo: str) -> tuple[Mapping[str, str], str]:
    """Return where each version 1 controller and the version 2 tree are mounted, from ``/proc/self/mounts`` text."""
    controllers: dict[str, str] = {}
    unified = ""
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[2] == "cgroup":
            controllers |= dict.fromkeys(fields[3].split(","), fields[1])
        elif len(fields) > 3 and fields[2] == "cgroup2":
            unified = fields[1]
    return controllers, unified


def parse_own(text: str) -> Mapping[str, str]:
    """Return this process's group by controller, from ``/proc/self/cgroup`` text; the empty name is version 2."""
    own: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)
    return own


class Cgroups:
    """Makes, lends and takes back groups."""

    def __init__(self, hierarchies: tuple[Hierarchy, ...], locks: tuple[int, ...]) -> None:
        self._hierarchies = hierarchies
        self._locks = locks
        self._free: list[tuple[Path, ...]] = []
        self._in_force: dict[tuple[Path, ...], tuple[Limits, int, int]] = {}
        self._made = 0

    def lend(self) -> Group:
        """Return an empty group without limits; it has no directory where no controller can be used."""
        if not self._hierarchies:
            return Group(())
        try:
            return Group(self._free.pop() if self._free else self._make())
        except OSError:
            return Group(())

    def limit(self, group: Group, limits: Limits) -> tuple[int, int]:
        """Set a group's limits and return the bytes and processes then in force, 0 for none.

        What was read back of a group once holds until other limits are asked for: only this warden may write there.
        """
        known = self._in_force.pop(group.directories, None)
        if known is None or known[0] != limits:
            known = (limits, *self._set(group, limits))
        if known[1] and known[2]:
            self._in_force[group.directories] = known
        return known[1], known[2]

    def _set(self, group: Group, limits: Limits) -> tuple[int, int]:
        memory = pids = 0
        if group.directories:
            for hierarchy, directory in zip(self._hierarchies, group.directories, strict=True):
                bytes_set, pids_set = hierarchy.limit(directory, limits)
                memory, pids = max(memory, bytes_set), max(pids, pids_set)
        return memory, pids

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
    """Version 2: below the root if that may be written, else below the own group if it hands controllers down."""
    for parent in (mount, mount / own.lstrip("/")):
        try:
            granted = set((parent / "cgroup.subtree_control").read_text().split())
            if not {"memory", "pids"} <= granted:
                continue
            base, lock = _claim(parent)
            (base / "cgroup.subtree_control").write_text("+memory +pids")
        except OSError:
            continue
        return Hierarchy(base, "memory.max", "memory.swap.max", "0", "0", "pids.max"), lock
    return None


def _legacy(controllers: Mapping[str, str], own: Mapping[str, str]) -> list[tuple[Hierarchy, int]]:
    found = []
    for name in ("memory", "pids"):
        if name not in controllers:
            continue
        try:
            base, lock = _claim(Path(controllers[name]) / own.get(name, "/").lstrip("/"))
        except OSError:
            continue
        if name == "memory":
            found.append((Hierarchy(base, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "-1"), lock))
        else:
            found.append((Hierarchy(base, pids_file="pids.max"), lock))
    return found


def detect() -> Cgroups:
    """Return what this machine and account can limit by groups; possibly nothing."""
    try:
        controllers, unified = parse_mounts(Path("/proc/self/mounts").read_text("utf-8"))
        own = parse_own(Path("/proc/self/cgroup").read_text("utf-8"))
    except (OSError, ValueError):
        return Cgroups((), ())
    modern = _unified(Path(unified), own.get("", "/")) if unified else None
    found = [modern] if modern else _legacy(controllers, own)
    return Cgroups(tuple(item[0] for item in found), tuple(item[1] for item in found))
