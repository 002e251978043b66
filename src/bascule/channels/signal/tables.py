"""Signal's tables: what came, what goes out, which questions were asked, who was let in.

Stops: a state no part of the program knows (the tables check), and one message stored twice (unique keys).
"""

from __future__ import annotations

from bascule.state.migrations import Schema

SCHEMA = Schema(
    "signal",
    (
        """
CREATE TABLE signal_inbox (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT NOT NULL UNIQUE,
    event    TEXT NOT NULL,
    received REAL NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('new', 'working', 'done'))
) STRICT;
CREATE INDEX signal_inbox_open ON signal_inbox (seq) WHERE state != 'done';
CREATE TABLE signal_outbox (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    once      TEXT NOT NULL UNIQUE,
    recipient TEXT NOT NULL,
    person    TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('card', 'pointer', 'notice', 'words')),
    approval  TEXT NOT NULL,
    body      TEXT NOT NULL,
    made      REAL NOT NULL,
    due       REAL NOT NULL,
    tries     INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed', 'dropped')),
    sent_at   INTEGER NOT NULL,
    fault     TEXT NOT NULL
) STRICT;
CREATE INDEX signal_outbox_waiting ON signal_outbox (recipient, seq) WHERE state = 'waiting';
CREATE INDEX signal_outbox_card ON signal_outbox (person, sent_at) WHERE kind IN ('card', 'pointer');
CREATE TABLE signal_question (
    approval TEXT PRIMARY KEY,
    code     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    tool     TEXT NOT NULL,
    seen     REAL NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('open', 'settled'))
) STRICT, WITHOUT ROWID;
CREATE TABLE signal_pairing (
    id      TEXT PRIMARY KEY,
    code    TEXT NOT NULL,
    number  TEXT NOT NULL,
    uuid    TEXT NOT NULL,
    state   TEXT NOT NULL CHECK (state IN ('waiting', 'approved')),
    created REAL NOT NULL,
    expires REAL NOT NULL,
    by      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE signal_tries (
    person TEXT PRIMARY KEY,
    wrong  INTEGER NOT NULL,
    since  REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE signal_place (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    event TEXT NOT NULL
) STRICT;
""",
    ),
)

KEPT_SECONDS = 30 * 86_400.0
"""How long what is done is remembered: repeats of a message are known, answers to old questions are told so."""
