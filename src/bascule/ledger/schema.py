"""The ledger's tables. The verifier compares what it finds in a file with these very words.

Stops: a slip in our own code changing or deleting a record (two triggers refuse). Does not stop SQL from elsewhere.
"""

from __future__ import annotations

from bascule.state.migrations import Schema

LEDGER_TABLE = """CREATE TABLE ledger (
    seq     INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    agent   TEXT NOT NULL,
    session TEXT NOT NULL,
    digest  TEXT NOT NULL,
    parent  INTEGER,
    body    TEXT NOT NULL,
    prev    BLOB NOT NULL,
    hash    BLOB NOT NULL
) STRICT"""

HEADS_TABLE = """CREATE TABLE ledger_heads (
    number    INTEGER PRIMARY KEY,
    seq       INTEGER NOT NULL,
    hash      TEXT NOT NULL,
    at        TEXT NOT NULL,
    key       TEXT NOT NULL,
    signature TEXT NOT NULL
) STRICT"""

SCHEMA = Schema(
    "ledger",
    (
        f"""{LEDGER_TABLE};
{HEADS_TABLE};
CREATE INDEX ledger_started ON ledger (seq) WHERE kind = 'started';
CREATE TRIGGER ledger_append_only BEFORE UPDATE ON ledger
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_keeps_all BEFORE DELETE ON ledger
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
""",
    ),
)
