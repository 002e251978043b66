"""Text of a stranger without what a reader would not see.

Stops: words hidden from the person who checks a page and shown to the model that reads it: zero-width, bidirectional,
tag and other invisible characters, controls, private-use and unassigned code points. Does not stop words that anybody
can read and that lie.
"""

from __future__ import annotations

import unicodedata

from bascule.core.visible import HIDDEN

_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def _kept(character: str) -> str:
    if character in "\n\t":
        return character
    category = unicodedata.category(character)
    if ord(character) in HIDDEN or category in _DROPPED:
        return ""
    if category in ("Zl", "Zp"):
        return "\n"
    return " " if category == "Zs" else character


def plain_text(untrusted_text: str) -> str:
    """Return the text without invisible characters; line ends become newlines, and every blank an ordinary one."""
    text = untrusted_text.replace("\r\n", "\n").replace("\r", "\n")
    # Each character is looked at once, however often it stands there: a page may be millions of them long.
    changed = {ord(character): kept for character in set(text) if (kept := _kept(character)) != character}
    return text.translate(changed) if changed else text
