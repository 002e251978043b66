"""The tables of conversations.

Stops: a call without a place to put its answer: answers are columns of calls, so a history is complete exactly when no
call of it is open. Text that a model or a stranger chose is stored as ASCII JSON.
"""

from __future__ import annotations

from bascule.state.migrations import Schema

_CONVERSATIONS = """
CREATE TABLE runtime_session (
    key TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    integrity INTEGER NOT NULL CHECK (integrity IN (0, 1)),
    confidentiality INTEGER NOT NULL CHECK (confidentiality IN (0, 1)),
    sources TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX runtime_session_by_agent ON runtime_session (agent, updated);
CREATE TABLE runtime_session_provider (
    session TEXT NOT NULL REFERENCES runtime_session (key) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    asked INTEGER NOT NULL,
    PRIMARY KEY (session, provider)
) STRICT, WITHOUT ROWID;
CREATE TABLE runtime_turn (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL REFERENCES runtime_session (key) ON DELETE CASCADE,
    agent TEXT NOT NULL,
    origin TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('running', 'waiting', 'done', 'failed', 'cancelled', 'interrupted')),
    steps INTEGER NOT NULL DEFAULT 0,
    began REAL NOT NULL,
    ended REAL,
    code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX runtime_turn_open_once ON runtime_turn (session) WHERE status IN ('running', 'waiting');
CREATE INDEX runtime_turn_by_session ON runtime_turn (session, id);
CREATE TABLE runtime_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL REFERENCES runtime_session (key) ON DELETE CASCADE,
    turn INTEGER NOT NULL REFERENCES runtime_turn (id) ON DELETE CASCADE,
    at REAL NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'model')),
    text TEXT NOT NULL,
    layer TEXT NOT NULL DEFAULT '',
    provider TEXT NOT NULL DEFAULT '',
    record INTEGER
) STRICT;
CREATE INDEX runtime_message_by_session ON runtime_message (session, id);
CREATE INDEX runtime_message_by_turn ON runtime_message (turn, id);
CREATE TABLE runtime_call (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL REFERENCES runtime_message (id) ON DELETE CASCADE,
    turn INTEGER NOT NULL REFERENCES runtime_turn (id) ON DELETE CASCADE,
    tool TEXT NOT NULL,
    args TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('proposed', 'crossing', 'waiting', 'answered')),
    crossed REAL,
    approval TEXT NOT NULL DEFAULT '',
    told TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX runtime_call_by_message ON runtime_call (message, id);
CREATE INDEX runtime_call_by_turn ON runtime_call (turn, id);
"""

SCHEMA = Schema("runtime", (_CONVERSATIONS,))
"""What ``state.migrations.migrate`` needs to know."""
