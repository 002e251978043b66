"""Versioned, forward-only schema changes. Each room hands in its own :class:`Schema`; nobody else's SQL is touched.

Stops: an older program writing into a newer database, a released step edited after the fact, and a half-applied
change: every step and its version number commit together or not at all. Does not stop someone who edits the file
with another program; the ledger's verifier compares the tables it trusts with their definitions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bascule.core.errors import Tampered, Unavailable
from bascule.state.connection import Database, Transaction

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_steps (
    room    TEXT NOT NULL,
    version INTEGER NOT NULL,
    sha256  TEXT NOT NULL,
    PRIMARY KEY (room, version)
) STRICT, WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """One room's tables.

    Attributes:
        room: its name, also the prefix of its tables.
        steps: SQL scripts in order; step *n* brings version *n - 1* to *n*. A released step is never edited: add one.
    """

    room: str
    steps: tuple[str, ...]


def migrate(database: Database, schemas: Iterable[Schema]) -> dict[str, int]:
    """Bring every room to its newest version and return how many steps each one took.

    Raises:
        Unavailable: ``state_newer`` if the file was written by a newer program (nothing was changed); or the disk.
        Tampered: ``migration_changed`` if a step that was applied differs from the one known here.
    """
    with database.transaction() as change:
        change.execute(_TABLE)
    known = tuple(schemas)
    for schema in known:
        _refuse_strangers(schema, _applied(database, schema.room))
    return {schema.room: _advance(database, schema) for schema in known}


def _advance(database: Database, schema: Schema) -> int:
    taken = 0
    for version, step in enumerate(schema.steps, 1):
        with database.transaction() as change:
            if version <= len(_seen(change, schema.room)):
                continue
            change.script(step)
            change.execute("INSERT INTO schema_steps VALUES (?, ?, ?)", (schema.room, version, _sha256(step)))
            taken += 1
    return taken


def _refuse_strangers(schema: Schema, applied: list[str]) -> None:
    if len(applied) > len(schema.steps):
        raise Unavailable(
            "state_newer",
            f"the state database has version {len(applied)} of {schema.room}, this program knows {len(schema.steps)}",
            "install the newer program again, or restore a copy made before the upgrade",
        )
    for version, (found, step) in enumerate(zip(applied, schema.steps, strict=False), 1):
        if found != _sha256(step):
            raise Tampered("migration_changed", f"step {version} of {schema.room} is not the one that was applied")


def _applied(database: Database, room: str) -> list[str]:
    rows = database.read("SELECT sha256 FROM schema_steps WHERE room = ? ORDER BY version", (room,))
    return [str(row[0]) for row in rows]


def _seen(change: Transaction, room: str) -> list[str]:
    rows = change.execute("SELECT sha256 FROM schema_steps WHERE room = ? ORDER BY version", (room,))
    return [str(row[0]) for row in rows]


def _sha256(step: str) -> str:
    return hashlib.sha256(step.encode("utf-8")).hexdigest()
