"""The one rendering of an argument vector as text: what ``args`` patterns match and what cards show.

Stops: a pattern matching a line that reads differently to a shell. Words of safe characters stand bare; every other
word stands in single quotes, so that joining words with spaces never changes how many there are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+", re.ASCII)


def quote(word: str) -> str:
    """Return the word as a POSIX shell would read it back; the empty word is ``''``."""
    if _BARE.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def render(argv: Sequence[str]) -> str:
    """Return the words, each quoted, joined by one space."""
    return " ".join(quote(word) for word in argv)
