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


def draw(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, colour: bool) -> str:
    """Return a table without lines, at most ``width`` columns wide; colour only if asked."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    paper = io.StringIO()
    screen = Console(file=paper, width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False)
    screen.print(table)
    return "".join(line.rstrip() + "\n" for line in paper.getvalue().splitlines())
