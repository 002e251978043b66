"""Tables for people, drawn with rich. Texts must already be visible: the sink makes them so and prints the result."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES: Final[Mapping[str, str]] = {
    "allow": "green",
    "approved": "green",
    "ok": "green",
    "ask": "yellow",
    "pending": "yellow",
    "deny": "red",
    "denied": "red",
    "failed": "red",
    "expired": "red",
}
"""Words that mean good, waiting or bad in any column."""


_WORD: Final = 24
"""Columns up to which a word stays whole; paths and digests may be longer than any terminal is wide."""


def least(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how many columns of the terminal each column of a table needs so that no usual word is cut in two."""
    texts = [[heading, *(row[place] for row in rows)] for place, heading in enumerate(headings)]
    return [min(_WORD, max((len(word) for text in column for word in text.split()), default=0)) for column in texts]


def draw(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, colour: bool) -> str:
    """Return a table without lines, at most ``width`` columns wide; colour only if asked."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for heading, narrowest in zip(headings, least(headings, rows), strict=True):
        table.add_column(heading, overflow="fold", min_width=narrowest)
    for row in rows:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    paper = io.StringIO()
    screen = Console(file=paper, width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False)
    screen.print(table)
    return "".join(line.rstrip() + "\n" for line in paper.getvalue().splitlines())
