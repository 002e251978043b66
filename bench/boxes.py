"""Group ``gate``: calls through the whole gate in real boxes: the clock runs from proposal to outcome.

Everything is paid that a real call pays: parse, two judgements, three ledger records, one of them synced for what
executes, the warden, the box, its self-checks, the label. One call after another, so nothing is ever prepared between
calls that a busy agent would not have prepared too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from socket import socket
from typing import Any

from bascule.app.wiring import House
from bascule.core.box import BoxKey
from bascule.core.call import Proposal
from bascule.core.ids import AgentId, SessionKey, cli_session
from bascule.core.label import OPERATOR
from bascule.core.verdict import Effect
from bascule.state.connection import Database
from bench import others
from bench.house import AGENT, Line, a_home, a_house, started
from bench.keeping import BUILD, one_commit
from bench.measure import MILLISECONDS, CannotRun, Effort, Figures, Rival, Row, awaits, figures

FILE = "workspace/notes.md"
SIZE = 4096


def rows(effort: Effort) -> Iterator[Row]:
    """Yield the rows that need a warden and boxes.

    Raises:
        CannotRun: no box can be made here; the reason is the gateway's own.
    """
    rivals = {"exec": others.programs(effort), "read": others.container(effort), "": ()}
    with a_home(BUILD) as home, started(home, _body(effort)) as (line, uid):
        memory: list[float] = []
        while (heard := line.hear()) is not None:
            if "failed" in heard:
                raise CannotRun(heard["failed"])
            if "row" in heard:
                yield as_row(heard["row"], rivals[heard["beside"]])
            else:
                memory.append(others.memory_of(uid))
            line.say(go=True)
    yield Row("memory of a warm file worker, its box included, PSS", "MB", figures(memory, 1e6), 8)


def as_row(body: dict[str, Any], rivals: tuple[Rival, ...]) -> Row:
    """Return a row that the child measured, with what was measured here."""
    return Row(**body | {"figures": Figures(**body["figures"]), "rivals": rivals})


def _body(effort: Effort) -> Callable[[Path, socket, Line], None]:
    def body(home: Path, warden: socket, line: Line) -> None:
        asyncio.run(_measure(home, warden, line, effort))

    return body


async def _measure(home: Path, warden: socket, line: Line, effort: Effort) -> None:
    async with a_house(home, warden) as (house, _):
        async for row, beside in _rows(home, house, effort):
            line.say(row=asdict(row) | {"rivals": ()}, beside=beside)
            line.hear()
        for each in range(effort.n(10)):
            await house.boxes.stop(AgentId(AGENT))
            await cross(house, "read", session=f"agent:{AGENT}:memory{each}", path=FILE)
            line.say(memory=each)
            line.hear()


async def _rows(home: Path, house: House, effort: Effort) -> AsyncIterator[tuple[Row, str]]:
    await cross(house, "write", path=FILE, content="x" * SIZE)
    read = await awaits(lambda: cross(house, "read", path=FILE), effort.n(200), per_unit=MILLISECONDS, rounds=10)
    yield Row("read 4 KB through the whole gate", "ms", read, 1), "read"
    commit = _commit(home, effort.n(200))
    yield Row("one synced commit, by the gateway's account (yardstick)", "ms", commit), ""
    run = await awaits(lambda: cross(house, "exec", command="true"), effort.n(100), per_unit=MILLISECONDS, rounds=10)
    yield Row("exec `true` through the whole gate, in its own fresh box", "ms", run, 8 + commit.p50), "exec"
    pipe = f"cat {FILE} | cat"
    two = await awaits(lambda: cross(house, "exec", command=pipe), effort.n(50), per_unit=MILLISECONDS, rounds=5)
    yield Row("exec `cat FILE | cat`, two boxes joined by a pipe", "ms", two), ""
    cold, stop = await starts(house, effort.n(50))
    yield Row("file worker, cold start with its self-test", "ms", cold, 60), ""
    yield Row("stop an agent's boxes, until the last process is gone", "ms", stop, 20), ""


async def cross(house: House, tool: str, session: str = "", **args: str) -> None:
    """Take a call across and insist that it ran."""
    key = SessionKey(session) if session else cli_session(AgentId(AGENT))
    asked = Proposal(AgentId(AGENT), key, tool, json.dumps(args), OPERATOR, "cli:bench")
    crossing = await house.gate.cross(asked)
    if crossing.decision.effect is not Effect.ALLOW:
        raise CannotRun(f"{tool} was not allowed: {crossing.decision.leading.reason}")
    if crossing.outcome is None or not crossing.outcome.ok:
        raise CannotRun(
            f"{tool} failed: {crossing.outcome.content[:200]!r}" if crossing.outcome else f"{tool} did not run"
        )


def _commit(home: Path, n: int) -> Figures:
    database = Database(home / "state" / "yardstick.db")
    try:
        return one_commit(database, n)
    finally:
        database.close()


async def starts(house: House, n: int) -> tuple[Figures, Figures]:
    """Time starts and stops in turn; the first start of a process is left out."""
    agent, starts, stops = AgentId(AGENT), [], []
    for each in range(n + 1):
        began = time.perf_counter_ns()
        await house.boxes.stop(agent)
        stopped = time.perf_counter_ns()
        await house.boxes.files(BoxKey(agent, SessionKey(f"agent:{AGENT}:start{each}")))
        starts.append(float(time.perf_counter_ns() - stopped))
        stops.append(float(stopped - began))
    return figures(starts[1:], MILLISECONDS), figures(stops[1:], MILLISECONDS)
