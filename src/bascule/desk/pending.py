"""The desk: questions are on disk before anyone sees them, are answered once, and a yes is used once.

Stops: a question lost in a restart, two surfaces answering differently, a yes for another call, another policy or a
higher label, a yes after its time, and an agent burying the operator in cards. Every move is a compare-and-swap in one
transaction with its ledger record, so ``kill -9`` leaves both or neither. Does not stop a yes from being spent on a
call that then fails: at most once means that too.
"""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import apsw

from bascule.core.answer import Approval, Grant, State, Summary
from bascule.core.call import Call
from bascule.core.errors import Malformed, NotPermitted, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import Policy
from bascule.core.ports import Clock
from bascule.core.verdict import Decision, Effect
from bascule.desk.bell import Bell, Listener, Waiter
from bascule.desk.extent import Extent, extent_of, from_json, refusal, to_json
from bascule.desk.grants import Grants, Terms
from bascule.desk.hours import Hours
from bascule.desk.question import (
    CODE_BYTES,
    ID_BYTES,
    OPEN,
    Actor,
    Mark,
    make_code,
    make_id,
    may,
    parse_reference,
    rank,
    within,
)
from bascule.desk.rows import COLUMNS, SUMMARY_COLUMNS, approval, card_text, statement
from bascule.desk.widening import SIMILAR, narrowest
from bascule.layers.l6_exec_allowlist import action_of
from bascule.state.connection import Database, Row, Transaction, Value
from bascule.state.journal import Journal

Approvals: TypeAlias = list[Approval]
Read: TypeAlias = Callable[[str, Sequence[Value]], list[Row]]

NONCE_BYTES = 16

_INSERT = f"INSERT INTO desk ({COLUMNS}, nonce) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 -- only constants of these two files
_SELECT = f"SELECT {COLUMNS} FROM desk"  # noqa: S608 -- only constants of these two files
_DUE = f"{_SELECT} WHERE state IN ('pending', 'approved') AND due <= ? ORDER BY due"
_ANY_DUE = "SELECT 1 FROM desk WHERE state IN ('pending', 'approved') AND due <= ? LIMIT 1"
_SAME_CALL = f"""{_SELECT} WHERE state IN ('pending', 'approved')
AND digest = ? AND agent = ? AND session = ? ORDER BY state, created"""
_BY_ID = f"{_SELECT} WHERE id = ?"
_BY_CODE = f"{_SELECT} WHERE code = ? ORDER BY state IN ('pending', 'approved') DESC, created DESC LIMIT 1"
_SWAP = "UPDATE desk SET state = ?, answered_by = ? WHERE id = ? AND state = ?"
_SAID = f"""SELECT extent FROM desk WHERE state IN ('approved', 'consumed') AND agent = ? AND tool = ? AND created > ?
AND policy_version = ? AND ungrantable = '' ORDER BY created DESC LIMIT {SIMILAR}"""  # noqa: S608 -- a constant
_BURIED = "SELECT count(*) FROM desk WHERE state = 'pending' AND agent = ?"

MEMORY_SECONDS = 24 * 3600
"""How far back a proposal looks for similar questions that were answered with yes."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an answer: ``won`` is False if somebody was first; ``approval`` then says who and what."""

    approval: Approval
    won: bool
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """A change under way: its transaction, the desk's time in it, and what it moved so far."""

    change: Transaction
    mark: Mark
    moved: list[Approval]


