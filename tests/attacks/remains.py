"""What of a home can be found on the machine: processes, mounts, containers, control groups, sockets, places.

Every kind is looked for where the kernel or Docker itself lists it, in every namespace that any process is in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.attacks.killing import processes_of
from tests.living import Living
from tests.sandboxes import daemon

from bascule.sandboxes.docker.argv import LABEL_HOME
from bascule.sandboxes.docker.engine import Engine


def pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def mounts_of(home: Path) -> set[str]:
    """Mounts of anything below a home, by the mount namespace they are in."""
    seen: dict[str, int] = {}
    for pid in pids():
        with suppress(OSError):
            seen.setdefault(os.readlink(f"/proc/{pid}/ns/mnt"), pid)
    found = set()
    for namespace, pid in seen.items():
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
                root, target = line.split()[3:5]
                if any(str(home) in word for word in (root, target)):
                    found.add(f"{namespace} {root} on {target}")
    return found


def namespaces_of(uids: range) -> set[str]:
    """Namespaces of processes of the accounts, beyond those of this process."""
    own = {os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}
    found = set()
    for pid in pids():
        with suppress(OSError):
            if Path(f"/proc/{pid}").stat().st_uid in uids:
                found |= {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in os.listdir(f"/proc/{pid}/ns")}
    return found - own


def groups_of(made: Living) -> set[str]:
    """Control groups of a home's wardens, which hold them open, and of its containers."""
    found = set()
    for pid, words in processes_of(made.home).items():
        if "warden.process" in words:
            with suppress(OSError):
                links = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
                found |= {link for link in links if "/bascule-" in link and link.startswith("/")}
    for container in daemon.containers(made.home):
        found |= {str(path) for path in Path("/sys/fs/cgroup").glob(f"*/docker/{container}")}
    # As the warden sees them; in this process's view they lie below where its control groups are mounted.
    return {group for group in found if Path(group).exists()}


def descriptors_of(home: Path) -> set[str]:
    """Files of a home, deleted ones too, that any process but this one holds open."""
    found = set()
    for pid in pids():
        if pid == os.getpid():
            continue
        with suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    target = os.readlink(f"/proc/{pid}/fd/{number}")
                    if target.startswith(str(home)):
                        found.add(f"{pid} {target}")
    return found


def remains(made: Living) -> dict[str, set[str]]:
    """Everything there is of a home, by kind."""
    home = made.home
    view = ""
    with suppress(AssertionError, OSError):
        view = os.readlink(f"/proc/{made.pid}/ns/mnt")  # what a gateway that lives is shown of the machine
    base = int(made.accounts()["base"]) if (home / "accounts.json").exists() else 0
    uids = range(base, base + 1024) if base else range(0)
    engine = Engine(daemon.SOCKET)
    boxes = home / "state" / "boxes"
    sockets = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if str(home) in line}
    return {
        "process": {f"{pid} {words}" for pid, words in processes_of(home).items()},
        "mount": {line for line in mounts_of(home) if not view or not line.startswith(view)},
        "namespace": namespaces_of(uids),
        "container": {str(each["Id"]) for each in engine.containers({LABEL_HOME: str(home)})},
        "group": groups_of(made),
        "place": {path.name for path in boxes.iterdir()} if boxes.exists() else set(),
        "socket": sockets,
        "descriptor": descriptors_of(home),
    }


def settled(made: Living, kinds: tuple[str, ...], seconds: float = 60.0) -> dict[str, set[str]]:
    """The same, once the kinds are empty or that long has passed."""
    deadline = time.monotonic() + seconds
    while True:
        found = remains(made)
        if not any(found[kind] for kind in kinds) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
