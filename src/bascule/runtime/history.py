"""Turns and their messages, calls and answers, kept so that every history that is read back is complete.

Stops: a crash leaving a call without an answer for ever, a call being run twice because nobody knows it began, and a
result being seen by the model before the session's label has risen for it. A call goes ``proposed`` → ``crossing``
(written before the gate sees it) → ``waiting`` | ``answered``. Does not stop: an effect happening whose answer was
never stored; such a call is told as "outcome unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bascule.core.ids import AgentId, SessionKey
from bascule.core.label import Label
from bascule.core.ports import Clock
from bascule.runtime.events import TurnEnded, TurnStatus
from bascule.runtime.messages import (
    Message,
    ModelSaid,
    Told,
    ToolAnswer,
    ToolRequest,
    ToolsAnswered,
    UserSaid,
    pack,
    unpack,
)
from bascule.runtime.sessions import read_label, refuse_busy, rise
from bascule.state.connection import Database, Row, Transaction


class CallState(StrEnum):
    """How far a call has come."""

    PROPOSED = "proposed"
    CROSSING = "crossing"
    WAITING = "waiting"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: words in, and what followed until the model said something without calls."""

    id: int
    session: SessionKey
    agent: AgentId
    origin: str
    status: TurnStatus
    steps: int


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that has no answer yet.

    Attributes:
        id: its row.
        turn: its turn.
        request: the tool and arguments as the model wrote them.
        state: how far it has come.
        crossed: when it was last handed to the gate, seconds since the epoch, None if never.
        approval: id of the question it waits for, empty if none.
        record: ledger sequence of the reply that asked for it, None if none was written.
    """

    id: int
    turn: int
    request: ToolRequest
    state: CallState
    crossed: float | None
    approval: str
    record: int | None


class History:
    """The tables of turns, messages and calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock

    def begin(self, agent: AgentId, session: SessionKey, text: str, label: Label, origin: str) -> Turn:
        """Open a turn on someone's words; the session's label rises with them.

        Args:
            agent: whose session.
            session: its key.
            text: the words.
            label: of the words and of everything else the model will read with them (prompts).
            origin: ``operator`` for an operator's own typed words, else what brought them.

        Raises:
            Unavailable: ``session_busy``, a turn is open in it.
        """
        now = self._clock.now()
        with self.database.transaction() as tx:
            refuse_busy(tx, session)
            rise(tx, agent, session, label, now)
            tx.execute(
                "INSERT INTO runtime_turn (session, agent, origin, status, began) VALUES (?, ?, ?, 'running', ?)",
                (session, agent, origin, now),
            )
            turn = _last_id(tx)
            tx.execute(_ADD_MESSAGE, (session, turn, now, "user", pack(text), "", "", None))
        return Turn(turn, session, agent, origin, TurnStatus.RUNNING, 0)

    def add_reply(self, turn: Turn, said: ModelSaid, record: int | None) -> tuple[int, ...]:
        """Store a response with its calls, all still proposed, and count the step; return the calls' ids."""
        now = self._clock.now()
        ids: list[int] = []
        with self.database.transaction() as tx:
            tx.execute(
                _ADD_MESSAGE,
                (turn.session, turn.id, now, "model", pack(said.text), pack(said.layer), said.provider, record),
            )
            message = _last_id(tx)
            for request in said.calls:
                tx.execute(
                    "INSERT INTO runtime_call (message, turn, tool, args, state) VALUES (?, ?, ?, ?, 'proposed')",
                    (message, turn.id, pack(request.untrusted_tool), pack(request.untrusted_args)),
                )
                ids.append(_last_id(tx))
            tx.execute("UPDATE runtime_turn SET steps = steps + 1 WHERE id = ?", (turn.id,))
            _count(tx, turn.session, said.provider)
            tx.execute("UPDATE runtime_session SET updated = ? WHERE key = ?", (now, turn.session))
        return tuple(ids)

    def add_partial(self, turn: Turn, text: str, provider: str, record: int | None) -> None:
        """Store what a response had said when it was cut off; calls it had begun were never proposed."""
        row = (turn.session, turn.id, self._clock.now(), "model", pack(text), "", provider, record)
        self.database.write(_ADD_MESSAGE, row)

    def count_fault(self, turn: Turn, provider: str) -> None:
        """Count a request that gave no response."""
        with self.database.transaction() as tx:
            _count(tx, turn.session, provider)

    def asked(self, session: SessionKey, provider: str) -> int:
        """Return how many requests of this session a provider has answered, faults included."""
        rows = self.database.read(
            "SELECT asked FROM runtime_session_provider WHERE session = ? AND provider = ?", (session, provider)
        )
        return int(rows[0][0]) if rows else 0

    def crossing(self, call: PendingCall) -> None:
        """Write that a call is about to be handed to the gate."""
        with self.database.transaction() as tx:
            tx.execute(
                "UPDATE runtime_call SET state = 'crossing', crossed = ? WHERE id = ? AND state != 'answered'",
                (self._clock.now(), call.id),
            )
            tx.execute("UPDATE runtime_turn SET status = 'running' WHERE id = ?", (call.turn,))

    def waiting(self, call: PendingCall, approval: str) -> None:
        """Park a call, and its turn, on a question; both survive the process."""
        with self.database.transaction() as tx:
            tx.execute("UPDATE runtime_call SET state = 'waiting', approval = ? WHERE id = ?", (approval, call.id))
            tx.execute("UPDATE runtime_turn SET status = 'waiting' WHERE id = ?", (call.turn,))

    def answer(self, turn: Turn, call: PendingCall, answer: ToolAnswer, label: Label | None) -> None:
        """Store what the model is told of a call; the session's label rises in the same transaction.

        Args:
            turn: its turn.
            call: the call.
            answer: what is told.
            label: of the content that is told, None for our own words.
        """
        now = self._clock.now()
        with self.database.transaction() as tx:
            _settle(tx, call.id, answer)
            tx.execute("UPDATE runtime_turn SET status = 'running' WHERE id = ?", (turn.id,))
            if label is not None:
                rise(tx, turn.agent, turn.session, label, now)

    def end(self, ended: TurnEnded, settle: Mapping[int, ToolAnswer]) -> None:
        """Close a turn, answering what is still open in it, all in one transaction."""
        with self.database.transaction() as tx:
            for call, answer in settle.items():
                _settle(tx, call, answer)
            tx.execute(
                "UPDATE runtime_turn SET status = ?, ended = ?, code = ?, message = ? WHERE id = ?",
                (ended.status.value, self._clock.now(), ended.code, pack(ended.message), ended.turn),
            )

    def label(self, session: SessionKey) -> Label:
        """Return the join of everything read in a session."""
        return read_label(self.database, session)

    def open_calls(self, turn: Turn) -> tuple[PendingCall, ...]:
        """Return the calls of a turn that have no answer, in the order the model asked."""
        rows = self.database.read(_OPEN_CALLS, (turn.id,))
        return tuple(_call(row) for row in rows)

    def open_turns(self) -> tuple[Turn, ...]:
        """Return every turn that has not ended, oldest first."""
        return tuple(
            _turn(row) for row in self.database.read(f"{_TURN} WHERE status IN ('running', 'waiting') ORDER BY id")
        )

    def turn(self, turn: int) -> Turn | None:
        """Return one turn as it stands."""
        rows = self.database.read(f"{_TURN} WHERE id = ?", (turn,))
        return _turn(rows[0]) if rows else None

    def messages(self, session: SessionKey) -> tuple[Message, ...]:
        """Return a session's conversation, oldest first; calls still open are left out with their answers."""
        rows = self.database.read(
            "SELECT id, role, text, layer, provider FROM runtime_message WHERE session = ? ORDER BY id", (session,)
        )
        calls = self._calls(session)
        found: list[Message] = []
        for message, role, text, layer, provider in rows:
            if role == "user":
                found.append(UserSaid(unpack(text)))
                continue
            pairs = calls.get(message, [])
            said = ModelSaid(unpack(text), tuple(asked for asked, _ in pairs), unpack(layer) if layer else "", provider)
            found.append(said)
            if pairs:
                found.append(ToolsAnswered(tuple(answer for _, answer in pairs)))
        return tuple(found)

    def _calls(self, session: SessionKey) -> dict[int, list[tuple[ToolRequest, ToolAnswer]]]:
        grouped: dict[int, list[tuple[ToolRequest, ToolAnswer]]] = {}
        for message, tool, args, told, answer in self.database.read(_ANSWERED, (session,)):
            pair = (ToolRequest(unpack(tool), unpack(args)), ToolAnswer(unpack(answer), Told(told)))
            grouped.setdefault(message, []).append(pair)
        return grouped


