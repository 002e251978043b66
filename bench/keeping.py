"""Groups ``ledger`` and ``approval``: what is remembered, on this machine's disk, in a directory of the checkout.

``one synced commit`` is the yardstick: one row in one transaction with one sync of the log, by the same code. What is
durable can cost no less, and what it costs belongs to the disk; targets are stated in it.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bascule.app.reports import approval_row
from bascule.core.answer import State
from bascule.core.call import Call
from bascule.core.errors import Unavailable
from bascule.core.policy import Policy
from bascule.core.verdict import Decision, ask
from bascule.desk.grants import Terms
from bascule.desk.pending import PendingDesk
from bascule.desk.rows import SCHEMA as DESK
from bascule.judge import judge
from bascule.ledger.anchor import HEADS_FILE, Anchor
from bascule.ledger.keys import load_or_create
from bascule.ledger.schema import SCHEMA as LEDGER
from bascule.ledger.store import Ledger
from bascule.ledger.verify import verify
from bascule.state.connection import DATABASE_FILE, Database
from bascule.state.migrations import migrate
from bascule.statements import decided
from bench.measure import MILLISECONDS, CannotRun, Effort, Figures, Row, awaits, calls, figures
from bench.workload import FACTS, an_exec_call, policy

BUILD = Path(__file__).resolve().parent.parent / "build"

_ASKS = Decision((ask("l6_exec_allowlist", "program_not_listed", "not listed"),))
_CARD = ("main wants to use exec", "runs: grep -n needle memory/2026-11-22.md")


class SystemClock:
    """The time of day."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()


@dataclass(frozen=True, slots=True)
class Memory:
    """A home's memory: database, ledger and desk over one real file."""

    state: Path
    database: Database
    ledger: Ledger
    desk: PendingDesk


@contextmanager
def memory() -> Iterator[Memory]:
    """Open a fresh one, with everything the gateway opens, and remove it afterwards."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as folder:
        state = Path(folder)
        database = Database(state / DATABASE_FILE)
        try:
            migrate(database, (LEDGER, DESK))
            ledger = Ledger(database, SystemClock(), Anchor(load_or_create(state), state / HEADS_FILE))
            yield Memory(state, database, ledger, PendingDesk(database, SystemClock(), ledger))
        finally:
            database.close()


def one_commit(database: Database, n: int) -> Figures:
    """Time one row in one transaction with one sync, in milliseconds."""
    database.write("CREATE TABLE IF NOT EXISTS bench (row TEXT)")

    def commit(_: None) -> None:
        database.write("INSERT INTO bench VALUES ('one row')")
        database.sync_now()

    return _in_milliseconds(calls(commit, [None], n, rounds=5))


def _in_milliseconds(found: Figures) -> Figures:
    return Figures(found.n, found.p50 / 1e3, found.p99 / 1e3)


def ledger_rows(effort: Effort) -> Iterator[Row]:
    """Yield the ledger's rows: append, buffered and durable, and verification."""
    call, rules = an_exec_call()
    body = decided(call, judge(call, FACTS, rules), policy().version)
    with memory() as kept:
        commit = one_commit(kept.database, effort.n(200))
        yield Row("one synced commit (yardstick)", "ms", commit)
        append = calls(lambda each: kept.ledger.append_now("decided", each, durable=False), [body], effort.n(2_000))
        yield Row("ledger append, buffered, a whole `decided` record", "µs", append, 30)
        durable = calls(
            lambda each: kept.ledger.append_now("started", each, durable=True), [body], effort.n(200), rounds=5
        )
        yield Row("ledger append, durable", "ms", _in_milliseconds(durable))
        yield Row("ledger verify", "records/s", _verified(kept, effort), 150_000, higher=True)


def _verified(kept: Memory, effort: Effort) -> Figures:
    """Verify the whole ledger several times; records a second, the 99th percentile being the slow end."""
    kept.ledger.anchor()
    heads = (kept.state / HEADS_FILE).read_text("ascii").splitlines()
    public = load_or_create(kept.state).public
    took = []
    for _ in range(effort.n(50)):
        began = time.perf_counter_ns()
        report = verify(kept.state / DATABASE_FILE, public, heads)
        took.append(time.perf_counter_ns() - began)
        if not report.ok or not report.records:
            raise CannotRun(f"the ledger that was written does not verify: {report.problems}")
    found = figures(took, 1.0)
    return Figures(found.n, report.records * 1e9 / found.p50, report.records * 1e9 / found.p99)


