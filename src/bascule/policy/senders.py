"""Who a Signal sender is: one spelling for numbers and ids, and whether a list names them.

Stops: a sender passing a list because two spellings of one number or id were compared as text, and the reverse. Does
not prove who holds the phone; Signal does that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bascule.core.errors import Malformed

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII)
_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
_DECORATION = re.compile(r"[\s().-]")


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender as Signal reports it: a number if it shows one, an id, or both."""

    number: str = ""
    uuid: str = ""


def parse_uuid(untrusted_text: str) -> str | None:
    """Return a UUID in lower case with hyphens, None if it is none."""
    text = untrusted_text.strip().lower()
    if not _UUID.fullmatch(text):
        return None
    bare = text.replace("-", "")
    return "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]))


def parse_number(untrusted_text: str) -> str | None:
    """Return a number in E.164 form (``+`` and 5 to 15 digits), None if it is none."""
    text = _DECORATION.sub("", untrusted_text)
    return text if _NUMBER.fullmatch(text) else None


def parse_target(untrusted_text: str) -> str:
    """Return where a message goes: a number, a UUID, or ``group:<id>`` with the id's case kept.

    Raises:
        Malformed: ``signal_target``.
    """
    text = untrusted_text.strip()
    lowered = text.lower()
    if lowered.startswith("signal:"):
        text, lowered = text[7:].strip(), lowered[7:].strip()
    if lowered.startswith("group:") and text[6:].strip():
        return f"group:{text[6:].strip()}"
    explicit = lowered.startswith("uuid:")
    found = parse_uuid(lowered[5:] if explicit else lowered)
    if found is None and not explicit:
        found = parse_number(text if text.startswith("+") else f"+{text}")
    if found is None:
        raise Malformed("signal_target", f"{text[:60]!r} is no Signal number, id or group", "write +… or uuid:…")
    return found


def parse_entry(untrusted_text: str) -> str:
    """Return one allow-list entry: ``*``, a number, or ``uuid:<id>``.

    Raises:
        Malformed: ``signal_entry``.
    """
    text = untrusted_text.strip()
    text = text[7:].strip() if text.lower().startswith("signal:") else text
    if text == "*":
        return text
    explicit = text.lower().startswith("uuid:")
    uuid = parse_uuid(text[5:] if explicit else text)
    if uuid is not None:
        return f"uuid:{uuid}"
    number = None if explicit else parse_number(text)
    if number is None:
        raise Malformed("signal_entry", f"{text[:60]!r} is no Signal number or id", "write +… or uuid:…")
    return number


def identify(untrusted_number: str | None, untrusted_uuid: str | None) -> Sender | None:
    """Return the sender of a message, None if Signal named nobody."""
    number = parse_number(untrusted_number) if untrusted_number else None
    uuid = parse_uuid(untrusted_uuid) if untrusted_uuid else None
    if number is None and uuid is None:
        return None
    return Sender(number if number is not None else "", uuid if uuid is not None else "")


def is_listed(sender: Sender, entries: Iterable[str]) -> bool:
    """True if a list of parsed entries names the sender by number or by id; an empty list names nobody."""
    listed = set(entries)
    own = {f"uuid:{sender.uuid}"} if sender.uuid else set()
    if sender.number:
        own.add(sender.number)
    return "*" in listed or not own.isdisjoint(listed)


def group_admits(policy: str, sender: Sender, entries: Iterable[str]) -> bool:
    """True if a group policy (``open``, ``allowlist``, ``disabled``) lets the sender through; another word does not."""
    if policy == "open":
        return True
    return policy == "allowlist" and is_listed(sender, entries)
