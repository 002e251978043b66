"""Laws of the chain: whatever one edit does to the file, the verifier sees it; a cut or an old copy shows by heads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import NOW
from tests.keeping import Keeping
from tests.simulators import Time

from bascule.ledger.verify import Problem, verify
from bascule.state.connection import DATABASE_FILE

LAW = settings(deadline=None, max_examples=60)
RECORDS = 9
SEQ = st.integers(1, RECORDS)
TEXTS = ("at", "kind", "agent", "session", "digest", "body")
BLOBS = ("prev", "hash")
BODIES = ({"x": 1}, {"agent": "a", "session": "s"}, {"digest": "d" * 64, "list": [1, "é"]}, {"agent": "b", "parent": 1})


@cache
def original() -> tuple[bytes, object, tuple[str, ...]]:
    """The bytes of a ledger with heads at 5 and 9, its public key, and the copied heads."""
    with tempfile.TemporaryDirectory() as directory:
        with Keeping(Path(directory)) as kept:
            for count in range(RECORDS):
                kept.time.at += 1
                kept.ledger.append_now("decided", BODIES[count % 4 if count else 0], durable=False)
                if count in {4, 8}:
                    kept.ledger.anchor()
            heads = tuple(kept.heads())
        return kept.path.read_bytes(), kept.signer.public, heads


@contextmanager
def copy() -> Iterator[tuple[Path, apsw.Connection]]:
    directory = Path(tempfile.mkdtemp())
    try:
        path = directory / DATABASE_FILE
        path.write_bytes(original()[0])
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF")
        connection.execute("DROP TRIGGER ledger_append_only; DROP TRIGGER ledger_keeps_all")
        yield path, connection
    finally:
        connection.close()
        shutil.rmtree(directory)


def problems(path: Path, heads: tuple[str, ...] | None = None) -> tuple[Problem, ...]:
    return verify(path, original()[1], original()[2] if heads is None else heads).problems


def test_untouched_it_holds() -> None:
    with copy() as (path, _):
        assert problems(path) == ()


@LAW
@given(SEQ, st.sampled_from((*TEXTS, *BLOBS)), st.data())
def test_any_byte_of_any_column(seq: int, column: str, data: st.DataObject) -> None:
    with copy() as (path, connection):
        stored = connection.execute(f"SELECT CAST({column} AS BLOB) FROM ledger WHERE seq = ?", (seq,)).fetchall()[0][0]
        at = data.draw(st.integers(0, len(stored)))
        change = data.draw(st.binary(max_size=2))
        edited = stored[:at] + change + stored[at + data.draw(st.integers(0, 2)) :]
        kind = "TEXT" if column in TEXTS else "BLOB"
        connection.execute(f"UPDATE ledger SET {column} = CAST(? AS {kind}) WHERE seq = ?", (edited, seq))
        found = problems(path)
        if edited == stored:
            assert found == ()
        else:
            assert next(problem.seq for problem in found) in {seq, seq + 1}


@LAW
@given(SEQ, st.none() | st.integers(-3, 20))
def test_any_parent(seq: int, parent: int | None) -> None:
    with copy() as (path, connection):
        before = connection.execute("SELECT parent FROM ledger WHERE seq = ?", (seq,)).fetchall()[0][0]
        connection.execute("UPDATE ledger SET parent = ? WHERE seq = ?", (parent, seq))
        assert (problems(path) == ()) == (parent == before)


@LAW
@given(st.sets(SEQ, min_size=1), st.booleans())
def test_any_records_removed(gone: set[int], closed_up: bool) -> None:
    with copy() as (path, connection):
        for seq in sorted(gone, reverse=True):
            connection.execute("DELETE FROM ledger WHERE seq = ?", (seq,))
            if closed_up:
                for later in range(seq + 1, RECORDS + 1):
                    connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (later - 1, later))
        assert next(problem.seq for problem in problems(path)) == min(gone)


@LAW
@given(st.permutations(range(1, RECORDS + 1)))
def test_any_other_order(order: list[int]) -> None:
    with copy() as (path, connection):
        connection.execute("UPDATE ledger SET seq = seq + 100")
        for place, seq in enumerate(order, 1):
            connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (place, seq + 100))
        found = problems(path)
        wrong = [("reordered", place) for place, seq in enumerate(order, 1) if place != seq]
        assert [(problem.code, problem.seq) for problem in found] == wrong[:1]


@LAW
@given(SEQ, st.integers(-5, 30), st.booleans())
def test_any_record_doubled_or_put_in(source: int, place: int, pushed: bool) -> None:
    with copy() as (path, connection):
        if pushed:
            for seq in range(RECORDS, max(0, place - 1), -1):
                connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (seq + 1, seq))
        taken = connection.execute("SELECT 1 FROM ledger WHERE seq = ?", (place,)).fetchall()
        if taken or not connection.execute("SELECT 1 FROM ledger WHERE seq = ?", (source,)).fetchall():
            return
        connection.execute(
            "INSERT INTO ledger SELECT ?, at, kind, agent, session, digest, parent, body, prev, hash "
            "FROM ledger WHERE seq = ?", (place, source),
        )  # fmt: skip
        assert problems(path) != ()


@LAW
@given(SEQ.filter(lambda seq: seq < RECORDS), st.booleans())
def test_any_cut_end(last: int, heads_too: bool) -> None:
    with copy() as (path, connection):
        connection.execute("DELETE FROM ledger WHERE seq > ?", (last,))
        if heads_too:
            connection.execute("DELETE FROM ledger_heads WHERE seq > ?", (last,))
        found = problems(path)
        code = "rolled_back" if heads_too else "tail_cut"
        assert [(problem.code, problem.seq) for problem in found] == [(code, last + 1)]


@settings(max_examples=20, deadline=None)
@given(SEQ, st.integers(0, 12))
def test_any_older_copy_put_back_and_gone_on_with(last: int, more: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        with Keeping(state) as kept:
            for count in range(RECORDS):
                kept.decided()
                if count + 1 == last:
                    kept.database.sync_now()
                    kept.database.read("PRAGMA wal_checkpoint(TRUNCATE)")
                    older = kept.path.read_bytes()
            kept.ledger.anchor()
        kept.path.write_bytes(older)
        with Keeping(state, Time(NOW + 99)) as kept:
            for _ in range(more):
                kept.decided()
            kept.ledger.anchor()
            found = [problem.code for problem in kept.verified().problems]
            assert found == ([] if last == RECORDS else ["rolled_back"])
