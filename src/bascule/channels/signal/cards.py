"""What stands in a Signal message of ours: questions, news of their answers, notices, and agents' words. Pure.

Stops: an agent, or a stranger whose words it repeats, drawing a question or a notice. Every message of Bascule's own
begins with one sign; an agent's message begins with the agent's name, and that sign and its look-alikes are written out
wherever else they stand, so none of theirs can hold it, however it is cut into parts. Stops a question from being cut:
one that Signal cannot carry whole says what it is about and where to decide it, and takes no yes. Does not stop a
person from believing what an agent says; what an answer *decides* hangs on the message answered, not on its looks.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from bascule.core.visible import HIDDEN, visible
from bascule.service.shapes import ApprovalDetail

SIGN: Final = "\U0001f510"
"""A closed lock with a key: begins every message of Bascule's own, and stands in no other."""

SIGNS: Final = frozenset("\U0001f50f\U0001f510\U0001f511\U0001f512\U0001f513\U0001f5dd\U0001f6e1")
"""The sign and what could pass for it on a small screen: locks, keys, a shield."""

MOST_BYTES: Final = 2_000
"""UTF-8 bytes of one message. Signal's clients drop or fold away what exceeds 2 KiB inline; some room is left."""

MOST_PARTS: Final = 8
"""Messages one answer of an agent may become; the rest of a longer one stays in its session, as the last part says."""

YES_SIGN: Final = "\U0001f44d"
NO_SIGN: Final = "\U0001f44e"

_NAME_LINE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}( \(\d+/\d+\))?:", re.ASCII)
_OUR_WORDS = ("bascule", "question", "toanswer")
_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"


@dataclass(frozen=True, slots=True)
class Card:
    """A question as a message; ``whole`` is False if it only says where to decide."""

    text: str
    whole: bool


def clean(untrusted_text: str) -> str:
    """Return visible text without any sign of ours; line ends and tabs stay, a picture keeps what colours and joins it.

    Models write pictures of several characters; these invisible parts pass between pictures only, where they cannot
    hide anything.
    """
    shown: list[str] = []
    for place, letter in enumerate(untrusted_text):
        if letter in SIGNS:
            shown.append(f"\\U{ord(letter):08x}")
        elif letter in (_JOINER, _EMOJI_STYLE) and _within_picture(untrusted_text, place):
            shown.append(letter)
        else:
            shown.append(visible(letter))
    return "".join(shown)


def _within_picture(text: str, place: int) -> bool:
    before = text[place - 1] if place else ""
    after = text[place + 1] if place + 1 < len(text) else ""
    if text[place] == _EMOJI_STYLE:
        return _is_picture(before)
    return (_is_picture(before) or before == _EMOJI_STYLE) and _is_picture(after)


def _is_picture(letter: str) -> bool:
    if not letter or letter in SIGNS or ord(letter) in HIDDEN:
        return False
    return unicodedata.category(letter) == "So" or 0x1F3FB <= ord(letter) <= 0x1F3FF


def line(untrusted_text: str) -> str:
    """Return :func:`clean` text as one line."""
    return clean(untrusted_text).replace("\n", "\\n").replace("\t", " ")


def notice(text: str) -> str:
    """Return a message of Bascule's own; untrusted parts have been through :func:`line`."""
    return f"{SIGN} {text}"


def card(detail: ApprovalDetail, chunk: int) -> Card:
    """Return a pending question as a message.

    Args:
        detail: the question; its lines hold words of agents and pages.
        chunk: characters of one message, as policy has it.
    """
    code = detail["code"]
    whole = "\n".join(
        (
            f"{SIGN} QUESTION {code}",
            *(line(each) for each in detail["card"]),
            "",
            f"Silence until {detail['expires']} is no.",
            f"To answer: reply to this message with yes or no, or put {YES_SIGN} or {NO_SIGN} on it.",
            f"Or write: yes {code} (or: no {code})",
        )
    )
    if _fits(whole, chunk):
        return Card(whole, whole=True)
    return Card(
        "\n".join(
            (
                f"{SIGN} QUESTION, too long for Signal",
                f"{line(detail['agent'])[:70]} wants to use {line(detail['tool'])[:70]}.",
                f"The question has {len(detail['card'])} lines, {sum(map(len, detail['card']))} characters.",
                "Read it and say yes where it can be shown whole: on the dashboard, or with",
                f"bascule approvals show {detail['id']}",
                f"Silence until {detail['expires']} is no. A no can be given here: reply no, or put {NO_SIGN} on this.",
            )
        ),
        whole=False,
    )


