"""A bridge at a simulated gateway and a simulated daemon, over real HTTP, with a real database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from demo.signal_daemon import Person, Sent, SignalDaemon
from tests.channels.simulated_channel import SimulatedChannel, approval

from bascule.channels.signal.bridge import Bridge
from bascule.channels.signal.parts import Pace, Surroundings
from bascule.channels.signal.tables import SCHEMA
from bascule.core.ids import AgentId
from bascule.core.policy import Operator, Policy
from bascule.core.surfaces import GroupRule, SignalPolicy
from bascule.service.port import Caller
from bascule.state.connection import Database
from bascule.state.migrations import migrate

US = Person("+4915200000001", "00000000-0000-4000-8000-000000000001", "Bascule")
ANN = Person("+4915200000002", "00000000-0000-4000-8000-000000000002", "Ann")
BEN = Person("+4915200000003", "00000000-0000-4000-8000-000000000003", "Ben")
CAT = Person("+4915200000004", "00000000-0000-4000-8000-000000000004", "Cat")
EVE = Person("+4915200000009", "00000000-0000-4000-8000-000000000009", "Eve")
GROUP = "Pmpi+EfPWmsxiomLe9Nx2XF9HOE483p6iKiFj65iMwI="

PEOPLE = {
    "ann": Operator("ann", (), (ANN.number or "", f"uuid:{ANN.uuid}"), chats=True, approves=True),
    "ben": Operator("ben", (), (BEN.number or "",), chats=True),
    "cat": Operator("cat", (), (f"uuid:{CAT.uuid}",), approves=True),
}
FAST = Pace(first=0.01, most=0.05, retry=0.05, limited=0.05, compare=0.05, busy=0.3)


def signal_policy(**more: Any) -> SignalPolicy:
    """The account's policy: pairing for strangers, one group in which Ann and Eve may speak."""
    plain = SignalPolicy(
        US.number or "",
        US.uuid or "",
        group_allow_from=(ANN.number or "", EVE.number or ""),
        groups={GROUP: GroupRule()},
        agent="bruba-main",
    )
    return replace(plain, **more)


def policy(people: dict[str, Operator] | None = None, **more: Any) -> Policy:
    """A policy with people and an account."""
    known = PEOPLE if people is None else people
    approvers = tuple(name for name, person in known.items() if person.approves)
    return Policy("v", {}, AgentId("bruba-main"), operators=approvers, people=known, signal=signal_policy(**more))


class LiveChannel(SimulatedChannel):
    """The simulated gateway with questions that are watched live, and codes as the desk makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.questions.clear()
        self.gate: asyncio.Event | None = None
        self.answering: Exception | None = None
        self.stopping: Exception | None = None
        self.watching = True
        self.order: list[str] = []

    def ask(self, agent: str = "bruba-main", **more: Any) -> dict[str, Any]:
        number = next(self._numbers)
        row = approval(number, agent, **({"code": f"7KQ2{number:04d}", "card": ["write a file", "path: a.txt"]} | more))
        self.questions[row["id"]] = row
        self.record("asked", agent)
        return row

    def settle(self, row: dict[str, Any], state: str, by: str) -> None:
        """Answer elsewhere."""
        row |= {"state": state, "answered_by": by}
        self.record("answered", row["agent"])

    async def _answer(self, caller: Caller, ref: str, state: str) -> Any:
        if self.answering is not None:
            error, self.answering = self.answering, None
            raise error
        return await super()._answer(caller, ref, state)

    async def contain(self, caller: Caller, *, agent: str | None, reason: str) -> Any:
        self.order.append("contain")
        if self.stopping is not None:
            raise self.stopping
        return await super().contain(caller, agent=agent, reason=reason)

    async def hear(self, caller: Caller, heard: Any) -> AsyncIterator[Any]:
        self.order.append(f"hear {heard.text}")
        if self.gate is not None:
            self.heard.append(heard)
            await self.gate.wait()
        async for event in super().hear(caller, heard):
            yield event

    async def approvals_watch(self, caller: Caller) -> AsyncIterator[Any]:
        known: dict[str, str] = {}
        while self.watching:
            moved = self.moved
            for row in list(self.questions.values()):
                if known.get(row["id"]) == row["state"]:
                    continue
                known[row["id"]] = row["state"]
                if row["state"] == "pending":
                    yield {"event": "approval", "approval": dict(row)}
                else:
                    yield {
                        "event": "answered",
                        "id": row["id"],
                        "state": row["state"],
                        "answered_by": row["answered_by"],
                    }
            await moved.wait()


class Clock:
    """The machine's time, moved by ``ahead`` seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


@dataclass(slots=True)
class House:
    """Everything a test needs; ``run`` runs the bridge while it is entered, any number of times."""

    path: Path
    channel: LiveChannel
    daemon: SignalDaemon
    policy: Policy
    clock: Clock = field(default_factory=Clock)
    log: list[str] = field(default_factory=list)
    bridge: Bridge | None = None
    pace: Pace = FAST

    @asynccontextmanager
    async def run(self, *, connected: bool = True) -> AsyncIterator[Bridge]:
        """Run a bridge, and end it in the middle of whatever it does."""
        database = open_database(self.path)
        signal = replace(self.policy.signal or signal_policy(), url=self.daemon.url)
        bridge = Bridge(
            self.channel,
            replace(self.policy, signal=signal),
            Surroundings(database, self.clock, self.log.append, self.pace),
        )
        self.bridge = bridge
        before = self.daemon.connected
        running = asyncio.create_task(bridge.run())
        try:
            if connected:
                await until(lambda: self.daemon.connected > before)
            yield bridge
        finally:
            running.cancel()
            await asyncio.wait((running,))
            database.close()

    async def sent(self, count: int) -> list[Sent]:
        """Wait until so many messages went out."""
        await until(lambda: len(self.daemon.sent) >= count)
        return list(self.daemon.sent)

    async def card_for(self, person: Person) -> Sent:
        """Wait for the first question that went to somebody."""

        def found() -> list[Sent]:
            return [
                each for each in self.daemon.sent if each.to in {person.number, person.uuid} and "QUESTION" in each.text
            ]

        await until(lambda: bool(found()))
        return found()[0]

    def told(self, person: Person) -> list[str]:
        """What went to somebody."""
        return [each.text for each in self.daemon.sent if each.to in {person.number, person.uuid}]


def open_database(path: Path) -> Database:
    """Open the home's database with Signal's tables."""
    database = Database(path / "bascule.db")
    migrate(database, (SCHEMA,))
    return database


async def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def settle_down(house: House, bare: int = 12) -> None:
    """Let everything that was delivered be dealt with: a last message by a known sender comes out behind it."""
    before = len(house.daemon.sent)
    house.daemon.deliver(ANN, house.daemon.stamp(), editMessage={"targetSentTimestamp": 1, "dataMessage": {}})
    await until(lambda: any("edits" in each.text for each in house.daemon.sent[before:]))
