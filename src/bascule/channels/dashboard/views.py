"""From what the gateway says to what a page shows: ages in words, states with their tone, a card's lines by kind.

Stops: a page deciding anything: whatever is shown here was decided elsewhere, and every line of a card is kept. Pure:
the time is an argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from bascule.core.canonical import Json
from bascule.service.shapes import ApprovalDetail, ApprovalRow, RecordRow

T = TypeVar("T")

TONES: Final = MappingProxyType(
    {
        "pending": "wait",
        "approved": "good",
        "consumed": "good",
        "denied": "bad",
        "expired": "off",
        "cancelled": "off",
        "active": "good",
        "used_up": "off",
        "revoked": "off",
        "allow": "good",
        "ask": "wait",
        "deny": "bad",
        "untrusted": "wait",
        "private": "wait",
        "given": "good",
        "not given": "off",
        "unknown": "off",
    }
)
"""Words that mean good, waiting, bad or over. Colour only repeats what the word beside it says."""

STATES: Final = ("approved", "consumed", "denied", "expired", "cancelled")
"""States a settled question can be in, as the history filters by them."""

_PAIR: Final = re.compile(r"( *)([a-z][A-Za-z0-9_ ,/-]{0,48}): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: as it was said, in milliseconds for the browser's clock, and in words for people."""

    said: str
    milliseconds: int
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a card: ``kind`` is ``head``, ``pair``, ``label``, ``look``, ``old``, ``new`` or ``plain``.

    ``indent``, ``key`` and ``text`` joined as they were (``key`` with a colon) are the line: nothing is left out.
    """

    kind: str
    indent: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a page shows it, its whole card included.

    ``passkey`` and ``passkey_wider`` say whether a yes, or a yes to more, takes a passkey.
    """

    row: ApprovalDetail
    lines: tuple[Line, ...]
    asked: Moment
    ends: Moment
    open: bool
    outcome: str
    passkey: bool = False
    passkey_wider: bool = False


def seconds_of(instant: str) -> float | None:
    """Return an RFC 3339 time as seconds since the epoch; None if it is none."""
    try:
        read = datetime.fromisoformat(instant)
    except ValueError:
        return None
    return read.timestamp() if read.tzinfo is not None else read.replace(tzinfo=UTC).timestamp()


def moment(instant: str, now: float) -> Moment:
    """Return a time with how long ago it was, or how far off it is; ``now`` is seconds since the epoch."""
    at = seconds_of(instant)
    if at is None:
        return Moment(instant, 0, instant or "never")
    return Moment(instant, int(at * 1000), distance(at - now))


def distance(seconds: float) -> str:
    """Return a distance in words: ``in 4 min``, ``3 h ago``, ``just now``. ``static/live.js`` counts the same way."""
    size = abs(seconds)
    if size < 10:
        return "just now" if seconds <= 0 else "in a moment"
    for limit, unit, word in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if size < limit:
            return _sided(round(size / unit), word, seconds)
    return _sided(round(size / 86_400), "d", seconds)


def _sided(count: int, word: str, seconds: float) -> str:
    return f"in {count} {word}" if seconds > 0 else f"{count} {word} ago"


def tone(word: str) -> str:
    """Return how a word is coloured: ``good``, ``wait``, ``bad``, ``off`` or nothing."""
    return TONES.get(word, "")


def lines_of(card: Sequence[str]) -> tuple[Line, ...]:
    """Return a card's lines by kind, in order, each whole."""
    return tuple(_line(text, first=number == 0) for number, text in enumerate(card))


def _line(text: str, *, first: bool) -> Line:
    if first:
        return Line("head", "", "", text)
    if text.startswith(("- ", "+ ")):
        return Line("old" if text[0] == "-" else "new", "", "", text)
    for beginning, kind in (("its words are untrusted", "label"), ("look twice:", "look")):
        if text.startswith(beginning):
            return Line(kind, "", "", text)
    found = _PAIR.fullmatch(text)
    return Line("pair", found[1], found[2], found[3]) if found else Line("plain", "", "", text)


