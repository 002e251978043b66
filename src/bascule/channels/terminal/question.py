"""What a question looks like in plain lines, which answers it takes, and what a wider yes would be. Pure.

Stops: an agent's text passing for a line of ours: whatever the gateway built from a call stands behind a bar, and only
our own words behind ``?`` and ``*``. Does not stop a person from answering what they did not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

Event = Mapping[str, Any]

OURS: Final = "? "
"""Before every line of a question that is our own."""

THEIRS: Final = "| "
"""Before every line that was built from what an agent asked."""

SIMILAR_MINUTES: Final = 60
"""How long a yes to similar calls lasts that is given at a card: as long as one usually watches."""


class Choice(StrEnum):
    """What can be answered to a question."""

    YES = "yes"
    NO = "no"
    SIMILAR = "similar"
    SHOW = "show"
    LATER = "later"
    QUIT = "quit"


_WORDS: Final[Mapping[str, Choice]] = {
    "y": Choice.YES,
    "n": Choice.NO,
    "s": Choice.SIMILAR,
    "q": Choice.QUIT,
    **{choice.value: choice for choice in Choice},
}


def choices(approval: Event, *, leaving: bool) -> tuple[Choice, ...]:
    """Return the answers this question takes; ``leaving`` if there is something to quit."""
    without = {Choice.SIMILAR} if approval["ungrantable"] else set()
    without |= set() if leaving else {Choice.QUIT}
    return tuple(choice for choice in Choice if choice not in without)


def read_choice(untrusted_line: str) -> Choice | None:
    """Return which answer was typed, None if it is none."""
    return _WORDS.get(untrusted_line.strip().lower())


def prompt(approval: Event, *, leaving: bool) -> str:
    """Return what stands before the place where the answer is typed."""
    found = choices(approval, leaving=leaving)
    keys = (choice.value if choice in {Choice.SHOW, Choice.LATER} else choice.value[0] for choice in found)
    return f"{OURS}{approval['id']}: {', '.join(found[:-1])} or {found[-1]} [{'/'.join(keys)}] "


def card(approval: Event) -> list[tuple[str, str]]:
    """Return the whole card as pairs: what stands before the line, and the line."""
    body = [part for line in approval["card"] for part in line.split("\n")]
    return [
        (OURS, f"{approval['agent']} asks ({approval['id']}, code {approval['code']})"),
        *((THEIRS, line) for line in body),
        (OURS, f"unanswered at {approval['expires']} it is a no"),
    ]


def similar(approval: Event) -> list[tuple[str, str]]:
    """Return what a yes to similar calls would cover, as :func:`card`."""
    lines = approval["proposal"] or ["this very call again, and nothing else"]
    return [
        (OURS, f"a yes to all of this, in this session, for {SIMILAR_MINUTES} minutes:"),
        *((THEIRS, line) for line in lines),
    ]


def similar_terms(approval: Event) -> dict[str, Any]:
    """Return the parameters of the grant that :func:`similar` describes."""
    return {
        "extent": "similar" if approval["proposal"] else "exact",
        "this_session": True,
        "minutes": SIMILAR_MINUTES,
        "uses": None,
        "args": None,
        "under": None,
    }


def granted(found: Event) -> list[str]:
    """Return what a person should know of a grant just given: what it covers, until when, how to take it back."""
    where = f"in {found['session']}" if found["session"] else "in every session"
    often = "" if found["uses_left"] is None else f", {found['uses_left']} more times"
    return [
        f"granted: {found['id']} ({found['agent']} {found['tool']}, asked as {found['approval']})",
        *(f"  {line}" for line in found["covers"]),
        f"  {where}{often}, until {found['expires']}",
        f"  to end it: bascule grants revoke {found['id']}",
    ]


def answered(event: Event) -> str:
    """Return the line that says how a question was settled, and by whom."""
    return f"{event['id']} {event['state']}" + (f" by {event['answered_by']}" if event["answered_by"] else "")
