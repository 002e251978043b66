"""What the warden remembers of each box it makes.

Stops: nothing by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from bascule.core.ids import AgentId
from bascule.sandboxes.warden.cgroups import Group
from bascule.sandboxes.warden.stage import Agent, Stage


@dataclass(slots=True)
class Box:
    """One living box.

    Attributes:
        number: what the gateway calls it.
        request: the one it was made for.
        agent: whose it is.
        pid: bubblewrap's, which is the first process of the box's namespace.
        pidfd: readable once that one is gone.
        status: where bubblewrap reports; -1 once closed.
        view: its mount namespace, held so that the kernel takes it apart after the exit is told and not before, which
            takes as long as all processors need to let go of it; -1 if it was gone already.
        group: its control group.
        memory_limit: bytes in force, 0 for none.
        pids_limit: processes in force, 0 for none.
        cpus_limit: thousandths of processors in force, 0 for none.
        made: when, by the monotonic clock, in seconds.
        deadline: when its time is up, by the same clock.
        text: what was reported so far.
        started: bubblewrap made the box.
        killed: the warden killed it.
        timed_out: because its time was up.
    """

    number: int
    request: int
    agent: AgentId
    pid: int
    pidfd: int
    status: int
    view: int
    group: Group
    memory_limit: int
    pids_limit: int
    cpus_limit: int
    made: float
    deadline: float
    text: bytes = b""
    started: bool = False
    killed: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A box to make: what it contains, what runs in it, on which streams, what it waits for, and its way out."""

    agent: Agent
    stage: Stage
    command: tuple[str, ...]
    streams: tuple[int, int, int]
    block: int | None = None
    way: int | None = None


@dataclass(slots=True)
class Waiting:
    """A request to stop that is answered when these boxes are gone."""

    request: int
    boxes: set[int] = field(default_factory=set)


def mount_namespace(pid: int) -> int:
    """Return a descriptor of a child's mount namespace; -1 if it cannot be had."""
    try:
        return os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