class PendingDesk:
    """Implements ``core.ports.Desk`` over the table ``desk``, and what the operator's surfaces need."""

    def __init__(
        self, database: Database, clock: Clock, journal: Journal, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Take up the desk of ``database``, whose desk migrations have run; what was pending still is.

        Args:
            database: the home's.
            clock: the time of day; a clock set back gives no question more time.
            journal: every move is recorded there, in its own transaction, as ``asked`` or the name of its new state.
            entropy: returns that many random bytes.
        """
        self._database = database
        self._hours = Hours(database, clock)
        self._journal = journal
        self._entropy = entropy
        self._bell = Bell()
        self.grants = Grants(database, self._hours, journal, entropy)

    async def open(self, call: Call, decision: Decision, card: Sequence[str], seq: int, policy: Policy) -> Approval:
        """Write a question durably and return it; the open question about this very call, if there is one.

        A question about the same call that can no longer match (another policy, a lower label) is cancelled first.

        Raises:
            NotPermitted: the decision does not ask.
            Malformed: a line of the card holds a line's end, or there is none.
            Unavailable: it could not be written, or the agent has too many open.
        """
        if decision.effect is not Effect.ASK:
            raise NotPermitted("nothing_to_ask", f"a decision of {decision.effect} is no question")
        text = card_text(tuple(card))
        with self._change() as turn:
            opened = self._standing(turn, call, policy)
            if opened is None:
                opened = self._ask(turn, call, text, seq, policy)
        await self._publish(turn.moved)
        return opened

    def _standing(self, turn: _Turn, call: Call, policy: Policy) -> Approval | None:
        standing = None
        for row in turn.change.execute(_SAME_CALL, (call.digest, call.agent, call.session)):
            found = approval(row, turn.mark.offset)
            if _matches(found, call, policy):
                standing = standing or found
            elif found.state is State.PENDING:
                self._move(turn, row, State.CANCELLED, Actor.GATEWAY, "superseded")
        return standing

    def _ask(self, turn: _Turn, call: Call, card: str, seq: int, policy: Policy) -> Approval:
        self._refuse_burying(turn.change, call.agent, policy)
        now = turn.mark.latest - turn.mark.offset
        action = action_of(call, policy.agents[call.agent])
        extent, why_not = extent_of(call), refusal(call, action)
        text = to_json(extent)
        proposal = "" if why_not else self._similar(turn, call, extent, text, policy)
        row: Row = (
            make_id(self._entropy(ID_BYTES)),
            make_code(self._entropy(CODE_BYTES)),
            call.digest,
            call.agent,
            call.session,
            call.tool,
            State.PENDING.value,
            now,
            now + policy.approval_seconds,
            card,
            "",
            policy.version,
            seq,
            rank(call.label),
            turn.mark.latest + policy.approval_seconds,
            action.value,
            text,
            why_not,
            proposal,
        )
        try:
            turn.change.execute(_INSERT, (*row, self._entropy(NONCE_BYTES)))
        except apsw.ConstraintError:
            raise Unavailable(
                "approval_code_taken", "a random code was already in use", "make the call again"
            ) from None
        self._journal.record(turn.change, "asked", statement(row, State.PENDING, Actor.GATE, ""))
        asked = approval(row, turn.mark.offset)
        turn.moved.append(asked)
        return asked

    def _similar(self, turn: _Turn, call: Call, extent: Extent, text: str, policy: Policy) -> str:
        """Return the narrowest extent that would also have covered the last calls like this one that got a yes.

        Empty if that is this very call; ``text`` is how its own extent is written.
        """
        since = turn.mark.latest - turn.mark.offset - MEMORY_SECONDS
        said = turn.change.execute(_SAID, (call.agent, call.tool, since, policy.version))
        others = dict.fromkeys(row[0] for row in said if row[0] != text)
        found, _ = narrowest(extent, map(from_json, others))
        return "" if found == extent else to_json(found)

    def _refuse_burying(self, change: Transaction, agent: AgentId, policy: Policy) -> None:
        most = policy.agents[agent].quota.pending_approvals
        waiting = change.execute(_BURIED, (agent,))[0][0]
        if waiting >= most:
            detail = f"{agent} already has {waiting} questions open, of {most}"
            raise Unavailable("approvals_full", detail, "answer some: bascule approvals list")

    async def take(self, call: Call, policy: Policy) -> Approval | Grant | None:
        """Use up a yes for this very call, its own or one use of a grant that covers it, or return None.

        Raises:
            Unavailable: it could not be written; do nothing.
        """
        taken: Approval | Grant | None = None
        with self._change() as turn:
            for row in turn.change.execute(_SAME_CALL, (call.digest, call.agent, call.session)):
                found = approval(row, turn.mark.offset)
                if found.state is State.APPROVED and _matches(found, call, policy):
                    taken = self._move(turn, row, State.CONSUMED, Actor.GATE, found.answered_by)
                    break
            else:
                taken = self.grants.take(turn.change, turn.mark, call, policy)
        await self._publish(turn.moved)
        return taken

    async def matching(self, call: Call, policy: Policy) -> Approval | None:
        """Return the pending or approved row for this very call, approved first, without consuming it."""
        await self.tick()
        rows = self._database.read(_SAME_CALL, (call.digest, call.agent, call.session))
        offset = self._hours.now().offset
        return next((found for row in rows if _matches(found := approval(row, offset), call, policy)), None)

    async def wait(self, approval_id: str, seconds: float) -> State:
        """Return the state once it is no longer pending, or when ``seconds`` are up.

        Raises:
            Malformed: there is no such question.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        waiter = Waiter(approval_id)
        self._bell.add(waiter)
        try:
            while True:
                waiter.rearm()
                found = await self.show(approval_id)
                left = until - loop.time()
                if found.state is not State.PENDING or left <= 0:
                    return found.state
                silence = found.expires - self._hours.clock()
                if not await waiter.heard(max(0.0, min(left, silence))) and silence <= left:
                    self._hours.passed(found.expires)
        finally:
            self._bell.remove(waiter)

    async def answer(
        self,
        untrusted_reference: str,
        answer: State,
        *,
        by: str,
        approvers: Collection[str],
        wider: Terms | None = None,
    ) -> Answered:
        """Approve, deny or cancel; the first answer wins and is durable before this returns.

        Args:
            untrusted_reference: id or code.
            answer: APPROVED, DENIED or CANCELLED.
            by: who answers.
            approvers: names policy lets answer.
            wider: with APPROVED: what else the yes is for; the question itself does not count as a use.

        Raises:
            NotPermitted: ``by`` may not answer, or nobody may say yes to that much; then nothing was answered.
            Malformed: no such question, no such answer, or terms that make no sense.
            Unavailable: it could not be written; nothing changed.
        """
        if by not in approvers:
            raise NotPermitted("not_an_approver", f"{by[:64]!r} may not answer questions", "name them in `operators`")
        if not may(State.PENDING, answer, Actor.OPERATOR):
            raise Malformed("approval_answer", f"{answer} is no answer")
        with self._change() as turn:
            row = self._find(turn.change.execute, untrusted_reference)
            found = approval(row, turn.mark.offset)
            won = found.state is State.PENDING
            granted = None
            if won:
                if wider is not None and answer is State.APPROVED:
                    granted = self.grants.make(turn.change, turn.mark, found, wider, by)
                found = self._move(turn, row, answer, Actor.OPERATOR, by)
        await self._publish(turn.moved)
        return Answered(found, won, granted)

    async def cancel_all(self, why: str, *, agent: AgentId | None = None, session: str | None = None) -> int:
        """Cancel what is open, of one agent or one session if named (containment, a reset), and end its grants.

        A yes that was not used yet is withdrawn too: it was given before whatever made the operator stop the agent.
        Returns how many questions there were.

        Raises:
            Unavailable: it could not be written; nothing changed.
        """
        whose = "(?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR session = ?2)"
        where = f"{_SELECT} WHERE state IN ('pending', 'approved') AND {whose}"
        with self._change() as turn:
            rows = turn.change.execute(where, (agent, session))
            for row in rows:
                self._move(turn, row, State.CANCELLED, Actor.GATEWAY, why)
            self.grants.end_where(turn.change, turn.mark, why, agent, session)
        await self._publish(turn.moved)
        return len(rows)

    async def show(self, untrusted_reference: str) -> Approval:
        """Return one question by id or code; a code names the open one, else the latest.

        Raises:
            Malformed: there is none.
        """
        await self.tick()
        row = self._find(self._database.read, untrusted_reference)
        return approval(row, self._hours.now().offset)

    async def list(self, states: Collection[State] = OPEN, *, agent: AgentId | None = None) -> Approvals:
        """Return the questions in these states, oldest first."""
        await self.tick()
        marks = ",".join("?" * len(states))
        where = f"{_SELECT} WHERE state IN ({marks}) AND (? IS NULL OR agent = ?) ORDER BY rowid"
        rows = self._database.read(where, (*(state.value for state in states), agent, agent))
        offset = self._hours.now().offset
        return [approval(row, offset) for row in rows]

    async def summaries(self, states: Collection[State] = OPEN, *, last: int = -1) -> builtins.list[Summary]:
        """Return what a list shows of the questions in these states, oldest first; the last so many, -1 for all."""
        await self.tick()
        marks = ",".join("?" * len(states))
        where = f"SELECT {SUMMARY_COLUMNS} FROM desk WHERE state IN ({marks}) ORDER BY rowid DESC LIMIT ?"  # noqa: S608 -- constants, and one mark a state
        rows = self._database.read(where, (self._hours.now().offset, *(state.value for state in states), last))
        return [Summary._make(row) for row in reversed(rows)]

    def pending_count(self, agent: AgentId | None = None) -> int:
        """How many questions are pending, of one agent if named; for ``facts.Usage`` and the status."""
        query = "SELECT count(*) FROM desk WHERE state = 'pending' AND (?1 IS NULL OR agent = ?1) AND due > ?2"
        return int(self._database.read(query, (agent, self._hours.now().latest))[0][0])

    async def tick(self) -> None:
        """Expire what is due. Reading does it too; the gateway calls this at intervals so that surfaces hear of it."""
        now = self._hours.now()
        due = self._database.read(_ANY_DUE, (now.latest,)) or self.grants.any_due(now)
        if not due and not self._hours.stale:
            return
        with self._change() as turn:
            pass
        await self._publish(turn.moved)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every question opened or moved, once that is on disk; return how to stop.

        It is called in the thread of whoever moved the question and must neither wait nor raise.
        """
        return self._bell.listen(listener)

    async def _publish(self, moved: Approvals) -> None:
        """Durable before shown, whoever wrote it."""
        await self._database.sync()
        self._bell.ring(moved)

    @contextmanager
    def _change(self) -> Iterator[_Turn]:
        """Begin a change: keep the time, and expire what is due by it."""
        with self._database.transaction() as change:
            turn = _Turn(change, self._hours.keep(change), [])
            for row in change.execute(_DUE, (turn.mark.latest,)):
                self._move(turn, row, State.EXPIRED, Actor.CLOCK, row[10])
            self.grants.expire(change, turn.mark)
            yield turn

    def _move(self, turn: _Turn, row: Row, after: State, actor: Actor, by: str) -> Approval:
        """Compare and swap one row, with its record, if the table of transitions has it."""
        before = State(row[6])
        if not may(before, after, actor):
            raise NotPermitted("approval_transition", f"{actor} may not make a question {after} that is {before}")
        turn.change.execute(_SWAP, (after.value, by, row[0], before.value))
        if turn.change.changes() != 1:
            raise Unavailable("approval_moved", f"the question {row[0]} changed meanwhile", "look at it again")
        self._journal.record(turn.change, after.value, statement(row, after, actor, by))
        moved = approval((*row[:6], after.value, *row[7:10], by, *row[11:]), turn.mark.offset)
        turn.moved.append(moved)
        return moved

    def _find(self, read: Read, untrusted_reference: str) -> Row:
        reference = parse_reference(untrusted_reference)
        rows = read(_BY_ID, (reference.id,)) if reference.id else read(_BY_CODE, (reference.code,))
        if not rows:
            raise Malformed("approval_unknown", f"there is no approval {reference.id or reference.code}")
        found: Row = rows[0]
        return found


def _matches(found: Approval, call: Call, policy: Policy) -> bool:
    """The digest is the same already: is it the same policy, and was the card's label no lower?"""
    return found.policy_version == policy.version and within(found.label_rank, call.label)
