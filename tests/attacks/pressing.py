"""A warden whose socket an attacker has: what it is told, what it answers, and what it holds, counted from outside."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.ordinary import until
from tests.sandboxes import daemon
from tests.sandboxes.boxed import LIMITS, Ground

from bascule.sandboxes.warden.values import limits_json

DATA = {"writable": True, "mounts": [], "limits": limits_json(LIMITS), "bare": False}
START = {"op": "start", **DATA}
KEPT = 4
"""A warden, what makes its copies, and two of them that wait for boxes."""


def wardens(ground: Ground) -> list[int]:
    """The warden and every copy of it."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            found += [int(entry.name)] if str(ground.home).encode() in words and b"warden.process" in words else []
    return sorted(found)


def first(ground: Ground) -> int:
    """The warden itself, which all its copies and boxes descend from."""
    found = wardens(ground)
    for pid in found:
        with suppress(OSError):  # a copy that has ended meanwhile
            if parent(pid) not in found:
                return pid
    raise AssertionError("there is no warden")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def boxes(ground: Ground) -> list[int]:
    """Processes of the agents that the warden made, or that are in the home's containers.

    Other tests have the same accounts, so what an account runs is not all of this home.
    """
    ours, containers = set(wardens(ground)), daemon.containers(ground.home)
    uids, parents, groups = {}, {}, {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal():
                pid = int(entry.name)
                uids[pid], parents[pid] = entry.stat().st_uid, parent(pid)
                groups[pid] = (entry / "cgroup").read_text() if uids[pid] in ground.uids.values() else ""

    def descends(pid: int) -> bool:
        while pid and pid not in ours:
            pid = parents.get(pid, 0)
        return pid != 0

    inside = [pid for pid, group in groups.items() if any(container in group for container in containers)]
    return sorted({*inside, *(pid for pid, uid in uids.items() if uid in ground.uids.values() and descends(pid))})


def living(ground: Ground, pids: list[int]) -> list[int]:
    """Which of these still run under an agent's account."""
    found = []
    for pid in pids:
        with suppress(OSError):
            is_theirs = os.stat(f"/proc/{pid}").st_uid in ground.uids.values()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            found += [pid] if is_theirs and state not in {"Z", "X"} else []
    return found


def holdings(ground: Ground) -> dict[str, int]:
    """What the warden holds: descriptors, mounts, containers, and processes in boxes."""
    warden = first(ground)
    return {
        "descriptors": len(os.listdir(f"/proc/{warden}/fd")),
        # Without what other tests mount on this machine meanwhile, which a warden is meant to see too.
        "mounts": (mounts(warden) - mounts("self")).total(),
        "containers": len(daemon.containers(ground.home)),
        "processes": len(boxes(ground)),
    }


def mounts(warden: int | str) -> Counter[tuple[str, ...]]:
    """Device, directory of it and place of everything that is mounted for a process."""
    rows = (line.split() for line in Path(f"/proc/{warden}/mountinfo").read_text().splitlines())
    return Counter(tuple(row[2:5]) for row in rows)


def say(ground: Ground, body: dict[str, Any], files: list[int]) -> None:
    socket.send_fds(ground.socket, [json.dumps(body).encode()], files)


def heard(ground: Ground, number: int) -> dict[str, Any]:
    """The answer to one question; what else is said on the way is passed over."""
    while True:
        said = json.loads(ground.socket.recv(1 << 18))
        if said.get("id") == number:
            return dict(said)


def worker(ground: Ground, number: int, agent: str) -> tuple[int, socket.socket]:
    """A file worker's box, properly asked for."""
    ours, theirs = socket.socketpair()
    with theirs:
        say(ground, {"id": number, **START, "agent": agent}, [theirs.fileno()])
    said = heard(ground, number)
    assert said["ok"], said
    return int(said["box"]), ours


def settle(ground: Ground) -> dict[str, int]:
    """What it holds once it has made what it keeps ready."""
    before: dict[str, int] = {}

    def same() -> bool:
        nonlocal before
        last, before = before, holdings(ground)
        return last == before and len(wardens(ground)) == KEPT

    assert until(same)
    return before