def question(row: ApprovalDetail, now: float) -> Question:
    """Return a question for the page."""
    return Question(
        row,
        lines_of(row["card"]),
        moment(row["created"], now),
        moment(row["expires"], now),
        row["state"] == "pending",
        outcome(row),
    )


def outcome(row: ApprovalDetail) -> str:
    """Return in one sentence what became of a question and by whom; empty while it is open."""
    by = f" by {row['answered_by']}" if row["answered_by"] else ""
    sentences = {
        "pending": "",
        "approved": f"approved{by}",
        "consumed": f"approved{by}, and used",
        "denied": f"denied{by}",
        "expired": "nobody answered in time, which is no",
        "cancelled": f"cancelled{by}",
    }
    return sentences.get(row["state"], f"{row['state']}{by}")


def matching(rows: Sequence[ApprovalRow], words: str) -> list[ApprovalRow]:
    """Return the rows that hold every word somewhere in agent, session, tool, id or summary; case does not count."""
    wanted = words.casefold().split()
    if not wanted:
        return list(rows)
    return [row for row in rows if all(word in _searched(row) for word in wanted)]


def _searched(row: ApprovalRow) -> str:
    return "\n".join((row["agent"], row["session"], row["tool"], row["id"], row["summary"])).casefold()


@dataclass(frozen=True, slots=True)
class Sheet(Generic[T]):
    """One page of a long list: its rows, its number from 1, how many pages and rows there are."""

    rows: list[T]
    number: int
    pages: int
    total: int


def sheet(rows: Sequence[T], number: int, size: int) -> Sheet[T]:
    """Return page ``number`` (from 1; beyond the end it is the last) of ``rows``, ``size`` a page."""
    pages = max(1, -(-len(rows) // size))
    number = min(max(1, number), pages)
    return Sheet(list(rows[(number - 1) * size : number * size]), number, pages, len(rows))


@dataclass(frozen=True, slots=True)
class Program:
    """One program an agent may run, in words; ``arguments`` is None for any."""

    pattern: str
    arguments: str | None
    action: str
    writes: bool
    needs: tuple[str, ...]
    reason: str
    where: str


@dataclass(frozen=True, slots=True)
class Programs:
    """How an agent's commands are judged; words of a section that says nothing are empty."""

    security: str
    ask: str
    fallback: str
    broken: str
    entries: tuple[Program, ...]


def programs(section: Mapping[str, Json]) -> Programs:
    """Return the program rules of an agent as a page shows them."""
    listed = section.get("allowlist")
    entries = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    return Programs(
        _word(section, "security"),
        _word(section, "ask"),
        _word(section, "askFallback"),
        _word(section, "broken"),
        tuple(_program(entry) for entry in entries if isinstance(entry, Mapping)),
    )


def _program(entry: Mapping[str, Json]) -> Program:
    needs, arguments = entry.get("needs"), entry.get("args")
    return Program(
        _word(entry, "pattern"),
        None if arguments is None else str(arguments),
        _word(entry, "class"),
        entry.get("writes") is True,
        tuple(str(need) for need in needs) if isinstance(needs, Sequence) and not isinstance(needs, str) else (),
        _word(entry, "reason"),
        _word(entry, "where"),
    )


def _word(section: Mapping[str, Json], key: str) -> str:
    value = section.get(key)
    return value if isinstance(value, str) else ""


def amount(name: str, value: Json) -> str:
    """Return a limit or a quota for people: bytes in MiB where that is exact, all else as it is."""
    if name.endswith("Bytes") and isinstance(value, int) and value and value % (1 << 20) == 0:
        return f"{value >> 20} MiB"
    return str(value)


def pretty(body: Mapping[str, Json]) -> str:
    """Return a record's body as indented JSON, every character outside ASCII as it is."""
    return json.dumps(body, indent=2, ensure_ascii=False)


def label_of(record: RecordRow) -> str:
    """Return a record's label in words, empty if it has none."""
    label = record["body"].get("label")
    if not isinstance(label, Mapping):
        return ""
    sources = label.get("sources")
    named = ", ".join(str(name) for name in sources) if isinstance(sources, Sequence) else ""
    return f"{label.get('integrity', '')} {label.get('confidentiality', '')}" + (f" from {named}" if named else "")
