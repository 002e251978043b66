"""One event of signal-cli's stream, parsed: who sent what, when, where. Pure.

Stops: an event of another shape, size or account being acted on; a message whose sender Signal did not name; a
transcript of one's own other device, a receipt or a story passing for a message. Nothing is repaired: what does not fit
is refused whole. Does not stop: signal-cli from lying, for it holds the account's keys.

Shapes follow signal-cli's documented JSON (man page signal-cli-jsonrpc(5) and its ``json`` package).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bascule.core.errors import Malformed
from bascule.core.surfaces import SignalPolicy
from bascule.policy.senders import Sender, identify

MAX_EVENT = 1 << 20
"""Bytes of one event; signal-cli writes a few hundred and the message, attachments not included."""

MAX_TEXT = 1 << 16
"""Characters of one message: Signal's own limit for long texts is 64 KiB."""

MAX_LIST = 1_000
"""Entries of a list in a message (mentions, attachments)."""

INLINE_BYTES = 2_048
"""UTF-8 bytes that Signal carries in a message itself; the rest of a longer one comes as an attachment."""

LONG_TEXT = "text/x-signal-plain"
"""Content type of that attachment."""

_GROUP_ID = re.compile(r"[A-Za-z0-9+/_-]{4,120}={0,2}", re.ASCII)
_MAX_TIME = 2**53 - 1

Json = Mapping[str, Any]


class Kind(StrEnum):
    """What an event is about. Only ``TEXT`` and ``REACTION`` can ever mean anything."""

    TEXT = "text"
    REACTION = "reaction"
    EDIT = "edit"
    DELETE = "delete"
    SYNC = "sync"
    STORY = "story"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Target:
    """The message that is quoted or reacted to: when it was sent (ms since the epoch), and by whom, if that is said."""

    at: int
    author: Sender | None


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji on a message, put there or taken away."""

    emoji: str
    target: Target
    removed: bool


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event.

    Attributes:
        account: which account received it, as signal-cli spells it; empty if it does not say.
        sender: who sent it.
        at: sender's time stamp in milliseconds; with the sender it names the message.
        kind: see :class:`Kind`.
        group: base64 id of the group it was sent to, empty for a direct message.
        text: what was typed; for other kinds empty.
        quote: the message it replies to.
        reaction: for ``REACTION``.
        mentions: who is mentioned.
        attachments: how many.
        cut: the rest of the text is in an attachment that is not read.
    """

    account: str
    sender: Sender
    at: int
    kind: Kind
    group: str = ""
    text: str = ""
    quote: Target | None = None
    reaction: Reaction | None = None
    mentions: tuple[Sender, ...] = ()
    attachments: int = 0
    cut: bool = False

    @property
    def key(self) -> str:
        """What makes it the same message when it comes again: sender, time and kind."""
        return f"{self.sender.uuid or self.sender.number} {self.at} {self.kind}"


