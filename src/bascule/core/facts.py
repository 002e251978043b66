"""What is so, at one instant, for one call: a snapshot that judges read and nobody else changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Enforcement(StrEnum):
    """What must really be in place before a call may count on it. The first four are shown by a box's self-test."""

    ACCOUNT = "account isolation"
    SANDBOX = "the sandbox"
    NETWORK = "network isolation"
    OS_PERMISSIONS = "operating-system permissions"
    PROXY = "the egress proxy"
    PEERS = "messages between agents"
    MEMORY = "the memory index"
    SCHEDULE = "the scheduler"
    CHANNEL = "outgoing channels"
    IMAGES = "image reading"
    NOT_CARRIED = "a tool Bascule carries"


@dataclass(frozen=True, slots=True)
class Usage:
    """What an agent has used: calls in the last minute and day, questions now open."""

    calls_last_minute: int = 0
    calls_last_day: int = 0
    pending_approvals: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """The snapshot.

    Attributes:
        now: seconds since the epoch, UTC.
        contained: why the agent is contained, empty if it is not.
        lock_problem: why the policy lock does not hold, empty if it does or none is asked for.
        missing: enforcements not in force, with the reason; an absent key is in force.
        usage: what the agent has used.
        tools_unsafe: why ``tools/`` may not be mounted, empty if it may.
    """

    now: float
    contained: str = ""
    lock_problem: str = ""
    missing: Mapping[Enforcement, str] = field(default_factory=dict)
    usage: Usage = Usage()
    tools_unsafe: str = ""
