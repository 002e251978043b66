"""What a record's bytes are, how records are linked, and what a signed head says. Pure.

Stops: a byte of any column, an order or a row being changed without the change showing in every later hash. A chain
alone cannot show that its end was cut off, nor that somebody without scruples recomputed all of it; signed heads kept
elsewhere do (see ``anchor.py``).

The link of a record is SHA-256 over the 32 bytes of the link before, then the record's columns in UTF-8 separated by
the byte 0x1F: ``seq at kind agent session digest parent body``. None of the columns may hold that byte (JSON text
cannot), so two different rows never have the same bytes. A missing parent is written as nothing, numbers in decimal.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from bascule.core.canonical import Json, canonical
from bascule.core.errors import Malformed

SEPARATOR = "\x1f"
COLUMNS_BEFORE_BODY = 7

GENESIS = hashlib.sha256(b"bascule ledger, format 1").digest()
"""What the first record is linked to: it names the format, so another format's chain never continues ours."""

MAX_BODY = 1 << 20
"""Characters of one record's body; what is longer is kept elsewhere and named by its digest."""

_KIND = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the ledger.

    Attributes:
        seq: 1, 2, 3 … without a gap.
        at: RFC 3339, UTC, microseconds.
        kind: what happened: ``decided``, ``started``, ``finished`` …
        agent: whose doing it was, empty if nobody's.
        session: in which session, empty if in none.
        digest: of the call it is about, empty if about none.
        parent: ``seq`` of what led to it, None for a first cause.
        body: canonical JSON text of everything else.
        prev: link of the record before, 32 bytes.
        hash: link of this record, 32 bytes.
    """

    seq: int
    at: str
    kind: str
    agent: str
    session: str
    digest: str
    parent: int | None
    body: str
    prev: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """What a caller wants recorded, checked and split into columns; time and links come later."""

    kind: str
    agent: str
    session: str
    digest: str
    parent: int | None
    body: str


def entry(kind: str, body: Mapping[str, Json]) -> Entry:
    """Split ``body``: its ``agent``, ``session``, ``digest`` and ``parent`` become columns, the rest stays JSON.

    Args:
        kind: 1 to 48 of a-z, digits and ``_``.
        body: at most :data:`MAX_BODY` characters as JSON.

    Raises:
        Malformed: a kind of another shape, a column of another type, or a body that is not canonical JSON.
    """
    if not _KIND.fullmatch(kind):
        raise Malformed("record_kind", f"{kind[:60]!r} is no kind of record")
    rest = dict(body)
    columns = [_text(rest.pop(name, ""), name) for name in ("agent", "session", "digest")]
    parent = rest.pop("parent", None)
    if parent is not None and (type(parent) is not int or parent < 1):
        raise Malformed("record_parent", "the parent of a record is the number of an earlier one")
    return Entry(kind, columns[0], columns[1], columns[2], parent, body_text(rest))


def body_text(body: Mapping[str, Json]) -> str:
    """Return the canonical JSON text of ``body``.

    Raises:
        Malformed: a value without a canonical form, or more than :data:`MAX_BODY` characters.
    """
    text = canonical(body).decode("utf-8")
    if len(text) > MAX_BODY:
        raise Malformed("record_too_long", f"a record's body has {len(text)} characters, more than {MAX_BODY}")
    return text


def record_bytes(seq: int, at: str, made: Entry) -> bytes:
    """Return what is hashed after the link before."""
    parent = "" if made.parent is None else str(made.parent)
    columns = (str(seq), at, made.kind, made.agent, made.session, made.digest, parent, made.body)
    return SEPARATOR.join(columns).encode("utf-8")


def link(prev: bytes, content: bytes) -> bytes:
    """Return the SHA-256 that names a record and everything before it."""
    return hashlib.sha256(prev + content).digest()


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339, UTC, with microseconds."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1e6):06d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).isoformat().removesuffix("+00:00")


@dataclass(frozen=True, slots=True)
class Head:
    """A signed statement: "record ``seq`` had this link". ``number`` counts heads from 1 without a gap."""

    number: int
    seq: int
    hash: str
    at: str
    key: str
    signature: str


def head_statement(number: int, seq: int, hash_hex: str, at: str, key: str) -> bytes:
    """Return the bytes that are signed."""
    return f"bascule ledger head 1\nnumber {number}\nseq {seq}\nhash {hash_hex}\nat {at}\nkey {key}\n".encode()


def head_line(head: Head) -> str:
    """Return a head as one line of JSON, without the line's end."""
    return canonical(
        {
            "number": head.number,
            "seq": head.seq,
            "hash": head.hash,
            "at": head.at,
            "key": head.key,
            "signature": head.signature,
        }
    ).decode("ascii")


def parse_head(untrusted_line: str) -> Head:
    """Read one line written by :func:`head_line`. Whether its signature holds is another question.

    Raises:
        Malformed: another shape.
    """
    try:
        found = json.loads(untrusted_line)
    except (ValueError, RecursionError):
        found = None
    del untrusted_line
    names = {"number": int, "seq": int, "hash": str, "at": str, "key": str, "signature": str}
    if not isinstance(found, dict) or found.keys() != names.keys():
        raise Malformed("head_line", "this is not a line of signed heads")
    if any(type(found[name]) is not kind for name, kind in names.items()):
        raise Malformed("head_line", "this is not a line of signed heads")
    return Head(found["number"], found["seq"], found["hash"], found["at"], found["key"], found["signature"])


def _text(value: Json, name: str) -> str:
    if not isinstance(value, str) or SEPARATOR in value or len(value) > 512:
        raise Malformed("record_column", f"{name} of a record is text of at most 512 characters without control 0x1F")
    return str(value)
