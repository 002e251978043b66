"""Talking with an agent: the operator's words in, what happens out, and turns that wait taken up again at start.

Stops: prompts and MEMORY.md reaching sessions they are not for, and a turn going on unseen after the one who asked has
left. Does not stop: a turn that waits for an answer from waiting on; that is what the desk is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from bascule.app import reports
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import SessionKey
from bascule.core.policy import AgentPolicy, Policy
from bascule.core.ports import Tool
from bascule.gate import Crossing
from bascule.judge import offered
from bascule.runtime.asking import Setting
from bascule.runtime.events import (
    ApprovalAnswered,
    ApprovalAwaited,
    Event,
    Note,
    TextDelta,
    ToolDecided,
    ToolFinished,
    TurnEnded,
    TurnStatus,
)
from bascule.runtime.history import Turn
from bascule.runtime.providers.port import Provider
from bascule.runtime.turns import Turns, Words
from bascule.service.shapes import (
    AnsweredEvent,
    ApprovalEvent,
    DoneEvent,
    TextEvent,
    ToolEvent,
    TurnEvent,
)

Prompts = Callable[[AgentPolicy, SessionKey], Awaitable[str]]
"""Returns what an agent is told first in a session; MEMORY.md is part of it in the operator's own main session only."""

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Conversations:
    """Runs turns for those who hold the socket."""

    policy: Policy
    tools: Mapping[str, Tool]
    turns: Turns
    provider: Callable[[AgentPolicy], Provider]
    prompts: Prompts
    log: Log
    resumed: set[asyncio.Task[None]] = field(default_factory=set)

    async def send(self, rules: AgentPolicy, words: Words) -> AsyncIterator[TurnEvent]:
        """Run one turn on somebody's words and yield what happens.

        Raises:
            Unavailable: the session is busy, or the turn ended otherwise than by itself.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        running = asyncio.create_task(self._run(words, rules, queue))
        try:
            while (event := await queue.get()) is not None:
                shown = _shown(event)
                if shown is not None:
                    yield shown
            ended = await running
        finally:
            running.cancel()
            await asyncio.wait((running,))
        if ended.status is not TurnStatus.DONE:
            raise Unavailable(ended.code, ended.message, ended.remedy)

    async def _run(self, words: Words, rules: AgentPolicy, queue: asyncio.Queue[Event | None]) -> TurnEnded:
        try:
            return await self.turns.run(words, await self.setting(rules, words.session), queue.put_nowait)
        finally:
            queue.put_nowait(None)

    def model(self, rules: AgentPolicy) -> tuple[str, str]:
        """Return the name of the model an agent's words go to, and what an operator should know about it."""
        try:
            provider = self.provider(rules)
        except BasculeError as error:
            return "", str(error)
        return provider.name, provider.banner

    async def setting(self, rules: AgentPolicy, session: SessionKey) -> Setting:
        """What a turn of this agent is run with; denied tools are not offered."""
        tools = tuple(tool.spec for name, tool in sorted(self.tools.items()) if offered(name, rules))
        carried = tuple(spec for spec in tools if not spec.open_args)
        return Setting(self.provider(rules), await self.prompts(rules, session), carried)

    async def take_up(self, *, resume: bool) -> None:
        """Close what the last process left running, say so, and, if ``resume``, go on with the turns that wait."""
        found = await self.turns.recover()
        for ended in found.interrupted:
            self.log(f"{ended.session}: {ended.message}")
        for turn in found.waiting if resume else ():
            task = asyncio.create_task(self._resume(turn), name=f"resume {turn.session}")
            self.resumed.add(task)
            task.add_done_callback(self.resumed.discard)

    async def _resume(self, turn: Turn) -> None:
        rules = self.policy.agents.get(turn.agent)
        if rules is None:
            self.log(f"{turn.session}: its agent is no longer in the policy, so its turn stays parked")
            return
        try:
            ended = await self.turns.resume(turn, await self.setting(rules, turn.session), _unheard)
        except BasculeError as error:
            self.log(f"{turn.session}: {error}")
            return
        self.log(f"{turn.session}: the turn that waited has ended: {ended.status.value}")


def _unheard(_event: Event) -> None:
    """Nobody watches a resumed turn; its words stand in the session."""


def _shown(event: Event) -> TurnEvent | None:
    """Translate an event of the runtime into one of the socket's; None for what no surface shows."""
    match event:
        case TextDelta(text):
            return TextEvent(event="text", text=text)
        case Note(text):
            return TextEvent(event="text", text=f"({text})\n")
        case ToolDecided(call, crossing) if isinstance(crossing, Crossing) and crossing.outcome is None:
            return ToolEvent(event="tool", id=str(call), phase="decided", report=reports.crossing(crossing))
        case ToolFinished(call, crossing) if isinstance(crossing, Crossing):
            return ToolEvent(event="tool", id=str(call), phase="finished", report=reports.crossing(crossing))
        case ApprovalAwaited(_, approval):
            return ApprovalEvent(event="approval", approval=reports.approval_detail(approval))
        case ApprovalAnswered(_, approval, state):
            return AnsweredEvent(event="answered", id=approval, state=state.value, answered_by="")
        case TurnEnded(_, session, TurnStatus.DONE, text, seq=seq):
            return DoneEvent(event="done", session=session, text=text, seq=seq)
        case _:
            return None