def window(messages: tuple[Message, ...], characters: int) -> tuple[Message, ...]:
    """Return the newest part of a conversation, at most ``characters`` long, that begins with someone's words.

    Whole turns are left out from the front, so no answer loses its question; the newest turn stays whatever its size.
    """
    starts = [index for index, message in enumerate(messages) if isinstance(message, UserSaid)]
    sizes = [_size(message) for message in messages]
    for start in starts:
        if sum(sizes[start:]) <= characters:
            return messages[start:]
    return messages[starts[-1] :] if starts else messages


def _size(message: Message) -> int:
    if isinstance(message, UserSaid):
        return len(message.text)
    if isinstance(message, ModelSaid):
        calls = sum(len(call.untrusted_tool) + len(call.untrusted_args) for call in message.calls)
        return len(message.text) + calls + len(message.layer)
    return sum(len(answer.text) for answer in message.answers)


_ADD_MESSAGE = """INSERT INTO runtime_message (session, turn, at, role, text, layer, provider, record)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_OPEN_CALLS = """SELECT c.id, c.turn, c.tool, c.args, c.state, c.crossed, c.approval, m.record
    FROM runtime_call c JOIN runtime_message m ON m.id = c.message
    WHERE c.turn = ? AND c.state != 'answered' ORDER BY c.id"""
_ANSWERED = """SELECT c.message, c.tool, c.args, c.told, c.answer
    FROM runtime_call c JOIN runtime_message m ON m.id = c.message
    WHERE m.session = ? AND c.state = 'answered' ORDER BY c.id"""
_TURN = "SELECT id, session, agent, origin, status, steps FROM runtime_turn"


def _last_id(tx: Transaction) -> int:
    return int(tx.execute("SELECT last_insert_rowid()")[0][0])


def _count(tx: Transaction, session: SessionKey, provider: str) -> None:
    tx.execute(
        "INSERT INTO runtime_session_provider VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET asked = asked + 1",
        (session, provider),
    )


def _settle(tx: Transaction, call: int, answer: ToolAnswer) -> None:
    tx.execute(
        "UPDATE runtime_call SET state = 'answered', told = ?, answer = ? WHERE id = ? AND state != 'answered'",
        (answer.told.value, pack(answer.text), call),
    )


def _call(row: Row) -> PendingCall:
    call, turn, tool, args, state, crossed, approval, record = row
    request = ToolRequest(unpack(tool), unpack(args))
    return PendingCall(call, turn, request, CallState(state), crossed, approval, record)


def _turn(row: Row) -> Turn:
    turn, session, agent, origin, status, steps = row
    return Turn(turn, SessionKey(session), AgentId(agent), origin, TurnStatus(status), steps)