def parse_event(untrusted_data: str) -> Envelope:
    """Parse the ``data`` of one event.

    Raises:
        Malformed: ``signal_event``: too long, not JSON, of another shape, without a sender, or undecrypted.
    """
    if len(untrusted_data) > MAX_EVENT:
        raise _refused("it is too long")
    try:
        event = json.loads(untrusted_data, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise _refused("it is not JSON") from None
    del untrusted_data
    outer = _section(event, "the event")
    if outer.get("exception") is not None:
        raise _refused("signal-cli could not read the message")
    envelope = _section(outer.get("envelope"), "envelope")
    sender = identify(_text(envelope, "sourceNumber", 64), _text(envelope, "sourceUuid", 64))
    if sender is None:
        raise _refused("it names no sender")
    return _content(envelope, _text(outer, "account", 64) or "", sender, _time(envelope, "timestamp"))


def is_account(spelled: str, policy: SignalPolicy) -> bool:
    """True if an event's account is ours; one that names none came from a daemon that serves one account only."""
    return not spelled or is_us(identify(spelled, spelled), policy)


def is_us(sender: Sender | None, policy: SignalPolicy) -> bool:
    """True if number or id is the account's own, and neither is somebody else's."""
    if sender is None:
        return False
    number = sender.number == policy.account if sender.number else None
    uuid = sender.uuid == policy.account_uuid if sender.uuid and policy.account_uuid else None
    return (number or uuid or False) and number is not False and uuid is not False


def _content(envelope: Json, account: str, sender: Sender, at: int) -> Envelope:
    parts = [name for name in _PARTS if envelope.get(name) is not None]
    if len(parts) > 1:
        raise _refused(f"it is {' and '.join(parts)} at once")
    if parts != ["dataMessage"]:
        return Envelope(account, sender, at, _PARTS[parts[0]] if parts else Kind.OTHER)
    data = _section(envelope["dataMessage"], "dataMessage")
    if _time(data, "timestamp") != at:
        raise _refused("its two time stamps differ")
    group = _group(data)
    if group is None:
        return Envelope(account, sender, at, Kind.OTHER)
    if data.get("reaction") is not None:
        return Envelope(account, sender, at, Kind.REACTION, group, reaction=_reaction(data["reaction"]))
    if data.get("remoteDelete") is not None or data.get("adminDelete") is not None:
        return Envelope(account, sender, at, Kind.DELETE, group)
    if data.get("storyContext") is not None:
        return Envelope(account, sender, at, Kind.STORY, group)
    return _message(data, Envelope(account, sender, at, Kind.TEXT, group))


_PARTS = {
    "dataMessage": Kind.TEXT,
    "editMessage": Kind.EDIT,
    "storyMessage": Kind.STORY,
    "syncMessage": Kind.SYNC,
    "callMessage": Kind.OTHER,
    "receiptMessage": Kind.OTHER,
    "typingMessage": Kind.OTHER,
}
"""Every content an envelope can have, one at a time."""


def _message(data: Json, plain: Envelope) -> Envelope:
    text = _text(data, "message", MAX_TEXT) or ""
    attachments = [_section(each, "attachment") for each in _list(data, "attachments")]
    cut = len(text.encode("utf-8")) <= INLINE_BYTES and any(
        each.get("contentType") == LONG_TEXT for each in attachments
    )
    quote = None if data.get("quote") is None else _section(data["quote"], "quote")
    mentioned = [_section(each, "mention") for each in _list(data, "mentions")]
    people = (identify(_text(each, "number", 64), _text(each, "uuid", 64)) for each in mentioned)
    return Envelope(
        plain.account,
        plain.sender,
        plain.at,
        plain.kind,
        plain.group,
        text,
        None if quote is None else Target(_time(quote, "id"), _author(quote, "author")),
        None,
        tuple(person for person in people if person is not None),
        len(attachments),
        cut,
    )


def _group(data: Json) -> str | None:
    """The group's id, empty for a direct message, None for news about the group itself."""
    if data.get("groupInfo") is None and data.get("groupV2") is None:
        return ""
    section = _section(data.get("groupInfo") or data.get("groupV2"), "groupInfo")
    group = _text(section, "groupId" if "groupId" in section else "id", 128) or ""
    if not _GROUP_ID.fullmatch(group):
        raise _refused("its group has no id")
    return group if _text(section, "type", 32) in {None, "DELIVER"} else None


def _reaction(untrusted_value: object) -> Reaction:
    section = _section(untrusted_value, "reaction")
    removed = section.get("isRemove")
    if not isinstance(removed, bool):
        raise _refused("reaction.isRemove is no yes or no")
    target = Target(_time(section, "targetSentTimestamp"), _author(section, "targetAuthor"))
    return Reaction(_text(section, "emoji", 64) or "", target, removed)


def _author(section: Json, name: str) -> Sender | None:
    """An author by number and id; the older key that may hold either is not believed."""
    return identify(_text(section, f"{name}Number", 64), _text(section, f"{name}Uuid", 64))


def _section(untrusted_value: object, name: str) -> Json:
    if not isinstance(untrusted_value, dict):
        raise _refused(f"{name} is no object")
    return untrusted_value


def _list(section: Json, name: str) -> list[object]:
    found = section.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > MAX_LIST:
        raise _refused(f"{name} is no list, or too long")
    return found


def _text(section: Json, name: str, longest: int) -> str | None:
    found = section.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or len(found) > longest:
        raise _refused(f"{name} is no text, or too long")
    try:
        found.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused(f"{name} is not Unicode") from None
    return found


def _time(section: Json, name: str) -> int:
    found = section.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found <= _MAX_TIME:
        raise _refused(f"{name} is no time stamp")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _constant(_text: str) -> Any:
    raise ValueError("not a number")


def _refused(why: str) -> Malformed:
    return Malformed("signal_event", f"an event of signal-cli is left out: {why}")
