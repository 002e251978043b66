"""Asking a model once, patiently, with its words recorded.

Stops: words reaching anyone before a record of them is open; a service's bad minute ending a turn; a service that is
down being asked without pause or without end. Does not stop: the words from being wrong; they are shown as they come.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from bascule.core.canonical import Json
from bascule.core.ports import Records
from bascule.core.toolspec import ToolSpec
from bascule.runtime.events import Emit, ModelRetrying, Note, TextDelta
from bascule.runtime.history import History, Turn, window
from bascule.runtime.messages import printable
from bascule.runtime.providers.port import Ask, Fault, Provider, Reply

Sleep: TypeAlias = Callable[[float], Awaitable[None]]

ATTEMPTS = 5
"""How often one step asks before it gives up."""

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts when the service names none."""

LONGEST_PAUSE = 60.0
"""A service that wants a longer pause is reported at once: a person should not watch a silent terminal for minutes."""

MAX_HISTORY = 400_000
"""Characters of conversation sent along, about 100 000 tokens; older turns are left out whole."""


MAX_STEPS = 32
"""Responses of one turn; a task that needs more is continued by the operator's next words."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a turn is run with: the model, the agent's prompts as one text, what is offered, for how long."""

    provider: Provider
    system: str
    tools: tuple[ToolSpec, ...]
    max_steps: int = MAX_STEPS


@dataclass(slots=True)
class _Words:
    """The words of one attempt, and the records around them."""

    records: Records
    turn: Turn
    emit: Emit
    provider: str
    pieces: list[str] = field(default_factory=list)
    opened: int | None = None

    async def open(self) -> None:
        if self.opened is None:
            body: dict[str, Json] = {**self._body(), "model": self.provider}
            self.opened = await self.records.append("reply_opened", body, durable=False)

    def _body(self) -> dict[str, Json]:
        return {"agent": self.turn.agent, "session": self.turn.session, "turn": self.turn.id}

    async def piece(self, untrusted_text: str) -> None:
        if not untrusted_text:
            return
        await self.open()
        text = printable(untrusted_text)
        self.pieces.append(text)
        self.emit(TextDelta(text))

    async def close(self, text: str, calls: int, ending: str) -> int:
        await self.open()
        digest = hashlib.sha256(printable(text).encode("utf-8")).hexdigest()
        told: dict[str, Json] = {"opened": self.opened, "sha256": digest, "calls": calls, "ending": ending}
        return await self.records.append("reply_closed", {**self._body(), **told}, durable=False)


class Asker:
    """Asks on behalf of turns."""

    def __init__(self, history: History, records: Records, sleep: Sleep = asyncio.sleep) -> None:
        self._history = history
        self._records = records
        self._sleep = sleep

    async def ask(self, turn: Turn, setting: Setting, emit: Emit) -> tuple[Reply | Fault, int | None]:
        """Return a response and the sequence of its record, or the fault that remained after every attempt.

        Raises:
            Unavailable: the words could not be recorded; none that were not were shown.
            asyncio.CancelledError: what had been said by then is stored first.
        """
        for attempt in range(1, ATTEMPTS + 1):
            answer, record = await self._once(turn, setting, emit)
            if isinstance(answer, Reply):
                return answer, record
            pause = PAUSES[min(attempt, len(PAUSES)) - 1] if answer.wait is None else max(answer.wait, 0.0)
            if not answer.again or attempt == ATTEMPTS or pause > LONGEST_PAUSE:
                return answer, record
            emit(ModelRetrying(answer.message, pause, attempt))
            await self._sleep(pause)
        raise AssertionError("the last attempt returns")

    async def _once(self, turn: Turn, setting: Setting, emit: Emit) -> tuple[Reply | Fault, int | None]:
        provider = setting.provider
        words = _Words(self._records, turn, emit, provider.name)
        request = Ask(
            turn.session,
            setting.system,
            window(self._history.messages(turn.session), MAX_HISTORY),
            setting.tools,
            self._history.asked(turn.session, provider.name),
        )
        try:
            answer = await provider.ask(request, words.piece, lambda text: emit(Note(text)))
        except asyncio.CancelledError:
            await self._cut(turn, words, "cancelled")
            raise
        if isinstance(answer, Fault):
            self._history.count_fault(turn, provider.name)
            record = await words.close("".join(words.pieces), 0, "fault") if words.pieces else None
            return answer, record
        return answer, await words.close(answer.text, len(answer.calls), "cut" if answer.cut else "complete")

    async def _cut(self, turn: Turn, words: _Words, ending: str) -> None:
        text = "".join(words.pieces)
        if text:
            record = await words.close(text, 0, ending)
            self._history.add_partial(turn, text, words.provider, record)
