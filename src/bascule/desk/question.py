"""What may become of a question, who may bring it about, and what it is called. Pure.

Stops: an answer after the answer, a yes used twice, silence counted as yes, a yes for a call whose data has since
become less trustworthy, and a clock set back giving a question more time. Does not stop an operator from saying yes
to something harmful; the card is for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bascule.core.answer import State
from bascule.core.errors import Malformed
from bascule.core.label import Label


class Actor(StrEnum):
    """Who may move a question on."""

    OPERATOR = "operator"
    GATE = "gate"
    GATEWAY = "gateway"
    CLOCK = "clock"


TRANSITIONS: Mapping[tuple[State, State], frozenset[Actor]] = MappingProxyType(
    {
        (State.PENDING, State.APPROVED): frozenset({Actor.OPERATOR}),
        (State.PENDING, State.DENIED): frozenset({Actor.OPERATOR}),
        (State.PENDING, State.EXPIRED): frozenset({Actor.CLOCK}),
        (State.PENDING, State.CANCELLED): frozenset({Actor.OPERATOR, Actor.GATEWAY}),
        (State.APPROVED, State.CONSUMED): frozenset({Actor.GATE}),
        (State.APPROVED, State.EXPIRED): frozenset({Actor.CLOCK}),
        (State.APPROVED, State.CANCELLED): frozenset({Actor.GATEWAY}),
    }
)
"""Every way a question can go. What is not here does not happen."""

OPEN = (State.PENDING, State.APPROVED)
"""States that something can still become of."""


def may(before: State, after: State, actor: Actor) -> bool:
    """True if ``actor`` may move a question from ``before`` to ``after``."""
    return actor in TRANSITIONS.get((before, after), frozenset())


CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that a code read aloud or off a phone is typed right."""

CODE_BYTES = 5
ID_BYTES = 8

_READ = {**{letter: letter for letter in CROCKFORD}, "O": "0", "I": "1", "L": "1"}


def make_code(entropy: bytes) -> str:
    """Return 8 characters for 5 random bytes.

    Raises:
        ValueError: not 5 bytes.
    """
    if len(entropy) != CODE_BYTES:
        raise ValueError("a code needs exactly 5 random bytes")
    number = int.from_bytes(entropy, "big")
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(35, -1, -5))


def make_id(entropy: bytes, kind: str = "apr") -> str:
    """Return ``apr_`` (``gra_`` for a grant) and 16 hex characters for 8 random bytes.

    Raises:
        ValueError: not 8 bytes.
    """
    if len(entropy) != ID_BYTES:
        raise ValueError("an id needs exactly 8 random bytes")
    return f"{kind}_{entropy.hex()}"


@dataclass(frozen=True, slots=True)
class Reference:
    """What an operator typed to name a question: its id or its code, the other one empty."""

    id: str
    code: str


def parse_reference(untrusted_text: str) -> Reference:
    """Read an id or a code. Codes are read as Crockford defines: any case, hyphens skipped, O as 0, I and L as 1.

    Raises:
        Malformed: neither.
    """
    text = untrusted_text.strip()
    del untrusted_text
    lowered = text.lower()
    if (
        lowered.startswith("apr_")
        and len(lowered) == 20
        and all(letter in "0123456789abcdef" for letter in lowered[4:])
    ):
        return Reference(lowered, "")
    letters = [_READ.get(letter) for letter in text.upper().replace("-", "")] if text.isascii() else []
    code = "".join(letter for letter in letters if letter)
    if len(letters) != 8 or len(code) != 8:
        raise Malformed("approval_reference", "an approval is named by its id (apr_…) or its code of 8 characters")
    return Reference("", code)


def rank(label: Label) -> str:
    """Return integrity and confidentiality as two digits, as ``Approval.label_rank`` holds them."""
    return f"{int(label.integrity)}{int(label.confidentiality)}"


def within(ceiling: str, label: Label) -> bool:
    """True if ``label`` is no higher than the ``ceiling`` that was on the card: each part for itself."""
    return len(ceiling) == 2 and all(found <= most for found, most in zip(rank(label), ceiling, strict=True))


@dataclass(frozen=True, slots=True)
class Mark:
    """The desk's memory of time: the latest time it has acted at, and how far the clock has been set back since.

    ``latest`` never falls. The desk's time is the clock's plus ``offset``.
    """

    latest: float
    offset: float


def advance(mark: Mark, clock: float) -> Mark:
    """Return the mark at a new reading of the clock, in seconds since the epoch.

    A clock found behind the mark was set back: from there on the desk adds the difference, so that time goes on from
    where it stood instead of standing still until the clock has caught up. If the clock is later set forward again,
    questions expire early, never late. Time that passed unseen while the clock was being set back is not counted.
    """
    reading = clock + mark.offset
    if reading >= mark.latest:
        return Mark(reading, mark.offset)
    return Mark(mark.latest, mark.latest - clock)
