"""Sessions: who talks in them, and the label of everything that was read in them.

Stops: a session's label falling, or lagging behind what its model has read: it is joined in the transaction that
stores what was read. Only :meth:`Sessions.reset` begins anew, and then nothing of the old conversation is left to read.
Does not stop: what the session wrote elsewhere (files, memory) from keeping its own label; that is kept there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bascule.core.errors import Malformed, Unavailable
from bascule.core.ids import AgentId, SessionKey
from bascule.core.label import Confidentiality, Integrity, Label
from bascule.core.ports import Clock
from bascule.runtime.messages import unpack
from bascule.state.connection import Database, Row, Transaction

FRESH = Label(Integrity.TRUSTED, Confidentiality.PUBLIC, frozenset())
"""The label of a session in which nothing was read: the neutral element of ``join``."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session.

    Attributes:
        key: its key.
        agent: whose it is.
        messages: how many messages it holds, tool answers not counted.
        created: seconds since the epoch.
        updated: seconds since the epoch of the last change.
        label: join of everything read in it.
        turn: status of its last turn, empty if there was none.
    """

    key: SessionKey
    agent: AgentId
    messages: int
    created: float
    updated: float
    label: Label
    turn: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript; ``role`` is ``operator``, ``agent``, ``tool`` or ``system``."""

    at: float
    role: str
    text: str


def rise(tx: Transaction, agent: AgentId, session: SessionKey, label: Label, now: float) -> Label:
    """Join a label into a session's, inside the caller's transaction, and return the result.

    The session is created if it does not exist.
    """
    rows = tx.execute(_LABEL, (session,))
    joined = (_label(*rows[0]) if rows else FRESH).join(label)
    tx.execute(
        "INSERT INTO runtime_session VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO UPDATE SET "
        "updated = ?3, integrity = ?4, confidentiality = ?5, sources = ?6",
        (session, agent, now, int(joined.integrity), int(joined.confidentiality), json.dumps(sorted(joined.sources))),
    )
    return joined


def read_label(database: Database, session: SessionKey) -> Label:
    """Return a session's label; :data:`FRESH` if there is no such session."""
    rows = database.read(_LABEL, (session,))
    return _label(*rows[0]) if rows else FRESH


class Sessions:
    """The table of sessions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def label(self, session: SessionKey) -> Label:
        """Return the join of everything read in a session."""
        return read_label(self._database, session)

    def rise(self, agent: AgentId, session: SessionKey, label: Label) -> Label:
        """Join a label into a session's and return the result; the session is created if needed."""
        with self._database.transaction() as tx:
            return rise(tx, agent, session, label, self._clock.now())

    def list(self, agent: AgentId | None = None) -> tuple[SessionInfo, ...]:
        """Return the sessions of one agent or of all, the most recently changed first."""
        return tuple(_info(row) for row in self._database.read(_LIST, (agent,)))

    def get(self, session: SessionKey) -> SessionInfo:
        """Return one session.

        Raises:
            Malformed: ``session_unknown``.
        """
        rows = self._database.read(_ONE, (session,))
        if not rows:
            raise Malformed("session_unknown", f"there is no session {session}", "see: bascule sessions list")
        return _info(rows[0])

    def show(self, session: SessionKey) -> tuple[Line, ...]:
        """Return a transcript, oldest first: words, calls with their raw arguments, answers, how turns ended.

        Raises:
            Malformed: ``session_unknown``.
        """
        self.get(session)
        lines: list[Line] = []
        for at, kind, text, extra in self._database.read(_SHOW, (session,)):
            lines.extend(_lines(at, kind, text, extra))
        return tuple(lines)

    def reset(self, session: SessionKey) -> Label:
        """Forget a conversation; the session stays, empty and with a fresh label. Return the label it had.

        The caller records the fall of the label and ends the session's boxes.

        Raises:
            Malformed: ``session_unknown``.
            Unavailable: ``session_busy``, a turn is open in it.
        """
        info = self.get(session)
        with self._database.transaction() as tx:
            refuse_busy(tx, session)
            tx.execute("DELETE FROM runtime_session WHERE key = ?", (session,))
            rise(tx, info.agent, session, FRESH, self._clock.now())
        return info.label