def settled(agent: str, tool: str, code: str, state: str, by: str) -> str:
    """Return what recipients of a question are told when it is no longer open."""
    words = {"approved": "was approved", "denied": "was denied", "expired": "expired: nobody answered, so it is no"}
    what = words.get(state, f"is {line(state)[:40]}")
    who = f" by {line(by)[:120]}" if by and state != "expired" else ""
    return notice(f"Question {line(code)[:16]} of {line(agent)[:70]} ({line(tool)[:70]}) {what}{who}.")


def spoken(agent: str, untrusted_text: str, chunk: int, session: str) -> tuple[str, ...]:
    """Return an agent's words as messages, in order, none longer than Signal carries.

    Args:
        agent: its id, which every part begins with.
        untrusted_text: what it said.
        chunk: characters of one message.
        session: where the rest is found if it said more than :data:`MOST_PARTS` messages hold.
    """
    # No letter takes less than a byte, so what follows these could not be sent anyway.
    begin, beyond = untrusted_text[: MOST_PARTS * MOST_BYTES], len(untrusted_text[MOST_PARTS * MOST_BYTES :])
    lines = [_kept(each) for each in _without_gaps(clean(begin).strip())]
    parts = _cut("\n".join(lines), min(chunk, MOST_BYTES) - len(agent) - 16)
    if len(parts) > MOST_PARTS or beyond:
        left = sum(map(len, parts[MOST_PARTS - 1 :])) + beyond
        parts = [*parts[: MOST_PARTS - 1], f"({left} more characters: bascule sessions show {session})"]
    if len(parts) == 1:
        return (f"{agent}:\n{parts[0]}",)
    return tuple(f"{agent} ({number}/{len(parts)}):\n{part}" for number, part in enumerate(parts, 1))


def _without_gaps(text: str) -> list[str]:
    """Lines, with no more than one empty one in a row: a page of nothing would end a message before its end."""
    found: list[str] = []
    for each in text.split("\n"):
        if each.strip() or (found and found[-1]):
            found.append(re.sub(r"[ \t]{8,}", "        ", each.rstrip()))
    return found


def _kept(text: str) -> str:
    """A line that looks like one of ours, or like the name line of an agent, is marked as quoted."""
    return f"> {text}" if looks_ours(text) else text


def looks_ours(text: str) -> bool:
    """True if a line could pass for the beginning of a message of ours or of another agent's."""
    if text.startswith("> "):
        return False
    folded = unicodedata.normalize("NFKC", text)
    letters = "".join(letter for letter in folded.casefold() if letter.isalnum())
    return letters.startswith(_OUR_WORDS) or _NAME_LINE.fullmatch(folded.strip()) is not None


def _fits(text: str, chunk: int) -> bool:
    return len(text) <= chunk and len(text.encode("utf-8")) <= MOST_BYTES


def _cut(text: str, room: int) -> list[str]:
    """Pieces of at most ``room`` UTF-8 bytes, cut at a line's end or a blank if there is one in the last half."""
    parts: list[str] = []
    while len(text.encode("utf-8")) > room:
        most = len(text.encode("utf-8")[:room].decode("utf-8", "ignore"))
        breaks = (text.rfind(mark, most // 2, most) for mark in ("\n\n", "\n", " "))
        at = next((place for place in breaks if place > 0), most)
        parts.append(text[:at].rstrip())
        text = _kept(text[at:].lstrip())
    return [*parts, text]
