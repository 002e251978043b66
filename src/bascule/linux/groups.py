"""Where control groups are, and taking a seat in a group of version 2 that was handed to this process to divide.

Stops: a manager of groups, such as systemd, and this program writing to the same one (``CGROUP_DELEGATION`` of
systemd): what is below a group that was handed over is ours, what is above is never written. The kernel lets no group
hand controllers down while processes sit in it, so whoever starts the warden moves into a seat below first, and boxes
get groups beside it. Does not stop anything where nothing was handed over; then no seat is taken.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

SEAT: Final = "bascule"
"""Name of the group that gateway and warden sit in."""

CONTROLLERS: Final = ("memory", "pids", "cpu")
"""What boxes are limited by."""

_MARKS: Final = ("user.delegate", "trusted.delegate")
"""How systemd marks a group it handed over; the first since version 251."""


def parse_mounts(mounts: str) -> tuple[Mapping[str, str], str]:
    """Return where each version 1 controller and the version 2 tree are mounted, from ``/proc/self/mounts`` text."""
    controllers: dict[str, str] = {}
    unified = ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[2] == "cgroup":
            controllers |= dict.fromkeys(fields[3].split(","), fields[1])
        elif len(fields) > 3 and fields[2] == "cgroup2":
            unified = fields[1]
    return controllers, unified


def parse_own(text: str) -> Mapping[str, str]:
    """Return a process's group by controller, from ``/proc/<pid>/cgroup`` text; the empty name is version 2."""
    own: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)
    return own


def enable(group: Path, wanted: Iterable[str]) -> tuple[str, ...]:
    """Have a group hand controllers down; return which of :data:`CONTROLLERS` it then does.

    Args:
        group: its directory.
        wanted: names; one that cannot be handed down is left out.

    Raises:
        OSError: there is no such group.
    """
    control = group / "cgroup.subtree_control"
    for name in wanted:
        with contextlib.suppress(OSError):
            control.write_text(f"+{name}")
    given = control.read_text("ascii").split()
    return tuple(name for name in CONTROLLERS if name in given)


def is_handed_over(group: Path) -> bool:
    """True if a manager says that a group is for its processes to divide, or the group is this ordinary account's."""
    for mark in _MARKS:
        with contextlib.suppress(OSError):
            return os.getxattr(group, mark) == b"1"
    with contextlib.suppress(OSError):
        return 0 != os.geteuid() == group.stat().st_uid and os.access(group / "cgroup.procs", os.W_OK)
    return False


def take_seat(group: Path) -> bool:
    """Move this process into a seat below a group and have the group hand controllers down to what is beside it.

    Returns:
        False if nothing was changed, for the group has no controllers to hand down.

    Raises:
        OSError: as the kernel says.
    """
    if "memory" not in (group / "cgroup.controllers").read_text("ascii").split():
        return False
    seat = group / SEAT
    seat.mkdir(exist_ok=True)
    (seat / "cgroup.procs").write_text("0")
    enable(group, CONTROLLERS)
    return True


def settle() -> None:
    """Take a seat in this process's group, if that was handed over; else, or where it fails, change nothing.

    What limits then hold is read back at every box, so nothing is said here.
    """
    with contextlib.suppress(OSError, ValueError):
        unified = parse_mounts(Path("/proc/self/mounts").read_text("utf-8"))[1]
        own = parse_own(Path("/proc/self/cgroup").read_text("utf-8")).get("", "/")
        group = Path(unified) / own.lstrip("/")
        if unified and group.name != SEAT and is_handed_over(group):
            take_seat(group)
