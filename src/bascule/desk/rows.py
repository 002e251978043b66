"""The desk's tables and what a row means; the rest of its SQL is in ``pending.py``, ``grants.py`` and ``hours.py``.

Stops: a row that the database holds in another shape than the program thinks (the table checks states and numbers).
"""

from __future__ import annotations

from bascule.core.answer import Approval, Grant, Standing, State
from bascule.core.canonical import Json
from bascule.core.errors import Malformed
from bascule.desk.question import OPEN, Actor
from bascule.state.connection import Row
from bascule.state.migrations import Schema

COLUMNS = (
    "id, code, digest, agent, session, tool, state, created, expires, card, answered_by, policy_version, seq, rank, "
    "due, action, extent, ungrantable, proposal"
)

SUMMARY_COLUMNS = """id, code, digest, agent, session, tool, state, created,
CASE WHEN state IN ('pending', 'approved') THEN due - ? ELSE expires END,
substr(card, 1, instr(card || char(10), char(10)) - 1), action"""
"""Those of a summary; takes the offset of the desk's time."""

GRANT_COLUMNS = (
    "id, agent, session, tool, state, created, expires, uses_left, used, granted_by, approval, policy_version, rank, "
    "extent, due"
)

SCHEMA = Schema(
    "desk",
    (
        """
CREATE TABLE desk (
    id             TEXT PRIMARY KEY,
    code           TEXT NOT NULL,
    digest         TEXT NOT NULL,
    agent          TEXT NOT NULL,
    session        TEXT NOT NULL,
    tool           TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (
        state IN ('pending', 'approved', 'denied', 'expired', 'cancelled', 'consumed')),
    created        REAL NOT NULL,
    expires        REAL NOT NULL,
    card           TEXT NOT NULL,
    answered_by    TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    rank           TEXT NOT NULL CHECK (rank IN ('00', '01', '10', '11')),
    due            REAL NOT NULL,
    nonce          BLOB NOT NULL UNIQUE
) STRICT;
CREATE UNIQUE INDEX desk_code ON desk (code) WHERE state IN ('pending', 'approved');
CREATE INDEX desk_call ON desk (digest) WHERE state IN ('pending', 'approved');
CREATE INDEX desk_due ON desk (due) WHERE state IN ('pending', 'approved');
CREATE INDEX desk_agent ON desk (agent) WHERE state = 'pending';
CREATE INDEX desk_age ON desk (created);
CREATE TABLE desk_time (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    latest   REAL NOT NULL,
    "offset" REAL NOT NULL
) STRICT;
""",
        """
ALTER TABLE desk ADD COLUMN action TEXT NOT NULL DEFAULT '';
ALTER TABLE desk ADD COLUMN extent TEXT NOT NULL DEFAULT '';
ALTER TABLE desk ADD COLUMN ungrantable TEXT NOT NULL DEFAULT 'it was asked by an earlier version';
ALTER TABLE desk ADD COLUMN proposal TEXT NOT NULL DEFAULT '';
CREATE INDEX desk_said ON desk (agent, tool, created) WHERE state IN ('approved', 'consumed');
CREATE TABLE desk_grants (
    id             TEXT PRIMARY KEY,
    agent          TEXT NOT NULL,
    session        TEXT NOT NULL,
    tool           TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('active', 'used_up', 'expired', 'revoked')),
    created        REAL NOT NULL,
    expires        REAL NOT NULL,
    uses_left      INTEGER CHECK (uses_left >= 0),
    used           INTEGER NOT NULL,
    granted_by     TEXT NOT NULL,
    approval       TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    rank           TEXT NOT NULL CHECK (rank IN ('00', '01', '10', '11')),
    extent         TEXT NOT NULL,
    due            REAL NOT NULL
) STRICT;
CREATE INDEX desk_grants_live ON desk_grants (agent, tool) WHERE state = 'active';
CREATE INDEX desk_grants_due ON desk_grants (due) WHERE state = 'active';
""",
    ),
)


def approval(row: Row, offset: float) -> Approval:
    """Make the noun of a row of :data:`COLUMNS`.

    ``created`` and ``expires`` are the clock's when it was asked, ``due`` the desk's. While a question is open its
    expiry is ``due`` on today's clock: less ``offset``, which is not zero after the clock was set back.
    """
    (id_, code, digest, agent, session, tool, found, created, expires, card, by, version, seq, rank, due, *rest) = row
    state = _STATES[found]
    if offset and state in OPEN:
        expires = due - offset
    lines = tuple(card.split("\n"))
    return Approval(
        id_, code, digest, agent, session, tool, state, created, expires, lines, by, version, seq, rank, *rest
    )  # by place: ten thousand of these make one list


_STATES = {state.value: state for state in State}


def grant(row: Row, offset: float) -> Grant:
    """Make the noun of a row of :data:`GRANT_COLUMNS`; times as for :func:`approval`."""
    (id_, agent, session, tool, found, created, expires, left, used, by, question, version, rank, extent, due) = row
    state = Standing(found)
    if offset and state is Standing.ACTIVE:
        expires = due - offset
    return Grant(
        id_, agent, session, tool, state, created, expires, left, used, by, question, version, rank, extent
    )  # fmt: skip


def card_text(lines: tuple[str, ...]) -> str:
    """Return the card as one text.

    Raises:
        Malformed: no line at all, or a line that holds a line's end: it could pass for two.
    """
    if not lines or any("\n" in line for line in lines):
        raise Malformed("card_line", "a card is at least one line, and none holds a line's end")
    return "\n".join(lines)


def statement(row: Row, state: State, actor: Actor, by: str) -> dict[str, Json]:
    """What the ledger is told of a move."""
    return {
        "agent": row[3],
        "session": row[4],
        "digest": row[2],
        "parent": row[12],
        "approval": row[0],
        "tool": row[5],
        "state": state.value,
        "actor": actor.value,
        "by": by,
        "policy": row[11],
        "label": row[13],
    }
