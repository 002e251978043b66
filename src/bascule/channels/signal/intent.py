"""What an inbound message means: the whole table, top to bottom, first match wins. Pure.

Stops: anything but a named approver's own direct answer, bound to one question, deciding anything: by a reply to or a
thumb on the very message that asked it, or by ``yes``/``no`` and its code. A bare yes, a bare code, an edit, a
transcript, a thumb on another message or by another hand, a word in a group decide nothing. Stops a code or an
approval's id from reaching a model: a message that holds one is never chat. ``stop`` from an operator is read before
all that. Does not stop: what Signal does not show: a forwarded or pasted text looks typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from bascule.channels.signal.cards import NO_SIGN, YES_SIGN
from bascule.channels.signal.envelope import Envelope, Kind, is_us
from bascule.core.policy import Operator, Policy
from bascule.core.surfaces import SignalPolicy
from bascule.desk.question import CROCKFORD, parse_reference
from bascule.policy.senders import Sender, group_admits, is_listed

YES = frozenset({"yes", "y", "approve"})
NO = frozenset({"no", "n", "deny"})
STOP = frozenset({"stop", "stop all"})

_BY_CODE = re.compile(r"(\S+)\s+(\S{8,16})")
_ID = re.compile(r"apr[0-9a-f]{16}")
_READ = str.maketrans({"O": "0", "I": "1", "L": "1"})
_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


class Act(StrEnum):
    """What to do."""

    SILENT = "silent"
    TELL = "tell"
    STOP = "stop"
    APPROVE = "approve"
    DENY = "deny"
    CHAT = "chat"
    PAIR = "pair"


class Why(StrEnum):
    """Why; the words for it are the bridge's."""

    NO_MESSAGE = "no_message"
    OWN = "own"
    AMBIGUOUS = "ambiguous"
    OPERATOR = "operator"
    EDITED = "edited"
    REMOVED = "removed"
    NO_CARD = "no_card"
    OTHER_EMOJI = "other_emoji"
    BY_CARD = "by_card"
    BY_CODE = "by_code"
    CARD_UNCLEAR = "card_unclear"
    CARD_ELSEWHERE = "card_elsewhere"
    WRONG_CARD = "wrong_card"
    HOLDS_CODE = "holds_code"
    CUT = "cut"
    EMPTY = "empty"
    ANSWERS_ONLY = "answers_only"
    NOT_LISTED = "not_listed"
    NOT_MENTIONED = "not_mentioned"
    DISABLED = "disabled"
    UNKNOWN = "unknown"
    TALKS = "talks"
    BARE = "bare"
    STRANGER = "stranger"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class SentCard:
    """A question that was sent to this person in the message that is quoted or reacted to."""

    approval: str
    code: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the table is read with.

    Attributes:
        signal: the account's policy.
        policy: everything else policy says.
        card: the question sent to this sender at the time stamp that is quoted or reacted to; None for none.
        codes: every code that was ever given out here and is kept, answered or not.
        paired: the sender was let in by pairing.
        waiting: a question sent to this person is still open.
    """

    signal: SignalPolicy
    policy: Policy
    card: SentCard | None = None
    codes: Collection[str] = ()
    paired: bool = False
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """What a message means: ``person`` is the operator it is from, ``ref`` the approval's id or code it answers."""

    act: Act
    why: Why
    person: str = ""
    ref: str = ""
    text: str = ""
    trusted: bool = False


def person_of(sender: Sender, policy: Policy) -> tuple[Operator | None, bool]:
    """Return the operator a sender is, None for none; and whether it is ambiguous, and then nobody's.

    A number that is one operator's with an id that is another's, or with one that is not among the ids policy lists for
    them (a number given to somebody else, or taken over), is ambiguous.
    """
    found = [person for person in policy.people.values() if is_listed(sender, person.signal)]
    ids = {entry for person in found for entry in person.signal if entry.startswith("uuid:")}
    strange = bool(sender.uuid and ids) and f"uuid:{sender.uuid}" not in ids
    return (found[0] if len(found) == 1 and not strange else None), len(found) > 1 or strange