PILE = 10_000
"""Questions that wait in the list that is measured."""

LIST_MILLISECONDS = 100
"""In which a list of so many must be there."""

GRANTS = 20
"""Grants that are looked through, the last of which covers the call."""


def approval_rows(effort: Effort) -> Iterator[Row]:
    """Yield the desk's rows: a question from its first line on disk to its use."""
    with memory() as kept:
        commit = one_commit(kept.database, effort.n(200))
        yield Row("one synced commit (yardstick)", "ms", commit)
        life = asyncio.run(_lives(kept, effort.n(300)))
        yield Row("approval created, decided, used (3 synced commits)", "ms", life, 3 * commit.p50)
    with memory() as kept:
        asyncio.run(_pile_up(kept))
        listed = _in_milliseconds(calls(lambda _each: _listed(kept), [None], effort.n(20), rounds=3))
        yield Row("approvals list, 10 000 pending", "ms", listed, LIST_MILLISECONDS)
    with memory() as kept:
        granted = asyncio.run(_granted(kept, effort.n(300)))
        yield Row("a grant used, of 20 (1 synced commit)", "ms", granted)


async def _pile_up(kept: Memory) -> None:
    """Put many questions, so many at a time as share a disk's sync."""
    call, rules = an_exec_call()
    much = replace(rules, quota=replace(rules.quota, pending_approvals=PILE))
    wanted = replace(policy(), agents={rules.id: much})
    kept.ledger.append_now("decided", {"agent": call.agent, "tool": call.tool}, durable=False)
    for start in range(0, PILE, 500):
        many = (replace(call, digest=f"{number:064x}") for number in range(start, start + 500))
        await asyncio.gather(*(kept.desk.open(each, _ASKS, _CARD, 1, wanted) for each in many))


def _listed(kept: Memory) -> None:
    rows = [approval_row(found) for found in asyncio.run(kept.desk.summaries((State.PENDING,)))]
    if len(rows) != PILE:
        raise CannotRun(f"{len(rows)} questions are listed of {PILE}")


async def _granted(kept: Memory, n: int) -> Figures:
    """Time one use of a grant among twenty others of the same agent and tool."""
    call, rules = an_exec_call()
    wanted = replace(policy(), agents={rules.id: rules})
    terms = Terms("exact", rules.layout)
    kept.ledger.append_now("decided", {"agent": call.agent, "tool": call.tool}, durable=False)
    for number in range(GRANTS):
        other = replace(call, digest=f"{number:064x}", bindings={"script:0": f"{number:064x}"})
        last = call if number == GRANTS - 1 else other
        asked = await kept.desk.open(last, _ASKS, _CARD, 1, wanted)
        await kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=("operator",), wider=terms)
        await kept.desk.take(last, wanted)

    async def use() -> None:
        if await kept.desk.take(call, wanted) is None:
            raise Unavailable("bench_grant", "a grant that was given does not cover its call")

    return await awaits(use, n, per_unit=MILLISECONDS)


async def _lives(kept: Memory, n: int) -> Figures:
    call, rules = an_exec_call()
    wanted = replace(policy(), agents={rules.id: rules})
    numbers = itertools.count()

    async def life() -> None:
        await _life(kept.desk, replace(call, digest=f"{next(numbers):064x}"), wanted)

    kept.ledger.append_now("decided", {"agent": call.agent, "tool": call.tool}, durable=False)
    return await awaits(life, n, per_unit=MILLISECONDS)


async def _life(desk: PendingDesk, call: Call, wanted: Policy) -> None:
    asked = await desk.open(call, _ASKS, _CARD, 1, wanted)
    await desk.answer(asked.id, State.APPROVED, by="operator", approvers=("operator",))
    if await desk.take(call, wanted) is None:
        raise Unavailable("bench_approval", "an approval that was given could not be used")
