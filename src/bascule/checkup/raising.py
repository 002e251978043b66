"""Looking for files that raise whoever starts them: setuid, setgid, file capabilities.

Stops: a setuid program that appeared since the operator last looked going unnoticed. Every file system that honours
such bits is walked, within itself, along no link, through directories that one of our accounts could pass. Does not
see: what changes while it walks, nor, unless root looks, what lies in directories closed to whoever looks.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from bascule.checkup.looking import way_to
from bascule.checkup.machine import Raised, Subject
from bascule.checkup.ownership import reaches
from bascule.core.errors import BasculeError
from bascule.host.people import Tables
from bascule.linux.mountinfo import parse_mountinfo

MOST_ENTRIES = 3_000_000
"""Files and directories one look passes; a large server has some two million."""

PSEUDO = frozenset(
    [
        "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "pstore", "bpf",
        "mqueue", "hugetlbfs", "configfs", "fusectl", "binfmt_misc", "autofs", "efivarfs", "rpc_pipefs", "nsfs",
    ]
)  # fmt: skip
"""File systems of the kernel's own, in which no program lies (``/proc/filesystems``: ``nodev``)."""

_RUN = 1


@dataclass(slots=True)
class Look:
    """One look: what was found, and what kept it from being complete."""

    found: list[Raised] = field(default_factory=list)
    left: int = MOST_ENTRIES
    closed: int = 0
    first_closed: str = ""

    @property
    def why(self) -> str:
        """Why the look is not complete, empty if it is."""
        if self.left <= 0:
            return f"there are more than {MOST_ENTRIES} files"
        return f"{self.closed} directories are closed to this account, {self.first_closed} first" if self.closed else ""


def mounts(untrusted_text: str) -> tuple[str, ...]:
    """Return where file systems are mounted that honour setuid.

    Args:
        untrusted_text: of ``/proc/self/mountinfo``.
    """
    found = parse_mountinfo(untrusted_text)
    del untrusted_text
    honouring = (mount for mount in found if mount.kind not in PSEUDO and "nosuid" not in mount.options)
    return tuple(dict.fromkeys(mount.place for mount in honouring))


def look_everywhere(subjects: tuple[Subject, ...], tables: Tables) -> Look:
    """Return every file on this machine that raises, with who of ours could start it."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 -- as the kernel's
        places = mounts(file.read())
    return look_below(places, subjects, tables)


def look_below(places: tuple[str, ...], subjects: tuple[Subject, ...], tables: Tables) -> Look:
    """Return the same for some directories, each within its own file system."""
    look = Look()
    for place in places:
        try:
            device = os.lstat(place).st_dev
        except OSError:
            continue
        for path, seen in _raising(place, device, subjects, look):
            look.found.append(_raised(path, seen, subjects, tables))
    unique = {each.path: each for each in look.found}
    look.found = [unique[path] for path in sorted(unique)]
    return look


def _raising(
    place: str, device: int, subjects: tuple[Subject, ...], look: Look
) -> Iterator[tuple[str, os.stat_result]]:
    todo = [place]
    while todo and look.left > 0:
        folder = todo.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    look.left -= 1
                    seen = entry.stat(follow_symlinks=False)
                    if seen.st_dev != device:
                        continue
                    if stat.S_ISDIR(seen.st_mode):
                        if _could_pass(entry.path, seen, subjects):
                            todo.append(entry.path)
                    elif stat.S_ISREG(seen.st_mode) and seen.st_mode & 0o111 and _raises(entry.path, seen):
                        yield entry.path, seen
        except FileNotFoundError:
            continue
        except OSError:
            look.closed += 1
            look.first_closed = look.first_closed or folder


def _could_pass(path: str, seen: os.stat_result, subjects: tuple[Subject, ...]) -> bool:
    """True if one of our accounts could go through a directory; a directory with an access list is gone through."""
    if seen.st_mode & 0o001:
        return True
    for subject in subjects:
        if seen.st_uid == subject.account.uid or seen.st_gid in subject.gids:
            return True
    try:
        os.getxattr(path, "system.posix_acl_access", follow_symlinks=False)
    except OSError:
        return False
    return True


def _raises(path: str, seen: os.stat_result) -> bool:
    return bool(seen.st_mode & (stat.S_ISUID | stat.S_ISGID)) or bool(_capabilities(path))


def _capabilities(path: str) -> int:
    """Return the capabilities a file gives, 0 for none (``linux/capability.h``: ``vfs_cap_data``)."""
    try:
        content = os.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError as error:
        return 0 if error.errno in {errno.ENODATA, errno.EOPNOTSUPP, errno.ENOENT} else -1
    words = struct.unpack_from(f"<{len(content) // 4}I", content)
    low, high = words[1:3], words[3:5]
    return sum(low) | sum(high) << 32 if len(words) > 1 else -1


def _raised(path: str, seen: os.stat_result, subjects: tuple[Subject, ...], tables: Tables) -> Raised:
    how = [f"setuid {tables.called(seen.st_uid) if seen.st_uid else 'root'}"] if seen.st_mode & stat.S_ISUID else []
    if seen.st_mode & stat.S_ISGID:
        group = next((group.name for group in tables.groups if group.gid == seen.st_gid), str(seen.st_gid))
        how.append(f"setgid {group}")
    if (bits := _capabilities(path)) != 0:
        how.append("capabilities that cannot be read" if bits < 0 else f"capabilities {bits:#x}")
    identity = f"{seen.st_mode:o} {seen.st_uid} {seen.st_gid} {seen.st_size} {seen.st_mtime_ns} {bits}"
    return Raised(path, ", ".join(how), identity, _reached(path, subjects))


def _reached(path: str, subjects: tuple[Subject, ...]) -> tuple[str, ...]:
    try:
        way = way_to(path)
    except BasculeError:
        return ()
    able = [subject for subject in subjects if reaches(way, subject.account.uid, subject.gids, _RUN)]
    if len(able) == len(subjects) > 1:
        return ("the gateway and every agent",)
    return tuple(subject.called for subject in able)