def understand(message: Envelope, known: Known) -> Intent:
    """Return what the message means."""
    if is_us(message.sender, known.signal):
        return Intent(Act.SILENT, Why.OWN)
    person, ambiguous = person_of(message.sender, known.policy)
    if ambiguous:
        return Intent(Act.SILENT, Why.AMBIGUOUS)
    if message.kind is Kind.EDIT:
        return Intent(Act.TELL if person else Act.SILENT, Why.EDITED, person.name if person else "")
    if message.kind is Kind.REACTION:
        return _reaction(message, person, known)
    if message.kind is not Kind.TEXT:
        return Intent(Act.SILENT, Why.NO_MESSAGE)
    text = typed(message)
    if person and (person.chats or person.approves) and " ".join(text.casefold().split()) in STOP:
        return Intent(Act.STOP, Why.OPERATOR, person.name)
    if message.group:
        return _group(message, text, person, known)
    if person and person.approves:
        answer = _answer(message, text, person, known)
        if answer:
            return answer
    return _direct(message, text, person, known)


def typed(message: Envelope) -> str:
    """Return the typed words, without the place holders that mentions leave in a text."""
    return (message.text.replace("\ufffc", " ") if message.mentions else message.text).strip()


def thumb(emoji: str) -> Act | None:
    """Return what a reaction says: a thumb up or down, in any skin tone and style; None for anything else."""
    plain = emoji.rstrip("\ufe0f")
    if len(plain) == 2 and plain[1] in _TONES:
        plain = plain[0]
    return {YES_SIGN: Act.APPROVE, NO_SIGN: Act.DENY}.get(plain)


def holds_code(text: str, codes: Collection[str]) -> bool:
    """True if a code or an approval's id stands anywhere in the text, however it is spaced, cased or hyphenated."""
    folded = "".join(letter for letter in unicodedata.normalize("NFKC", text) if letter.isalnum())
    if _ID.search(folded.casefold()):
        return True
    letters = folded.upper().translate(_READ)
    return any(letters[place : place + 8] in codes for place in range(len(letters) - 7)) if codes else False


def _reaction(message: Envelope, person: Operator | None, known: Known) -> Intent:
    reaction, name = message.reaction, person.name if person else ""
    if reaction is None or reaction.removed:
        return Intent(Act.SILENT, Why.REMOVED, name)
    bound = not message.group and is_us(reaction.target.author, known.signal)
    if not bound or person is None or not person.approves:
        return Intent(Act.SILENT, Why.NO_CARD, name)
    act = thumb(reaction.emoji)
    if known.card is None:
        # A question that went out twice, because nobody knew whether it had, is answered on the copy we know of.
        return Intent(Act.TELL if act and known.waiting else Act.SILENT, Why.NO_CARD, name)
    if act is None:
        return Intent(Act.SILENT, Why.OTHER_EMOJI, name)
    return _by_card(act, person, known.card)


def _by_card(act: Act, person: Operator, card: SentCard) -> Intent:
    if act is Act.APPROVE and not card.whole:
        return Intent(Act.TELL, Why.CARD_ELSEWHERE, person.name, card.approval)
    return Intent(act, Why.BY_CARD, person.name, card.approval)


def _answer(message: Envelope, text: str, person: Operator, known: Known) -> Intent | None:
    """An approver's direct message, as far as it concerns a question; None if it does not."""
    card = known.card if message.quote and is_us(message.quote.author, known.signal) else None
    code = _by_code(text, known.codes)
    if code:
        if card and card.code != code[1]:
            return Intent(Act.TELL, Why.WRONG_CARD, person.name)
        return Intent(code[0], Why.BY_CODE, person.name, code[1])
    if card:
        act = _word(text)
        return _by_card(act, person, card) if act else Intent(Act.TELL, Why.CARD_UNCLEAR, person.name)
    return None


