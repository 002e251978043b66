"""A small world for turns: a real state database, a gate that plays a table, a desk that can be answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bascule.core.answer import Approval, State
from bascule.core.call import Proposal
from bascule.core.canonical import Json
from bascule.core.ids import AgentId, SessionKey
from bascule.core.label import OPERATOR, Confidentiality, Integrity, Label
from bascule.core.outcome import Outcome
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec
from bascule.core.verdict import Decision, allow, ask, deny
from bascule.runtime.asking import Asker, Setting
from bascule.runtime.events import Event, TurnEnded
from bascule.runtime.history import History
from bascule.runtime.messages import ToolRequest
from bascule.runtime.providers.port import Ask, Fault, OnNote, OnText, Provider, Reply
from bascule.runtime.schema import SCHEMA
from bascule.runtime.sessions import Sessions
from bascule.runtime.turns import Turns, Words
from bascule.state.connection import Database
from bascule.state.migrations import migrate

AGENT = AgentId("ann")
SESSION = SessionKey("agent:ann:main")
PAGE = Label(Integrity.UNTRUSTED, Confidentiality.PUBLIC, frozenset({"page"}))
READ = ToolSpec("read", ActionClass.READ, "Read a file.", (Param("path", ParamKind.PATH, "Which file."),))
EXEC = ToolSpec("exec", ActionClass.COMPUTE, "Run a program.", (Param("command", ParamKind.STRING, "Command line."),))


class TickingClock:
    """Each look at it is one second later."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        self.time += 1.0
        return self.time


@dataclass(frozen=True)
class Crossed:
    decision: Decision
    approval: Approval | None = None
    outcome: Outcome | None = None


def ran(text: str = "fine", label: Label = PAGE, **more: object) -> Crossed:
    return Crossed(Decision((allow("t"),)), outcome=Outcome(ok=True, content=text.encode(), label=label, **more))


def denied(reason: str = "not here", remedy: str = "elsewhere") -> Crossed:
    return Crossed(Decision((allow("a"), deny("t", "no", reason, remedy))))


def question(number: int = 1, state: State = State.PENDING) -> Approval:
    return Approval(
        f"apr_{number:016x}", f"CODE{number}", "d", AGENT, SESSION, "x", state, 0, 9e9, ("card",), "", "v", 1
    )


def asks(number: int = 1, state: State = State.PENDING) -> Crossed:
    return Crossed(
        Decision((ask("t", "needs_yes", f"apr_{number:016x} wants a yes"),)), approval=question(number, state)
    )


Step = Crossed | BaseException | Callable[[Proposal], Awaitable[Crossed]]


class TableGate:
    """Plays one step after the other, and keeps every proposal exactly as it came."""

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.steps = list(steps)
        self.proposals: list[Proposal] = []

    async def cross(self, proposal: Proposal, *, dry_run: bool = False, wait: float = 0.0) -> Crossed:
        self.proposals.append(proposal)
        step = self.steps.pop(0) if self.steps else ran()
        if isinstance(step, BaseException):
            raise step
        return await step(proposal) if callable(step) else step


class OpenDesk:
    """Questions stay pending until :meth:`settle`."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.asked: list[str] = []
        self.withdrawn: list[str] = []
        self._changed = asyncio.Event()

    def settle(self, approval: str, state: State) -> None:
        self.states[approval] = state
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, approval_id: str, seconds: float) -> State:
        self.asked.append(approval_id)
        while self.states.get(approval_id, State.PENDING) is State.PENDING:
            await self._changed.wait()
        return self.states[approval_id]

    async def cancel_all(self, why: str, *, agent: AgentId | None = None, session: str | None = None) -> int:
        self.withdrawn.append(session or "")
        return 1


class ListRecords:
    """A ledger in a list; ``broken`` makes every append raise."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Mapping[str, Json]]] = []
        self.broken: BaseException | None = None

    async def append(self, kind: str, body: Mapping[str, Json], *, durable: bool) -> int:
        if self.broken:
            raise self.broken
        self.rows.append((kind, body))
        return len(self.rows)


class ListProvider:
    """Gives one answer after the other; a callable answer is awaited with the request."""

    name = "list:model"
    banner = ""

    def __init__(self, answers: Sequence[object]) -> None:
        self.answers = list(answers)
        self.asks: list[Ask] = []

    async def ask(self, ask: Ask, on_text: OnText, on_note: OnNote) -> Reply | Fault:
        self.asks.append(ask)
        answer = self.answers.pop(0)
        if callable(answer):
            answer = await answer(ask, on_text)
        if isinstance(answer, Reply):
            await on_text(answer.text)
        assert isinstance(answer, Reply | Fault)
        return answer

    async def close(self) -> None:
        return


def says(text: str, *calls: tuple[str, str]) -> Reply:
    return Reply(text, tuple(ToolRequest(tool, args) for tool, args in calls))


@dataclass
class World:
    """Everything a turn needs, over one database file."""

    path: Path
    gate: TableGate
    desk: OpenDesk
    provider: Provider
    events: list[Event] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    max_steps: int = 8

    def __post_init__(self) -> None:
        self.database = Database(self.path)
        migrate(self.database, (SCHEMA,))
        clock = TickingClock()
        self.records = ListRecords()
        self.history = History(self.database, clock)
        self.sessions = Sessions(self.database, clock)
        self.turns = Turns(self.gate, self.desk, self.history, Asker(self.history, self.records, self._pause))

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def setting(self) -> Setting:
        return Setting(self.provider, "be kind", (READ, EXEC), self.max_steps)

    async def say(self, text: str, label: Label = OPERATOR) -> TurnEnded:
        words = Words(AGENT, SESSION, text, label, "operator")
        return await self.turns.run(words, self.setting, self.events.append)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def close(self) -> None:
        self.database.close()


def world(path: Path, answers: Sequence[object] | Provider, steps: Sequence[Step] = ()) -> World:
    """A world over ``path/state.db`` with a model and a gate that play these."""
    provider = ListProvider(answers) if isinstance(answers, Sequence) else answers
    return World(path / "state.db", TableGate(steps), OpenDesk(), provider)
