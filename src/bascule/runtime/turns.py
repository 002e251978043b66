"""The turn loop: words in, the model's calls across the gate one by one, until it says something without a call.

Stops: a tool call going anywhere but to the gate, raw; a yes or a no being lost with the process (what is waited for
stands in the database before anybody is asked); a call being made twice because a turn was cut off; a turn that never
ends. Does not stop: a model from using up its steps on refused calls; the step budget and the quota guard end that.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from bascule.core.answer import Approval, State
from bascule.core.call import Proposal
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.ids import AgentId, SessionKey
from bascule.core.label import Label
from bascule.core.ports import Crossing, Gate
from bascule.core.verdict import Effect
from bascule.runtime import results
from bascule.runtime.asking import Asker, Setting
from bascule.runtime.events import (
    ApprovalAnswered,
    ApprovalAwaited,
    Emit,
    ModelFailed,
    Note,
    ToolDecided,
    ToolFinished,
    ToolProposed,
    ToolRefused,
    TurnBegan,
    TurnEnded,
    TurnStatus,
)
from bascule.runtime.history import CallState, History, PendingCall, Turn
from bascule.runtime.messages import ModelSaid, ToolAnswer
from bascule.runtime.providers.port import Fault, Reply

MAX_QUESTIONS = 3
"""Questions one call may cost (its facts may change while the operator thinks); then it is refused."""

WAIT_SLICE = 300.0
"""Seconds of one wait at the desk; the question's own expiry ends the waiting."""


class Questions(Protocol):
    """The desk, as a waiting turn sees it."""

    async def wait(self, approval_id: str, seconds: float) -> State:
        """Return the state once it is no longer pending, or when the time is up."""

    async def cancel_all(self, why: str, *, agent: AgentId | None = None, session: str | None = None) -> int:
        """Cancel what is pending, of one agent and one session if named; return how many."""


class Witness(Protocol):
    """The ledger, as recovery sees it."""

    async def begun(self, turn: Turn, call: PendingCall) -> bool:
        """Return False only if the ledger shows that no effect of this call began since ``call.crossed``."""

    async def question(self, turn: Turn, call: PendingCall) -> str:
        """Return the id of the question this call put, empty if none is shown or anything came of it."""