def _word(text: str) -> Act | None:
    word = text.casefold().strip()
    return Act.APPROVE if word in YES else Act.DENY if word in NO else None


def _by_code(text: str, codes: Collection[str]) -> tuple[Act, str] | None:
    """``yes CODE`` or ``no CODE``. "no problems" reads as a code too: a word without a digit is one if it is known."""
    found = _BY_CODE.fullmatch(text)
    act = _word(found[1]) if found else None
    if found is None or act is None or not found[2].isascii():
        return None
    letters = found[2].upper().replace("-", "")
    if len(letters) != 8 or any(letter not in CROCKFORD + "OIL" for letter in letters):
        return None
    code = parse_reference(found[2]).code
    return (act, code) if code in codes or any(letter.isdigit() for letter in letters) else None


def _direct(message: Envelope, text: str, person: Operator | None, known: Known) -> Intent:
    name = person.name if person else ""
    allowed = _admitted(message.sender, person, known)
    if allowed is not None:
        return allowed
    if holds_code(message.text, known.codes):
        return Intent(Act.TELL if person else Act.SILENT, Why.HOLDS_CODE, name)
    if message.cut:
        return Intent(Act.TELL, Why.CUT, name)
    words = _words(message, text, known.signal)
    if not words:
        return Intent(Act.SILENT, Why.EMPTY, name)
    if person and person.chats:
        bare = person.approves and known.waiting and _word(text) is not None
        return Intent(Act.CHAT, Why.BARE if bare else Why.TALKS, name, text=words, trusted=True)
    return Intent(Act.CHAT, Why.STRANGER, name, text=words)


def _admitted(sender: Sender, person: Operator | None, known: Known) -> Intent | None:
    """Return None for those who may write to an agent directly, else what to do instead."""
    signal = known.signal
    if person and person.chats:
        return None
    if signal.dm_policy != "disabled" and is_listed(sender, signal.allow_from):
        return None
    if signal.dm_policy == "pairing" and known.paired:
        return None
    if person:
        return Intent(Act.TELL, Why.ANSWERS_ONLY, person.name)
    if signal.dm_policy == "pairing":
        return Intent(Act.PAIR, Why.UNKNOWN)
    return Intent(Act.SILENT, Why.DISABLED if signal.dm_policy == "disabled" else Why.NOT_LISTED)


def _group(message: Envelope, text: str, person: Operator | None, known: Known) -> Intent:
    """A group is never trusted and never answers a question; who is heard there, policy lists."""
    signal, name = known.signal, person.name if person else ""
    rule = signal.groups.get(message.group, signal.groups.get("*"))
    if rule is None or not rule.enabled or signal.group_policy == "disabled":
        return Intent(Act.SILENT, Why.DISABLED, name)
    if not group_admits(signal.group_policy, message.sender, signal.group_allow_from):
        return Intent(Act.SILENT, Why.NOT_LISTED, name)
    called = any(is_us(each, signal) for each in message.mentions)
    called |= message.quote is not None and is_us(message.quote.author, signal)
    if rule.require_mention and not called:
        return Intent(Act.SILENT, Why.NOT_MENTIONED, name)
    if holds_code(message.text, known.codes) or _by_code(text, known.codes):
        return Intent(Act.SILENT, Why.HOLDS_CODE, name)
    if message.cut:
        return Intent(Act.SILENT, Why.CUT, name)
    words = _words(message, text, signal)
    return Intent(Act.CHAT, Why.GROUP, name, text=words) if words else Intent(Act.SILENT, Why.EMPTY, name)


def _words(message: Envelope, text: str, signal: SignalPolicy) -> str:
    """What the agent reads: the typed words, and how many attachments there were; their bytes are never read."""
    if not message.attachments or not signal.attachments:
        return text
    count = message.attachments
    told = f"({count} attachment{'s' if count > 1 else ''} came with this; not read)"
    return f"{text}\n{told}" if text else told
