"""Kernel uids as this process counts them, and what the kernel says a box's process is.

Stops: believing a box about itself: its uid, capabilities and filters are read from outside, of its innermost process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bascule.core.errors import Malformed, Unavailable
from bascule.sandboxes.warden.config import WardenConfig

SINGLE = 1
"""What the only account there is is called in a box; not 0, whose programs hold capabilities."""


@dataclass(frozen=True, slots=True)
class IdMap:
    """This user namespace's map: ``(first inside, first outside, count)`` each."""

    ranges: tuple[tuple[int, int, int], ...]

    @staticmethod
    def parse(text: str) -> IdMap:
        """Return the map that ``/proc/self/uid_map`` shows."""
        rows = [tuple(int(word) for word in line.split()) for line in text.splitlines()]
        return IdMap(tuple((row[0], row[1], row[2]) for row in rows if len(row) == 3))

    @staticmethod
    def of_this_process() -> IdMap:
        """Return this process's map."""
        return IdMap.parse(Path("/proc/self/uid_map").read_text("ascii"))

    def inner(self, outer: int) -> int:
        """Return the host's ``outer`` uid as seen here.

        Raises:
            Unavailable: it is not mapped here.
        """
        for inside, outside, count in self.ranges:
            if outside <= outer < outside + count:
                return inside + outer - outside
        raise Unavailable("uid_unmapped", f"the kernel uid {outer} is not mapped in the warden's user namespace")

    def outer(self, inner: int) -> int:
        """Return the uid ``inner`` of here as the host counts; -1 if it is not mapped."""
        for inside, outside, count in self.ranges:
            if inside <= inner < inside + count:
                return outside + inner - inside
        return -1


def told_apart(config: WardenConfig, ids: IdMap) -> frozenset[int]:
    """Return the agents' uids as seen here, by which what an agent could have changed is known.

    With a single account there are none: nothing but mounts then keeps an agent from a program, and that account must
    be the only one there is, so that no warden with more rights ever works this way.

    Raises:
        Unavailable: an agent's uid is not mapped here.
        Malformed: a single account, where others are mapped besides.
    """
    if not config.single:
        return frozenset(ids.inner(uid) for uid in config.agents.values())
    if ids.ranges != ((0, config.gateway_uid, 1),):
        raise Malformed("warden_config", "agents may share the gateway's account only where no other is mapped")
    return frozenset()


@dataclass(frozen=True, slots=True)
class Measured:
    """What the kernel says of a process: host uid (-1 if its ids differ), union of capabilities, filters, groups."""

    uid: int
    capabilities: int
    seccomp: int
    no_new_privs: bool
    groups: tuple[int, ...]


def read_status(text: str, ids: IdMap) -> Measured:
    """Return what ``/proc/<pid>/status`` text says."""
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    uids = {int(word) for word in fields.get("Uid", "-1").split()}
    capabilities = 0
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        capabilities |= int(fields.get(name, "f"), 16)
    groups = tuple(int(word) for word in fields.get("Groups", "").split())
    uid = ids.outer(uids.pop()) if len(uids) == 1 else -1
    return Measured(uid, capabilities, int(fields.get("Seccomp", "0")), fields.get("NoNewPrivs") == "1", groups)


def measure(pid: int, ids: IdMap) -> Measured:
    """Return what the kernel says of the innermost process below ``pid``.

    Raises:
        Unavailable: it is gone.
    """
    try:
        current = pid
        for _ in range(8):
            children = Path(f"/proc/{current}/task/{current}/children").read_text("ascii").split()
            if not children:
                break
            current = int(children[0])
        return read_status(Path(f"/proc/{current}/status").read_text("ascii"), ids)
    except (OSError, ValueError):
        raise Unavailable("box_gone", "the box is no longer there") from None
