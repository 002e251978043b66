"""The kernel's table of mounts of one mount namespace, ``/proc/<pid>/mountinfo``.

Stops: two readers of it understanding a line or an escape differently. Says what is so at the moment of reading.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MountedAt:
    """One mount.

    Attributes:
        number: the mount's.
        device: the file system's, ``major:minor``.
        root: which directory of the file system is mounted.
        place: where.
        options: of the mount, not of the file system.
        kind: of file system; empty if the line does not say.
    """

    number: int
    device: str
    root: str
    place: str
    options: tuple[str, ...] = ()
    kind: str = ""


def parse_mountinfo(untrusted_text: str) -> tuple[MountedAt, ...]:
    """Return the mounts that a ``mountinfo`` file names, without lines that are none (proc_pid_mountinfo(5))."""
    rows = [line.split(" ") for line in untrusted_text.splitlines()]
    del untrusted_text
    return tuple(_mount(row) for row in rows if len(row) > 5 and row[0].isdecimal())


def _mount(row: list[str]) -> MountedAt:
    # Behind the sixth field come any number of optional ones, up to a lone hyphen.
    kind = row[row.index("-", 6) + 1 :][:1] if "-" in row[6:] else []
    return MountedAt(int(row[0]), row[2], _plain(row[3]), _plain(row[4]), tuple(row[5].split(",")), "".join(kind))


def _plain(field: str) -> str:
    """Undo the kernel's octal escapes of blank, tab, newline and backslash."""
    for escape, meant in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escape, meant)
    return field
