"""The ledger while the gateway runs: appends records, links each to the one before, answers questions about them.

Stops: an effect without a record (a record that cannot be written raises, and callers then do nothing), and two
writers on one chain (the second finds its number taken and is refused). Does not stop edits of the file behind our
back; ``verify.py`` finds those.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import apsw

from bascule.core.canonical import Json
from bascule.core.errors import Malformed, Tampered, Unavailable
from bascule.core.ports import Clock
from bascule.ledger.anchor import Anchor
from bascule.ledger.chain import GENESIS, Entry, Head, Record, entry, link, record_bytes, timestamp
from bascule.state.connection import Database, Row, Transaction

ANCHOR_EVERY = 256
"""Records after which a head is signed without being asked; the gateway also asks at intervals and at stop."""

ANCHOR_SECONDS = 5.0
"""But not more often than this, so that a burst of records does not become a burst of disk syncs."""

MAX_LINEAGE = 1_000
"""Records one question about lineage returns at most."""

_COLUMNS = "seq, at, kind, agent, session, digest, parent, body, prev, hash"
_INSERT = f"INSERT INTO ledger ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 -- only constants of this file
_TAIL = "SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1"
_PARENTS = "SELECT seq, parent FROM ledger WHERE seq > ? AND parent IS NOT NULL ORDER BY seq"


class Ledger:
    """Implements ``core.ports.Records`` and ``state.journal.Journal`` over tables ``ledger`` and ``ledger_heads``."""

    def __init__(self, database: Database, clock: Clock, anchor: Anchor) -> None:
        """Continue the ledger of ``database``, whose ledger migrations have run.

        Raises:
            Unavailable: the database cannot be read.
            Tampered: it is damaged.
        """
        self._database = database
        self._clock = clock
        self._anchor = anchor
        self._tail: tuple[int, bytes] | None = None
        self._anchored = anchor.catch_up(database)
        self._anchoring = False
        self._anchor_time = 0.0
        self._anchor_lock = threading.Lock()
        self.anchor_problem = ""
        with database.lock:
            self._end()

    async def append(self, kind: str, body: Mapping[str, Json], *, durable: bool) -> int:
        """Write one record and return its sequence number; durable means on disk before returning.

        ``agent``, ``session``, ``digest`` (text) and ``parent`` (a number) of ``body`` become columns.

        Raises:
            Malformed: ``body`` is not canonical JSON, a column has another type, or the parent is not earlier.
            Unavailable: it could not be written; nothing was.
            Tampered: somebody else wrote into the ledger, or the file is damaged.
        """
        seq = self._append(entry(kind, body))
        if durable:
            await self._database.sync()
        return seq

    def append_now(self, kind: str, body: Mapping[str, Json], *, durable: bool) -> int:
        """Do what :meth:`append` does, waiting for the disk in this thread."""
        seq = self._append(entry(kind, body))
        if durable:
            self._database.sync_now()
        return seq

    def record(self, change: Transaction, kind: str, body: Mapping[str, Json]) -> int:
        """Write one record as part of ``change``; raises as :meth:`append`. Sync the database for durability."""
        made = entry(kind, body)
        change.on_rollback(self._forget)
        values = self._next(made)
        try:
            change.execute(_INSERT, values)
        except apsw.ConstraintError:
            raise self._moved() from None
        self._tail = (int(values[0]), values[9])
        change.on_commit(self._maybe_anchor)
        return int(values[0])

    def _append(self, made: Entry) -> int:
        with self._database.lock:
            values = self._next(made)
            try:
                self._database.write(_INSERT, values)
            except apsw.ConstraintError:
                self._forget()
                raise self._moved() from None
            seq = int(values[0])
            self._tail = (seq, values[9])
        self._maybe_anchor()
        return seq

    def _next(self, made: Entry) -> Row:
        seq, prev = self._end()
        seq += 1
        if made.parent is not None and made.parent >= seq:
            raise Malformed("record_parent", f"record {made.parent}, named as a parent, does not exist yet")
        at = timestamp(self._clock.now())
        hash_ = link(prev, record_bytes(seq, at, made))
        return (seq, at, made.kind, made.agent, made.session, made.digest, made.parent, made.body, prev, hash_)

    def _end(self) -> tuple[int, bytes]:
        """The last record's number and link; (0, GENESIS) for none. Called under the database's lock."""
        if self._tail is None:
            rows = self._database.read(_TAIL)
            self._tail = (int(rows[0][0]), bytes(rows[0][1])) if rows else (0, GENESIS)
        return self._tail

    def _forget(self) -> None:
        self._tail = None

    def _moved(self) -> Tampered:
        return Tampered(
            "ledger_moved",
            f"somebody else wrote to the ledger in {self._database.path}",
            "run `bascule ledger verify`",
        )

    def _maybe_anchor(self) -> None:
        tail = self._tail
        if tail is None or tail[0] - self._anchored < ANCHOR_EVERY or self._anchoring:
            return
        if abs(self._clock.now() - self._anchor_time) < ANCHOR_SECONDS:
            return
        self._anchor_time = self._clock.now()
        self._anchoring = True
        self._database.background(self._anchor_quietly)

    def _anchor_quietly(self) -> None:
        try:
            self.anchor()
        except (Unavailable, Tampered) as error:
            # Nobody waits here; the gateway's own findings show it, and the next record tries again.
            self.anchor_problem = error.message
        finally:
            self._anchoring = False

    def anchor(self) -> Head | None:
        """Sign the present end of the chain, in the database and in the copy; None if it is signed already.

        Blocks for the disk. The end is synced first, so that no power cut leaves a head without its record.

        Raises:
            Unavailable: the head could not be written or copied out.
        """
        with self._anchor_lock:
            rows = self._database.read(_TAIL)
            if not rows or int(rows[0][0]) == self._anchored:
                return None
            self._database.sync_now()
            seq = int(rows[0][0])
            head = self._anchor.sign(self._database, seq, bytes(rows[0][1]).hex(), timestamp(self._clock.now()))
            self._anchored = seq
            self.anchor_problem = ""
            return head

    def end(self) -> tuple[int, str]:
        """Return the last record's number and its link in hex."""
        with self._database.lock:
            seq, hash_ = self._end()
        return seq, hash_.hex()

    def show(self, seq: int) -> Record | None:
        """Return one record."""
        rows = self._query("WHERE seq = ?", (seq,))
        return rows[0] if rows else None

    def tail(self, limit: int, *, agent: str | None = None, kind: str | None = None, after: int = 0) -> list[Record]:
        """Return the last ``limit`` records, oldest first: of one agent, of one kind, with ``seq`` above ``after``."""
        where = "WHERE seq > ? AND (?2 IS NULL OR agent = ?2) AND (?3 IS NULL OR kind = ?3) ORDER BY seq DESC LIMIT ?4"
        return self._query(where, (after, agent, kind, limit))[::-1]

    def after(self, seq: int, limit: int, *, agent: str | None = None) -> list[Record]:
        """Return the first ``limit`` records that follow ``seq``, in order; of one agent, if named."""
        return self._query("WHERE seq > ? AND (?2 IS NULL OR agent = ?2) ORDER BY seq LIMIT ?3", (seq, agent, limit))

    def lineage(self, seq: int) -> list[Record]:
        """Return what led to a record, first cause first, the record itself last."""
        where = """WHERE seq IN (
            WITH RECURSIVE up(seq, parent) AS (
                SELECT seq, parent FROM ledger WHERE seq = ?
                UNION SELECT ledger.seq, ledger.parent FROM ledger JOIN up ON ledger.seq = up.parent
                LIMIT ?) SELECT seq FROM up) ORDER BY seq"""
        return self._query(where, (seq, MAX_LINEAGE))

    def descent(self, seq: int) -> list[Record]:
        """Return everything a record led to, in order, without the record itself."""
        # A parent is always earlier, so one pass in order finds them all without an index that every append would pay.
        family, found = {seq}, list[int]()
        for child, parent in self._database.read(_PARENTS, (seq,)):
            if parent in family and len(found) < MAX_LINEAGE:
                family.add(child)
                found.append(child)
        return [record for child in found for record in self._query("WHERE seq = ?", (child,))]

    def unfinished(self) -> list[Record]:
        """Return ``started`` records that no ``finished`` or ``unknown`` record names as parent: outcome unknown."""
        where = """WHERE kind = 'started' AND seq NOT IN (
            SELECT parent FROM ledger WHERE kind IN ('finished', 'unknown') AND parent IS NOT NULL) ORDER BY seq"""
        return self._query(where, ())

    def _query(self, where: str, values: tuple[str | int | None, ...]) -> list[Record]:
        rows = self._database.read(f"SELECT {_COLUMNS} FROM ledger {where}", values)  # noqa: S608 -- only constants of these two files
        return [Record(*row) for row in rows]