@dataclass(frozen=True, slots=True)
class Words:
    """What opens a turn.

    ``label`` is of the text and of every prompt it is read with; ``origin`` is ``operator`` for typed words of an
    operator, else what brought them (``peer``, ``cron``, ``api``, ``group``).
    """

    agent: AgentId
    session: SessionKey
    text: str
    label: Label
    origin: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start found: turns that ended with the process, and turns that wait on and want :meth:`Turns.resume`."""

    interrupted: tuple[TurnEnded, ...]
    waiting: tuple[Turn, ...]


class Turns:
    """Runs turns; one at a time in each session."""

    def __init__(
        self,
        gate: Gate,
        questions: Questions,
        history: History,
        asker: Asker,
        witness: Witness | None = None,
    ) -> None:
        self._gate = gate
        self._questions = questions
        self._history = history
        self._asker = asker
        self._witness = witness
        self._tasks: dict[SessionKey, asyncio.Task[TurnEnded]] = {}
        self._stopping = False

    async def run(self, words: Words, setting: Setting, emit: Emit) -> TurnEnded:
        """Run one turn to its end, waiting for approvals as long as they are open.

        Returns how it ended, model faults and a :meth:`cancel` included. Cancelling the calling task cancels the turn:
        its open calls are answered as cancelled, then ``CancelledError`` goes on.

        Raises:
            Unavailable: ``session_busy``, or the state database refuses.
        """
        if self._stopping:
            raise Unavailable("stopping", "the gateway is stopping", "try again when it is up")
        turn = self._history.begin(words.agent, words.session, words.text, words.label, words.origin)
        return await self._supervise(turn, setting, emit)

    async def resume(self, turn: Turn, setting: Setting, emit: Emit) -> TurnEnded:
        """Go on with a turn that was waiting when the process ended; returns and raises as :meth:`run`."""
        if turn.session in self._tasks:
            raise Unavailable("session_busy", f"a turn is running in {turn.session}", "wait for it to end, or stop it")
        return await self._supervise(turn, setting, emit)

    def cancel(self, session: SessionKey) -> bool:
        """Stop the turn of a session; its :meth:`run` returns ``cancelled``. False if none is running here."""
        task = self._tasks.get(session)
        return task.cancel() if task else False

    async def abandon(self, session: SessionKey) -> None:
        """Stop the turn of a session, wherever it stands, and return when it has ended; nothing if none is open."""
        task = self._tasks.get(session)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        for turn in self._history.open_turns():
            if turn.session == session:
                await self._cancelled(turn)

    def cancel_all(self, agent: AgentId) -> int:
        """Stop every turn of an agent and return how many there were."""
        tasks = [task for session, task in self._tasks.items() if session.startswith(f"agent:{agent}:")]
        for task in tasks:
            task.cancel()
        return len(tasks)

    async def stop(self) -> None:
        """End every turn as a crash would, but in order: waiting ones stay waiting, running ones are for recovery."""
        self._stopping = True
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def recover(self) -> Recovered:
        """Close what the last process left running, and return it with the turns that wait; call once, at start."""
        interrupted: list[TurnEnded] = []
        waiting: list[Turn] = []
        for turn in self._history.open_turns():
            if turn.status is TurnStatus.WAITING or await self._park(turn):
                waiting.append(turn)
            else:
                interrupted.append(await self._interrupt(turn))
        return Recovered(tuple(interrupted), tuple(waiting))

    async def _park(self, turn: Turn) -> bool:
        """Let a turn wait that was cut off between its question and its waiting, or between the yes and its use."""
        calls = self._history.open_calls(turn)
        if not calls or calls[0].state is not CallState.CROSSING or self._witness is None:
            return False
        try:
            question = await self._witness.question(turn, calls[0])
        except BasculeError:
            return False
        if question:
            self._history.waiting(calls[0], question)
        return bool(question)

    async def _interrupt(self, turn: Turn) -> TurnEnded:
        settle = await self._fates(turn, results.SKIPPED)
        unknown = [
            results.one_line(call.request.untrusted_tool, 64)
            for call in self._history.open_calls(turn)
            if settle[call.id] is results.UNKNOWN
        ]
        message = "the gateway stopped while this turn ran"
        if unknown:
            message += f"; outcome unknown: {', '.join(unknown)}"
        ended = _ended(turn, TurnStatus.INTERRUPTED, "turn_interrupted", message, "say how to go on")
        return self._close(ended, settle)

    async def _fates(self, turn: Turn, idle: ToolAnswer) -> dict[int, ToolAnswer]:
        """What to tell of every open call: ``idle`` if no effect of it began, else that nobody knows its end."""
        fates: dict[int, ToolAnswer] = {}
        for call in self._history.open_calls(turn):
            fates[call.id] = results.UNKNOWN if await self._begun(turn, call) else idle
        return fates

    async def _begun(self, turn: Turn, call: PendingCall) -> bool:
        if call.state is not CallState.CROSSING:
            return False
        try:
            return self._witness is None or await self._witness.begun(turn, call)
        except BasculeError:
            return True

    async def _supervise(self, turn: Turn, setting: Setting, emit: Emit) -> TurnEnded:
        task = asyncio.create_task(self._guarded(turn, setting, emit), name=f"turn {turn.id}")
        self._tasks[turn.session] = task
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            if not task.cancelled():
                # Looked at, so that asyncio does not report as lost what the turn's own events already said.
                task.exception()
            raise
        finally:
            self._tasks.pop(turn.session, None)

    async def _guarded(self, turn: Turn, setting: Setting, emit: Emit) -> TurnEnded:
        emit(TurnBegan(turn.id, turn.session))
        try:
            ended = await self._drive(turn, setting, emit)
        except asyncio.CancelledError:
            if self._stopping:
                raise
            ended = await self._cancelled(turn)
        except BasculeError as error:
            emit(ModelFailed(error.code, error.message, error.remedy))
            ended = await self._broken(turn, error.code, error.message, error.remedy)
        except Exception:
            # A bug must not leave the session busy for ever; the caller still sees it.
            emit(await self._broken(turn, "internal_error", "an internal error ended the turn", ""))
            raise
        emit(ended)
        return ended

    async def _drive(self, turn: Turn, setting: Setting, emit: Emit) -> TurnEnded:
        """Alternate between open calls and the model until one of them ends it. Resuming starts here as well."""
        steps = turn.steps
        while True:
            for call in self._history.open_calls(turn):
                await self._settle(turn, call, emit)
            if steps >= setting.max_steps:
                message = f"the turn used all its {setting.max_steps} steps"
                ended = _ended(turn, TurnStatus.FAILED, "turn_budget", message, "say whether to go on")
                return self._close(ended, {})
            answer, record = await self._asker.ask(turn, setting, emit)
            if isinstance(answer, Fault):
                emit(ModelFailed(answer.code, answer.message, answer.remedy))
                ended = _ended(turn, TurnStatus.FAILED, answer.code, answer.message, answer.remedy)
                return self._close(ended, {})
            self._store(turn, setting, answer, record, emit)
            steps += 1
            if not answer.calls:
                ended = TurnEnded(turn.id, turn.session, TurnStatus.DONE, answer.text, seq=record)
                return self._close(ended, {})

    def _store(self, turn: Turn, setting: Setting, reply: Reply, record: int | None, emit: Emit) -> None:
        said = ModelSaid(reply.text, reply.calls, reply.layer, setting.provider.name)
        ids = self._history.add_reply(turn, said, record)
        for call, request in zip(ids, reply.calls, strict=True):
            emit(ToolProposed(call, request.untrusted_tool, request.untrusted_args))
        if reply.cut:
            emit(Note("the answer was cut at the model's length limit"))
        elif not reply.text and not reply.calls:
            emit(Note("the model said nothing"))

    async def _settle(self, turn: Turn, call: PendingCall, emit: Emit) -> None:
        """Take one call to its answer: across the gate, and again after each yes."""
        approval = call.approval if call.state is CallState.WAITING else ""
        for _ in range(MAX_QUESTIONS + 1):
            if approval and not await self._approved(turn, call, approval, emit):
                return
            try:
                crossing = await self._cross(turn, call)
            except BasculeError as error:
                # The gate could not write something down: before the effect, or after it began.
                begun = self._witness is None or await self._begun(turn, replace(call, state=CallState.CROSSING))
                self._tell(turn, call, results.of_error(error, begun=begun), None, emit)
                return
            emit(ToolDecided(call.id, crossing))
            question = crossing.approval
            if not _waits(crossing) or question is None:
                self._finish(turn, call, crossing, emit)
                return
            approval = question.id
            self._history.waiting(call, approval)
            emit(ApprovalAwaited(call.id, question))
        self._tell(turn, call, results.of_error(_TOO_MANY_QUESTIONS, begun=False), None, emit)

    async def _cross(self, turn: Turn, call: PendingCall) -> Crossing:
        self._history.crossing(call)
        request = call.request
        label = self._history.label(turn.session)
        proposal = Proposal(
            turn.agent, turn.session, request.untrusted_tool, request.untrusted_args, label, parent=call.record
        )
        return await self._gate.cross(proposal)

    async def _approved(self, turn: Turn, call: PendingCall, approval: str, emit: Emit) -> bool:
        state = State.PENDING
        try:
            while state is State.PENDING:
                state = await self._questions.wait(approval, WAIT_SLICE)
        except Malformed as error:
            # The question is gone (an older copy of the database was put back): nobody can say yes to it any more.
            self._tell(turn, call, results.of_error(error, begun=False), None, emit)
            return False
        emit(ApprovalAnswered(call.id, approval, state))
        if state is State.APPROVED:
            return True
        self._tell(turn, call, results.of_state(state), None, emit)
        return False

    def _finish(self, turn: Turn, call: PendingCall, crossing: Crossing, emit: Emit) -> None:
        outcome = crossing.outcome
        if outcome is not None:
            answer = results.of_outcome(call.request.untrusted_tool, outcome)
            self._history.answer(turn, call, answer, outcome.label)
            emit(ToolFinished(call.id, crossing, answer.text))
            return
        if crossing.decision.effect is Effect.DENY:
            answer = results.of_refusal(crossing.decision)
        elif crossing.approval is not None:
            answer = results.of_state(crossing.approval.state)
        else:
            answer = results.of_no_question(crossing.decision)
        self._tell(turn, call, answer, crossing.approval, emit)

    def _tell(self, turn: Turn, call: PendingCall, answer: ToolAnswer, approval: Approval | None, emit: Emit) -> None:
        plain = results.without(answer, approval)
        self._history.answer(turn, call, plain, None)
        emit(ToolRefused(call.id, plain.text))

    async def _cancelled(self, turn: Turn) -> TurnEnded:
        waits = any(call.state is CallState.WAITING for call in self._history.open_calls(turn))
        settle = await self._fates(turn, results.CANCELLED)
        ended = _ended(turn, TurnStatus.CANCELLED, "turn_cancelled", "the operator stopped the turn", "")
        self._close(ended, settle)
        if waits:
            # Should this fail, the question stays open until it expires; no turn is left that a yes could serve.
            with suppress(BasculeError):
                await self._questions.cancel_all("the turn was stopped", agent=turn.agent, session=turn.session)
        return ended

    async def _broken(self, turn: Turn, code: str, message: str, remedy: str) -> TurnEnded:
        settle = await self._fates(turn, results.SKIPPED)
        return self._close(_ended(turn, TurnStatus.FAILED, code, message, remedy), settle)

    def _close(self, ended: TurnEnded, settle: dict[int, ToolAnswer]) -> TurnEnded:
        self._history.end(ended, settle)
        return ended


_TOO_MANY_QUESTIONS = Unavailable(
    "too_many_questions", "what this call is about changed each time it was approved", "go on without it"
)


def _ended(turn: Turn, status: TurnStatus, code: str, message: str, remedy: str) -> TurnEnded:
    return TurnEnded(turn.id, turn.session, status, "", code, message, remedy)


def _waits(crossing: Crossing) -> bool:
    return (
        crossing.outcome is None
        and crossing.decision.effect is not Effect.DENY
        and crossing.approval is not None
        and crossing.approval.state in {State.PENDING, State.APPROVED}
    )
