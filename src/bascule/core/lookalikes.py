"""Letters that could pass for others, named: so that a card with a Cyrillic a in a path says so.

Stops: an approval of a name that reads like another one. Names every letter, digit and mark outside ASCII that a reader
of Latin script may take for one of ASCII, by code point and Unicode's own name. Does not stop two names that look alike
in ASCII itself (``l`` and ``1``); fonts must tell those apart.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_ALIKE = ("CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU", "DESERET", "GOTHIC", "OLD ITALIC", "VAI")
"""Scripts whose letters share shapes with Latin's (Unicode Technical Standard 39, confusables)."""

_PLAIN_MARKS = frozenset(
    "\u201c\u201d\u2018\u2019\u201e\u201a\u00ab\u00bb\u2013\u2014\u2026\u00b7\u2022\u00b0\u00a7\u00b5\u00b2\u00b3\u00d7\u00f7"
)
"""Quotation marks, dashes and signs that nobody takes for a letter, a slash or a dot of a path."""


@lru_cache(maxsize=4096)
def _name(character: str) -> str:
    """Return what to call a character that could pass for another, empty if it could not."""
    if character.isascii() or character in _PLAIN_MARKS:
        return ""
    name = unicodedata.name(character, "")
    folded = unicodedata.normalize("NFKC", character)
    base = unicodedata.normalize("NFKD", character)[0]
    if folded != character and folded.isascii():
        return name  # fullwidth, mathematical and other forms of ASCII
    if name.startswith(_ALIKE):
        return name
    if name.startswith("LATIN") and not base.isascii():
        return name  # dotless i, open e, script g: Latin letters that are no accented ASCII letter
    if unicodedata.category(character) in {"Po", "Pd", "Pc", "Sm", "Sk", "Lm", "Mn"} and not _ideographic(name):
        return name  # fraction slash, division dot, modifier colon: marks that stand in for a path's own
    return ""


def _ideographic(name: str) -> bool:
    return name.startswith(("CJK", "IDEOGRAPHIC", "KATAKANA", "HIRAGANA", "HANGUL", "ARABIC", "DEVANAGARI", "THAI"))


def lookalikes(lines: Iterable[str]) -> tuple[str, ...]:
    """Return one line for every such character in ``lines``, each once, in order of appearance."""
    found = dict.fromkeys(letter for line in lines if not line.isascii() for letter in line)
    return tuple(
        f"look twice: U+{ord(letter):04X} {name} is in it, and is no letter of ASCII"
        for letter in found
        if (name := _name(letter))
    )
