"""How tightly a call runs. Confinements only tighten: the layers' answers are met, never widened.

Stops: one layer's leniency undoing another's. ``None`` in a set means "no opinion", which is not "everything": what
nobody gave an opinion on is not mounted, not writable and not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

T = TypeVar("T")


class Network(IntEnum):
    """What a box can reach; lower is tighter."""

    NONE = 0
    PROXY = 1
    ANY = 2


@dataclass(frozen=True, slots=True)
class Mount:
    """One operator path made visible in a box: at ``target``, or at the same path where that is empty."""

    path: str
    writable: bool = False
    target: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of one call; every field is a maximum. ``cpus``: processors kept busy, in thousandths."""

    memory_bytes: int = 1 << 40
    pids: int = 1 << 20
    cpu_seconds: int = 86_400
    wall_seconds: int = 86_400
    output_bytes: int = 1 << 40
    file_bytes: int = 1 << 40
    open_files: int = 1 << 20
    cpus: int = 1 << 20

    def meet(self, other: Limits) -> Limits:
        """The smaller of each."""
        return Limits(
            min(self.memory_bytes, other.memory_bytes),
            min(self.pids, other.pids),
            min(self.cpu_seconds, other.cpu_seconds),
            min(self.wall_seconds, other.wall_seconds),
            min(self.output_bytes, other.output_bytes),
            min(self.file_bytes, other.file_bytes),
            min(self.open_files, other.open_files),
            min(self.cpus, other.cpus),
        )

    def quota(self) -> tuple[int, int]:
        """Return ``cpus`` as microseconds of processor time in each period, and the period's.

        The kernel takes no quota below a millisecond and no period above a second (``sched-bwc``).
        """
        period = 100_000 if self.cpus >= 10 else 1_000_000
        return self.cpus * (period // 1000), period


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one layer demands of the box, or all of them together.

    Attributes:
        own_account: the box runs under the agent's own kernel uid.
        network: the most it may reach.
        programs: absolute paths of programs that may exist in it.
        writable: box paths below which it may write.
        mounts: operator paths visible in it besides the agent's directory.
        limits: resource maxima.
    """

    own_account: bool = False
    network: Network = Network.ANY
    programs: frozenset[str] | None = None
    writable: frozenset[str] | None = None
    mounts: frozenset[Mount] | None = None
    limits: Limits = Limits()

    def meet(self, other: Confinement) -> Confinement:
        """The tightest that satisfies both."""
        if other is LOOSEST:  # most layers have no opinion on most calls
            return self
        return Confinement(
            self.own_account or other.own_account,
            min(self.network, other.network),
            _both(self.programs, other.programs),
            _both(self.writable, other.writable),
            _both(self.mounts, other.mounts),
            self.limits.meet(other.limits),
        )


def _both(one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    if one is None:
        return other
    if other is None:
        return one
    return one & other


LOOSEST = Confinement()
"""The neutral element of :meth:`Confinement.meet`."""