def refuse_busy(tx: Transaction, session: SessionKey) -> None:
    """Do nothing unless a turn is open in the session.

    Raises:
        Unavailable: ``session_busy``.
    """
    rows = tx.execute(_OPEN, (session,))
    if rows and rows[0][0] == "waiting":
        raise Unavailable(
            "session_busy",
            f"{session} waits for an approval",
            "answer it while a gateway runs (bascule approvals list), or reset the session",
        )
    if rows:
        raise Unavailable("session_busy", f"a turn is running in {session}", "wait for it to end, or stop it")


_LABEL = "SELECT integrity, confidentiality, sources FROM runtime_session WHERE key = ?"
_OPEN = "SELECT status FROM runtime_turn WHERE session = ? AND status IN ('running', 'waiting')"
_COLUMNS = """s.key, s.agent, (SELECT count(*) FROM runtime_message m WHERE m.session = s.key), s.created, s.updated,
    s.integrity, s.confidentiality, s.sources,
    coalesce((SELECT t.status FROM runtime_turn t WHERE t.session = s.key ORDER BY t.id DESC LIMIT 1), '')"""
_LIST = f"SELECT {_COLUMNS} FROM runtime_session s WHERE ?1 IS NULL OR s.agent = ?1 ORDER BY s.updated DESC, s.key"  # noqa: S608 - constants only
_ONE = f"SELECT {_COLUMNS} FROM runtime_session s WHERE s.key = ?1"  # noqa: S608 - constants only
_SHOW = """
SELECT at, kind, text, extra FROM (
    SELECT m.at AS at, m.role AS kind, m.text AS text, t.origin AS extra, m.id AS a, 0 AS b
        FROM runtime_message m JOIN runtime_turn t ON t.id = m.turn WHERE m.session = ?1
    UNION ALL
    SELECT m.at, 'call', c.tool, c.args, m.id, 2 * c.id
        FROM runtime_call c JOIN runtime_message m ON m.id = c.message WHERE m.session = ?1
    UNION ALL
    SELECT m.at, 'answer', c.answer, '', m.id, 2 * c.id + 1
        FROM runtime_call c JOIN runtime_message m ON m.id = c.message WHERE m.session = ?1 AND c.answer != ''
    UNION ALL
    SELECT coalesce(t.ended, t.began), 'end', t.message, t.status,
        (SELECT max(id) FROM runtime_message WHERE turn = t.id), 9223372036854775807
        FROM runtime_turn t WHERE t.session = ?1 AND t.status IN ('failed', 'cancelled', 'interrupted')
) ORDER BY a, b
"""


def _label(integrity: int, confidentiality: int, sources: str) -> Label:
    return Label(Integrity(integrity), Confidentiality(confidentiality), frozenset(json.loads(sources)))


def _info(row: Row) -> SessionInfo:
    key, agent, messages, created, updated, integrity, confidentiality, sources, turn = row
    label = _label(integrity, confidentiality, sources)
    return SessionInfo(SessionKey(key), AgentId(agent), messages, created, updated, label, turn)


def _lines(at: float, kind: str, text: str, extra: str) -> list[Line]:
    if kind == "end":
        return [Line(at, "system", f"turn {extra}: {unpack(text) if text else 'stopped'}")]
    if kind == "call":
        return [Line(at, "agent", f"calls {unpack(text)} {unpack(extra)}")]
    if kind == "answer":
        return [Line(at, "tool", unpack(text))]
    words = unpack(text)
    if kind == "model":
        return [Line(at, "agent", words)] if words else []
    return [Line(at, "operator" if extra == "operator" else "system", words)]
