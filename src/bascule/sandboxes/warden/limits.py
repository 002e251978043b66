"""The limits that are in force for a process somebody else put into a control group, read back from the kernel.

Stops: believing an engine that it set what it was asked to set.
"""

from __future__ import annotations

import os
from pathlib import Path

from bascule.sandboxes.warden.cgroups import parse_mounts, parse_own

_UNLIMITED = 1 << 60


def in_force(process: int) -> tuple[int, int]:
    """Return bytes and processes, 0 for no limit.

    Args:
        process: a descriptor of its ``/proc/<pid>``.
    """
    try:
        descriptor = os.open("cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
        with open(descriptor, encoding="utf-8") as text:
            own = parse_own(text.read())
        controllers, unified = parse_mounts(Path("/proc/self/mounts").read_text("utf-8"))
    except (OSError, ValueError):
        return 0, 0
    places = [Path(unified + own.get("", "/"))] if unified else []
    memory = [place / "memory.max" for place in places]
    pids = [place / "pids.max" for place in places]
    if "memory" in controllers:
        memory.append(Path(controllers["memory"] + own.get("memory", "/")) / "memory.limit_in_bytes")
    if "pids" in controllers:
        pids.append(Path(controllers["pids"] + own.get("pids", "/")) / "pids.max")
    return _least(memory), _least(pids)


def _least(files: list[Path]) -> int:
    found = []
    for file in files:
        try:
            text = file.read_text("ascii").strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _UNLIMITED:
            found.append(int(text))
    return min(found, default=0)
