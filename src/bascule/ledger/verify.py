"""The offline verifier: a database file, the public key, and signed heads are all it needs. It writes nothing.

Stops: a record altered, removed, inserted or put elsewhere; an end cut off; an older copy of the database put back;
a head that the key did not sign. It names the first bad record and what is wrong with it. Does not see records added
after the last signed head by someone who can write the file, nor an end cut off that no head covered yet: the report
says how many records lie beyond the last head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bascule.core.errors import Malformed, Unavailable
from bascule.ledger.chain import COLUMNS_BEFORE_BODY, GENESIS, SEPARATOR, Head, head_statement, parse_head
from bascule.ledger.keys import key_name, signature_holds
from bascule.ledger.schema import HEADS_TABLE, LEDGER_TABLE
from bascule.state.faults import fault

_COLUMNS = "seq, at, kind, agent, session, digest, parent, body, prev, hash"
_ALL = f"SELECT {_COLUMNS} FROM ledger NOT INDEXED ORDER BY seq"  # noqa: S608 -- only constants of this file
_AFTER = f"SELECT {_COLUMNS} FROM ledger NOT INDEXED WHERE seq > ? ORDER BY seq"  # noqa: S608 -- only constants
_HEADS = "SELECT number, seq, hash, at, key, signature FROM ledger_heads NOT INDEXED ORDER BY number"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and at which record.

    ``code`` is one of ``altered``, ``removed``, ``inserted``, ``reordered``, ``rewritten``, ``tail_cut``,
    ``rolled_back``, ``head_signature``, ``head_removed``, ``head_malformed``, ``definition_changed``, ``corrupt``.
    """

    code: str
    seq: int
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found.

    Attributes:
        records: how many were read.
        seq: number of the last record, 0 for none.
        hash: its link in hex.
        heads: signed heads whose record was compared.
        anchored: the last record covered by a good head; what lies beyond rests on the chain alone.
        problems: empty if all is well; the first bad record first.
    """

    records: int
    seq: int
    hash: str
    heads: int
    anchored: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems


@dataclass(slots=True)
class _Walk:
    """Where a pass over the records stands."""

    seq: int
    last: bytes
    records: int = 0
    problem: Problem | None = None
    seen: dict[int, str] = field(default_factory=dict)


def verify(path: Path, public: Ed25519PublicKey, untrusted_copy: Iterable[str]) -> Report:
    """Verify a whole ledger.

    Args:
        path: the database file; opened read-only, with its write-ahead log if there is one beside it.
        public: the ledger's public key.
        untrusted_copy: lines of every copy of signed heads there is; more is better, none is weak.

    Raises:
        Unavailable: the file cannot be opened.
    """
    connection = _open(path)
    problems: list[Problem] = []
    walk = _Walk(0, GENESIS)
    kept: list[Head] = []
    try:
        problems += _definitions(connection)
        if not problems:
            kept = _kept(connection, problems)
            copied = _parse(untrusted_copy, problems)
            good = _signed({*kept, *copied}, public, problems)
            _walk(connection, walk, {head.seq for head in good})
            problems += [walk.problem] if walk.problem else _compare(walk, good, frozenset(kept))
            return _report(walk, good, problems)
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError):
        problems.append(Problem("corrupt", walk.seq + 1, "the database file is damaged"))
    except apsw.Error as error:
        raise fault(error, str(path)) from error
    finally:
        connection.close()
    return _report(walk, [], problems)


def verify_recent(path: Path, public: Ed25519PublicKey, untrusted_copy: Iterable[str]) -> Report:
    """Verify only what came after the last good head in the database: quick enough for every start.

    The heads, in the database and in the copies, are all compared; records before the last good head are not read.
    Raises as :func:`verify`.
    """
    lines = list(untrusted_copy)
    connection = _open(path)
    try:
        if _definitions(connection):
            return verify(path, public, lines)
        problems: list[Problem] = []
        kept = _kept(connection, problems)
        good = _signed({*kept, *_parse(lines, problems)}, public, problems)
        known = [head for head in good if _matches(connection, head)]
        if problems or not known:
            return verify(path, public, lines)
        start = max(known, key=lambda head: head.seq)
        walk = _Walk(start.seq, bytes.fromhex(start.hash))
        _walk(connection, walk, {head.seq for head in good})
        walk.seen |= {head.seq: head.hash for head in known}
        found = [walk.problem] if walk.problem else _compare(walk, good, frozenset(kept))
        return _report(walk, good, found)
    except apsw.Error:
        return verify(path, public, lines)
    finally:
        connection.close()


def _open(path: Path) -> apsw.Connection:
    """Open read-only; without a log beside it the file is read as it lies, so that nothing is made in its directory."""
    log = path.with_name(path.name + "-wal")
    try:
        lone = not log.exists() or log.stat().st_size == 0
        exists = path.is_file()
    except OSError:
        exists = False
    if not exists:
        raise Unavailable("ledger_missing", f"{path} is not there or cannot be read")
    uri = path.absolute().as_uri() + ("?immutable=1" if lone else "?mode=ro")
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    except apsw.Error as error:
        raise fault(error, str(path)) from error
    return connection


def _definitions(connection: apsw.Connection) -> list[Problem]:
    """The tables must be the very tables that the ledger made: a view of that name could show anything."""
    for name, wanted in (("ledger", LEDGER_TABLE), ("ledger_heads", HEADS_TABLE)):
        rows = connection.execute("SELECT type, sql FROM sqlite_schema WHERE lower(name) = ?", (name,)).fetchall()
        if rows != [("table", wanted)]:
            return [Problem("definition_changed", 0, f"the table {name} is not defined as the ledger defines it")]
    return []


def _kept(connection: apsw.Connection, problems: list[Problem]) -> list[Head]:
    kept = []
    try:
        for row in connection.execute(_HEADS):
            number, seq, hash_, at, key, signature = row
            if not isinstance(number, int) or not isinstance(seq, int):
                problems.append(Problem("head_malformed", 0, "a signed head in the database has another shape"))
                continue
            kept.append(Head(number, seq, str(hash_), str(at), str(key), str(signature)))
    except UnicodeDecodeError:
        problems.append(Problem("head_malformed", 0, "a signed head in the database is not text"))
    return kept


def _parse(untrusted_copy: Iterable[str], problems: list[Problem]) -> list[Head]:
    heads = []
    for number, line in enumerate(untrusted_copy, 1):
        if not line.strip():
            continue
        try:
            heads.append(parse_head(line))
        except Malformed:
            problems.append(Problem("head_malformed", 0, f"line {number} of the copied heads is not a signed head"))
    return heads


def _signed(heads: set[Head], public: Ed25519PublicKey, problems: list[Problem]) -> list[Head]:
    """Those that the key signed, in order of number; every other one, and every gap, is a problem."""
    name = key_name(public)
    good: list[Head] = []
    for head in sorted(heads, key=lambda head: (head.number, head.seq)):
        statement = head_statement(head.number, head.seq, head.hash, head.at, head.key)
        if head.key == name and signature_holds(public, head.signature, statement):
            good.append(head)
        else:
            problems.append(Problem("head_signature", head.seq, f"head {head.number} is not signed by key {name}"))
    if not problems:
        missing = set(range(1, max((head.number for head in good), default=0))) - {head.number for head in good}
        if missing:
            problems.append(Problem("head_removed", 0, f"signed head {min(missing)} is missing everywhere"))
    return good


def _walk(connection: apsw.Connection, walk: _Walk, wanted: set[int]) -> None:
    """Follow the chain from where ``walk`` stands to its end or its first fault."""
    # Copying an empty hash is quicker than making one, and looking for one separator in the long body than counting.
    fresh, separators, last, expected = hashlib.sha256().copy, COLUMNS_BEFORE_BODY - 1, walk.last, walk.seq + 1
    rows = _rows(connection, walk.seq)
    try:
        for row in rows:
            seq, at, kind, agent, session, digest, parent, body, prev, hash_ = row
            written = "" if parent is None else str(parent)
            try:
                head = SEPARATOR.join((str(seq), at, kind, agent, session, digest, written))
                running = fresh()
                running.update(last)
                running.update(f"{head}{SEPARATOR}{body}".encode())
                loose = SEPARATOR in body or head.count(SEPARATOR) != separators
            except (TypeError, UnicodeEncodeError):
                walk.problem = Problem("altered", expected, f"record {seq} has a column of another type")
                break
            found = running.digest()
            bad = found != hash_ or prev != last or seq != expected or loose
            if bad or (parent is not None and parent.__class__ is not int):
                walk.problem = _diagnose(connection, row, expected, last)
                break
            if seq in wanted:
                walk.seen[seq] = found.hex()
            last = found
            expected += 1
    except UnicodeDecodeError:
        walk.problem = Problem("altered", expected, f"record {expected} holds bytes that are not text")
    walk.records = expected - 1 - walk.seq
    walk.seq, walk.last = expected - 1, last


def _rows(connection: apsw.Connection, after: int) -> Iterator[tuple[Any, ...]]:
    """All records from the first, whatever number it claims, or those after a known one."""
    return iter(connection.execute(_AFTER, (after,)) if after else connection.execute(_ALL))


def _diagnose(connection: apsw.Connection, row: apsw.SQLiteValues, expected: int, last: bytes) -> Problem:
    """Say what is wrong with the first row that does not follow."""
    seq, prev, hash_ = row[0], row[8], row[9]
    if not isinstance(seq, int) or seq < expected:
        return Problem("inserted", expected, f"record {seq} stands before the first")
    if _own_hash(row, seq) == hash_:
        if seq > expected:
            return Problem("removed", expected, f"records {expected} to {seq - 1} are missing")
        return Problem("inserted", expected, f"record {expected} was not written after the record before it")
    elsewhere = _place_of(connection, row)
    if elsewhere is not None:
        return Problem("reordered", expected, f"record {elsewhere} stands in the place of record {seq}")
    if seq > expected:
        return Problem("removed", expected, f"records {expected} to {seq - 1} are missing")
    follows = "" if prev == last else "; nor does it follow the record before it"
    return Problem("altered", expected, f"record {expected} is not what was written{follows}")


def _own_hash(row: apsw.SQLiteValues, seq: int) -> bytes | None:
    """The link this row would have as number ``seq``, from the link it says came before."""
    prev = row[8]
    parent = "" if row[6] is None else str(row[6])
    columns = [str(seq), *(str(value) for value in row[1:6]), parent, str(row[7])]
    text = SEPARATOR.join(columns)
    if not isinstance(prev, bytes) or text.count(SEPARATOR) != COLUMNS_BEFORE_BODY:
        return None
    if any(not isinstance(value, str) for value in (*row[1:6], row[7])):
        return None
    return hashlib.sha256(prev + text.encode("utf-8", "surrogatepass")).digest()


def _place_of(connection: apsw.Connection, row: apsw.SQLiteValues) -> int | None:
    """The number under which this row's link is right, if there is one: then it was moved, not changed."""
    highest = connection.execute("SELECT max(seq) FROM ledger").fetchall()[0][0]
    limit = highest if isinstance(highest, int) else 0
    return next((seq for seq in range(1, min(limit, 1_000_000) + 2) if _own_hash(row, seq) == row[9]), None)


