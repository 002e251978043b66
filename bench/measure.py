"""How a number is taken: every call timed by itself, warmed up, in several rounds of which the quietest counts.

The quietest round is the one with the lowest median: on a shared machine other work only ever adds time, so the least
disturbed round is nearest to what the code costs. Rivals are timed by the same functions. A timed call includes about
0.1 µs of reading the clock. Garbage collection stays on, as in the running gateway, but what existed before is frozen.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

MICROSECONDS, MILLISECONDS = 1e3, 1e6
"""Nanoseconds in a unit."""


class CannotRun(Exception):  # noqa: N818 -- a finding about this machine, not a fault of the program
    """A group of rows that this machine cannot measure, and why."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure: ``quick`` divides every count by ten."""

    quick: bool = False

    def n(self, count: int) -> int:
        """Return how often to measure where a full run does it ``count`` times."""
        return max(5, count // 10) if self.quick else count


@dataclass(frozen=True, slots=True)
class Figures:
    """``n`` measurements of one round: median and 99th percentile, both of them measured values."""

    n: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Rival:
    """The same work done by something else, in the same run."""

    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured.
        unit: of every number in the row.
        figures: ours.
        target: what the median should reach; None for a row that others are compared with.
        target_p99: what the 99th percentile should stay below, if that is asked.
        rivals: others, measured in this run.
        higher: more is better (a rate).
    """

    name: str
    unit: str
    figures: Figures
    target: float | None = None
    target_p99: float | None = None
    rivals: tuple[Rival, ...] = ()
    higher: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the targets are reached; None if there is none."""
        if self.target is None:
            return None
        if self.higher:
            return self.figures.p50 >= self.target
        tail = self.target_p99 is None or self.figures.p99 <= self.target_p99
        return self.figures.p50 <= self.target and tail


def figures(nanoseconds: Sequence[float], per_unit: float) -> Figures:
    """Return median and 99th percentile (nearest rank) of times in nanoseconds, in a unit of ``per_unit`` of them."""
    ordered = sorted(nanoseconds)
    last = len(ordered) - 1
    return Figures(len(ordered), ordered[last // 2] / per_unit, ordered[min(last, -(-99 * last // 100))] / per_unit)


def calls(work: Callable[[T], object], inputs: Sequence[T], n: int, *, rounds: int = 20) -> Figures:
    """Time ``n`` calls of ``work`` a round, going through ``inputs`` in turn; microseconds."""
    for each in range(max(len(inputs), n // 10)):
        work(inputs[each % len(inputs)])
    return min((_round(work, inputs, n) for _ in range(rounds)), key=lambda found: found.p50)


def _round(work: Callable[[T], object], inputs: Sequence[T], n: int) -> Figures:
    times = [0.0] * n
    clock = time.perf_counter_ns
    settle()
    for each in range(n):
        given = inputs[each % len(inputs)]
        began = clock()
        work(given)
        times[each] = clock() - began
    return figures(times, MICROSECONDS)


async def awaits(work: Callable[[], Awaitable[object]], n: int, *, per_unit: float, rounds: int = 3) -> Figures:
    """Time ``n`` awaited calls a round, one after another, in a running event loop."""
    for _ in range(max(3, n // 10)):
        await work()
    found: list[Figures] = []
    for _ in range(rounds):
        times = []
        settle()
        for _ in range(n):
            began = time.perf_counter_ns()
            await work()
            times.append(float(time.perf_counter_ns() - began))
            await asyncio.sleep(0)
        found.append(figures(times, per_unit))
    return min(found, key=lambda each: each.p50)


def settle() -> None:
    """Collect garbage and set everything that is left aside, so that a round pays for its own garbage only."""
    gc.collect()
    gc.freeze()
