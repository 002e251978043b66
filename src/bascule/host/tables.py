"""The machine's account tables as texts: a line more, a line less, a member more, a member less.

Stops: an edit that changes a line it was not asked to, or adds one that is there. Knows the five colon-separated forms
(``passwd(5)``, ``shadow(5)``, ``group(5)``, ``gshadow(5)``, ``subuid(5)``) and reads nothing. Does not stop two edits
at once; whoever writes holds the lock that the machine's own account tools take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PASSWD, SHADOW, GROUP, GSHADOW, SUBUID, SUBGID = "passwd", "shadow", "group", "gshadow", "subuid", "subgid"
NOLOGIN = "/usr/sbin/nologin"
SHELLS_OF_NOBODY = frozenset({NOLOGIN, "/sbin/nologin", "/bin/false", "/usr/bin/false"})
"""Shells that let nobody in."""

_MEMBERS = {GROUP: 3, GSHADOW: 3}
"""Which field of a group's line holds its members."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line, split at its colons."""

    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """Whose line it is."""
        return self.fields[0]

    def number(self, place: int) -> int:
        """Return a numeric field, -1 where there is no number."""
        text = self.fields[place] if place < len(self.fields) else ""
        return int(text) if text.isascii() and text.isdecimal() else -1


def rows(text: str) -> Iterator[Row]:
    """Yield every line that is not empty."""
    for line in text.splitlines():
        if line.strip():
            yield Row(tuple(line.split(":")))


def row(text: str, name: str) -> Row | None:
    """Return the first line of that name, None if there is none."""
    return next((found for found in rows(text) if found.name == name), None)


def with_line(text: str, line: str) -> str:
    """Return the text with the line at its end, unless that very line is there."""
    if line in text.splitlines():
        return text
    gap = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{gap}{line}\n"


def without_line(text: str, line: str) -> str:
    """Return the text without that very line."""
    return "".join(kept for kept in text.splitlines(keepends=True) if kept.rstrip("\n") != line)


def without_name(text: str, name: str) -> str:
    """Return the text without the lines of that name."""
    return "".join(kept for kept in text.splitlines(keepends=True) if kept.split(":", 1)[0].rstrip("\n") != name)


def members(text: str, group: str, table: str = GROUP) -> tuple[str, ...]:
    """Return who is in a group besides those whose primary group it is."""
    found = row(text, group)
    place = _MEMBERS[table]
    listed = found.fields[place] if found is not None and place < len(found.fields) else ""
    return tuple(name for name in listed.split(",") if name)


def with_members(text: str, group: str, names: tuple[str, ...], table: str = GROUP) -> str:
    """Return the text in which the group has exactly these members; other lines stay as they are, byte for byte."""
    kept = []
    for line in text.splitlines(keepends=True):
        fields = line.rstrip("\n").split(":")
        if fields[0] == group and len(fields) > _MEMBERS[table]:
            fields[_MEMBERS[table]] = ",".join(names)
            kept.append(":".join(fields) + ("\n" if line.endswith("\n") else ""))
        else:
            kept.append(line)
    return "".join(kept)


def overlapping(text: str, first: int, count: int, but: str) -> str:
    """Return whose range of subordinate ids meets another range, empty if nobody's but that of ``but``."""
    for found in rows(text):
        begin, length = found.number(1), found.number(2)
        if found.name != but and begin >= 0 and length > 0 and begin < first + count and first < begin + length:
            return found.name
    return ""