def _matches(connection: apsw.Connection, head: Head) -> bool:
    rows = connection.execute("SELECT hash FROM ledger WHERE seq = ?", (head.seq,)).fetchall()
    return bool(rows) and isinstance(rows[0][0], bytes) and rows[0][0].hex() == head.hash


def _compare(walk: _Walk, good: list[Head], kept: frozenset[Head]) -> list[Problem]:
    """What the heads promise against what the chain holds."""
    for head in sorted(good, key=lambda head: head.seq):
        if head.seq > walk.seq:
            first = walk.seq + 1
            if head in kept:
                return [Problem("tail_cut", first, f"records {first} to at least {head.seq} were cut off")]
            detail = f"the database ends at record {walk.seq}, but a head signed at {head.at} covers {head.seq}"
            return [Problem("rolled_back", first, detail)]
        if walk.seen.get(head.seq, head.hash) != head.hash:
            code = "rewritten" if head in kept else "rolled_back"
            return [Problem(code, head.seq, f"record {head.seq} is not the one signed at {head.at}")]
    return []


def _report(walk: _Walk, good: list[Head], problems: list[Problem]) -> Report:
    matched = [head for head in good if walk.seen.get(head.seq) == head.hash]
    anchored = max((head.seq for head in matched), default=0)
    ordered = tuple(sorted(problems, key=lambda problem: problem.seq))
    return Report(walk.records, walk.seq, walk.last.hex() if walk.seq else "", len(matched), anchored, ordered)
