r"""What cannot be seen, written out: the one table of characters that every surface makes visible.

Stops: a program's output, a file's name or a model's words steering the reader's screen or hiding from their eyes:
control and escape characters, C1, bidirectional overrides, zero-width, tag and other invisible characters, unusual
blanks and lone surrogates become ``\x1b``, ``\u202e``, ``\U000e0041``. Each character is decided alone, so cutting a
text into chunks changes nothing. Does not stop: look-alike letters, stacked accents, or a text that says ``\x1b`` in
plain letters.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import Final

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})

HIDDEN: Final = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0xFFFC}
    | set(range(0x180B, 0x1810))
    | set(range(0xFE00, 0xFE10))
    | set(range(0xE0000, 0xE1000))
)
"""Characters that draw nothing although they are a letter, mark or symbol: Unicode's Default_Ignorable_Code_Point
(DerivedCoreProperties.txt), the blank braille cell, and the object replacement character."""


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    point = ord(character)
    if 0x20 <= point < 0x7F or character in "\n\t":
        return character
    if point in HIDDEN or unicodedata.category(character) in _HIDDEN_CATEGORIES:
        if point < 0x100:
            return f"\\x{point:02x}"
        return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
    return character


def visible(untrusted_text: str) -> str:
    """Return the text with every character that would not show as itself written out; newline and tab stay."""
    if untrusted_text.isascii() and untrusted_text.isprintable():
        return untrusted_text
    return "".join(map(_shown, untrusted_text))


def one_line(untrusted_text: str) -> str:
    """Return the text as :func:`visible`, newlines and tabs written out too, for a cell or an error."""
    return visible(untrusted_text).replace("\n", "\\n").replace("\t", "\\t")


def pieces(untrusted_text: str) -> list[tuple[str, bool]]:
    r"""Return the visible text in pieces, in order, each with whether it was written out.

    Joined they are what :func:`visible` returns; a surface that can draw the two differently shows by it whether
    ``\x1b`` was an escape character or four plain letters.
    """
    if untrusted_text.isascii() and untrusted_text.isprintable():
        return [(untrusted_text, False)] if untrusted_text else []
    shown = ((_shown(letter), _shown(letter) != letter) for letter in untrusted_text)
    return [
        ("".join(text for text, _ in run), written_out) for written_out, run in groupby(shown, key=lambda each: each[1])
    ]
