"""How an agent's words stand on the screen: indented and folded, so that no line of theirs begins where ours do.

Stops: an answer imitating a card, a prompt or a tool line: those begin in the first column, an agent's text never
does, however long its lines are and however it is cut into pieces. Pure. Does not stop a person from being persuaded
by what the text says.
"""

from __future__ import annotations

import unicodedata
from typing import Final

TAB: Final = 4
"""Columns a tab becomes; a real one would make the place of the next column depend on the terminal."""


class Flow:
    """Folds one text that arrives in pieces; the pieces' borders make no difference."""

    def __init__(self, indent: str, columns: int, rest: str | None = None) -> None:
        """Begin a text; ``columns`` is the screen's width, of which the last stays empty.

        ``indent`` stands before every line; or, if ``rest`` is given, which is as wide, before the first only.
        """
        self._indent = indent
        self._rest = indent if rest is None else rest
        self._room = max(8, columns - len(indent) - 1)
        self._used = 0
        self._open = False

    def take(self, text: str) -> str:
        """Return what to print for this piece. ``text`` must be visible already (newlines and tabs are)."""
        parts: list[str] = []
        for letter in text:
            if letter == "\n":
                parts.append("\n" if self._open else self._begun().rstrip() + "\n")
                self._open, self._used = False, 0
                continue
            for piece in " " * TAB if letter == "\t" else letter:
                self._put(piece, parts)
        return "".join(parts)

    def _put(self, letter: str, parts: list[str]) -> None:
        wide = _columns(letter)
        if self._open and self._used + wide > self._room:
            parts.append("\n")
            self._open, self._used = False, 0
        if not self._open:
            parts.append(self._begun())
            self._open = True
        parts.append(letter)
        self._used += wide

    def _begun(self) -> str:
        """Return what stands before the line that begins now."""
        begun, self._indent = self._indent, self._rest
        return begun

    def end(self) -> str:
        """Return what to print after the last piece: the newline that is missing, if one is."""
        missing, self._open, self._used = "\n" if self._open else "", False, 0
        return missing


def _columns(letter: str) -> int:
    if letter.isascii():
        return 1
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WFA" else 1
