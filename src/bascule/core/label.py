"""Where data came from, and who may see it.

Stops nothing by itself: a label is a fact that judges read. Labels only rise when joined (a lattice, see
``tests/laws``), so no step between a page and a command can wash its origin away.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Integrity(IntEnum):
    """How far the content could have been chosen by a stranger."""

    TRUSTED = 0
    UNTRUSTED = 1

    def __str__(self) -> str:
        return self.name.lower()


class Confidentiality(IntEnum):
    """Who may read the content."""

    PUBLIC = 0
    PRIVATE = 1

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Label:
    """An integrity, a confidentiality, and the names of the sources that were joined into it."""

    integrity: Integrity
    confidentiality: Confidentiality
    sources: frozenset[str] = frozenset()

    def join(self, other: Label) -> Label:
        """Return the least label that is at least both."""
        return Label(
            max(self.integrity, other.integrity),
            max(self.confidentiality, other.confidentiality),
            self.sources | other.sources,
        )

    def covers(self, other: Label) -> bool:
        """True if ``other`` is no higher than this label, sources included."""
        return (
            other.integrity <= self.integrity
            and other.confidentiality <= self.confidentiality
            and other.sources <= self.sources
        )


OPERATOR = Label(Integrity.TRUSTED, Confidentiality.PRIVATE, frozenset({"operator"}))
"""The operator's own typed words: theirs to trust, nobody else's to read."""

UNKNOWN = Label(Integrity.UNTRUSTED, Confidentiality.PRIVATE, frozenset({"unknown"}))
"""What is said of data nobody vouches for."""
