"""The one place that prints. Everything a person reads goes through here, and so does everything a script reads.

Stops: text from outside steering the reader's terminal or hiding from their eyes; what cannot be seen is written out
as ``core/visible.py`` says, whose limits hold here too.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TextIO

from bascule.control.protocol import error_body
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.visible import one_line, visible

CLOSED_PIPE: Final = 141
"""Exit status when the reader has gone: 128 + SIGPIPE, as any Unix filter would have."""

PAINT: Final[Mapping[str, str]] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
"""What a piece may be painted with, and the terminal's number for it (ECMA-48, SGR)."""

_NARROW: Final = 60
"""Columns below which a table becomes one block a row."""


def ascii_json(value: object) -> str:
    """Return the value as one line of printable ASCII JSON."""
    return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")


def width_of(text: str) -> int:
    """Return how many columns a visible text without newline or tab takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading and the key of the row it shows."""

    heading: str
    key: str


class Sink:
    """Writes to standard output and error.

    Attributes:
        as_json: results and errors are JSON.
        interactive: standard output is a terminal.
        colour: it is one that wants colour.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.interactive = is_terminal(sys.stdout)
        plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
        self.colour = self.interactive and not plain and not as_json

    @property
    def columns(self) -> int:
        """Columns of the terminal, at least 20."""
        return max(20, shutil.get_terminal_size().columns)

    def visible(self, untrusted_text: str) -> str:
        """Return what a piece would look like, for whoever folds it before printing."""
        return visible(untrusted_text)

    def json(self, value: object) -> None:
        """Print one JSON value on a line."""
        self._out(ascii_json(value) + "\n")

    def line(self, untrusted_text: str = "") -> None:
        """Print a line (or several) of text."""
        self._out(visible(untrusted_text) + "\n")

    def piece(self, untrusted_text: str) -> None:
        """Print a piece of text as it is, without a newline, and let it be seen at once."""
        self._out(visible(untrusted_text))

    def painted(self, untrusted_pieces: Iterable[tuple[str, str]]) -> None:
        """Print pieces of text as :meth:`piece`, each with the words of ``PAINT`` that say how, blank-separated."""
        self._out("".join(self._paint(visible(text), how) for text, how in untrusted_pieces))

    def _paint(self, text: str, how: str) -> str:
        codes = ";".join(PAINT[word] for word in how.split())
        return f"\x1b[{codes}m{text}\x1b[0m" if codes and self.colour else text

    def note(self, untrusted_text: str) -> None:
        """Say something on standard error that is not part of the result."""
        _write(sys.stderr, visible(untrusted_text) + "\n")

    def prompt(self, untrusted_question: str) -> str:
        """Ask for a line on the terminal, with line editing and history where the system has them.

        Raises:
            EOFError, KeyboardInterrupt: Ctrl-D and Ctrl-C.
        """
        # Importing it is what gives input() its editing; where it is missing, plain lines will do.
        with suppress(ImportError):
            importlib.import_module("readline")
        while True:
            try:
                return input(one_line(untrusted_question))
            except UnicodeDecodeError:
                self.line("! that was not text; please say it again")

    def error(self, error: BasculeError) -> None:
        """Print an error on standard error: one line, or one JSON object."""
        body = error_body(error)
        if self.as_json:
            _write(sys.stderr, ascii_json({"error": body}) + "\n")
            return
        remedy = f" ({body['remedy']})" if body["remedy"] else ""
        _write(sys.stderr, one_line(f"bascule: {body['message']}{remedy} [{body['code']}]") + "\n")

    def table(self, columns: Sequence[Column], rows: Sequence[Mapping[str, object]], nothing: str) -> None:
        """Print rows: as a JSON array, as a table, or as blocks where the terminal is narrow; ``nothing`` if empty."""
        if self.as_json:
            self.json(list(rows))
        elif not rows:
            self.note(nothing)
        elif (drawn := self._drawn(columns, rows)) is not None:
            self._out(drawn)
        else:
            for row in rows:
                self.pairs((column.heading.lower(), row.get(column.key)) for column in columns)
                self._out("\n")

    def pairs(self, items: Iterable[tuple[str, object]]) -> None:
        """Print names and values, a pair a line, the values below one another; empty values are left out."""
        shown = [(one_line(name) + ":", text) for name, value in items if (text := cell(value))]
        wide = max((len(name) for name, _ in shown), default=0)
        for name, text in shown:
            self._out(f"{name:<{max(12, wide)}} {text}\n")

    def _drawn(self, columns: Sequence[Column], rows: Sequence[Mapping[str, object]]) -> str | None:
        """Return a table; None if the terminal is too narrow for one whose words are whole."""
        if self.interactive and self.columns < _NARROW:
            return None
        from bascule.cli.drawing import draw, least  # noqa: PLC0415 (rich is imported only when a table is drawn)

        if self.interactive:
            # A column in which nothing stands takes the room that the others need for whole words.
            columns = [column for column in columns if any(cell(row.get(column.key)) for row in rows)]
        texts = [[cell(row.get(column.key)) for column in columns] for row in rows]
        headings = [column.heading for column in columns]
        if self.interactive and sum(least(headings, texts)) + 2 * (len(headings) - 1) > self.columns:
            return None
        # Off a terminal a line is never folded: scripts cut columns, and people scroll.
        width = self.columns if self.interactive else 10_000
        return draw(headings, texts, width, colour=self.colour)

    def _out(self, text: str) -> None:
        _write(sys.stdout, text)


def cell(value: object) -> str:
    """Return a JSON value as one visible line for people: lists joined by commas, None empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return one_line(", ".join(value))
    return ascii_json(value)


def is_terminal(stream: TextIO | None) -> bool:
    """True if the stream is there, open, and a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None or stream.closed:
        return
    try:
        stream.write(_encodable(text, stream.encoding))
        stream.flush()
    except OSError as error:
        _lost(stream, error)


def _encodable(text: str, encoding: str | None) -> str:
    """Return the text with what the stream's character set lacks written out, so that no encoder can fail."""
    name = encoding or "ascii"
    return text.encode(name, "backslashreplace").decode(name)


def _lost(stream: TextIO, error: OSError) -> None:
    """End quietly if nobody reads any more; anything else (a full disk) is an error worth a word."""
    with suppress(OSError, ValueError):
        # What the stream still buffers would fail again, loudly, when the interpreter closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if stream is sys.stderr:
        return
    if error.errno in {errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.EBADF}:
        raise SystemExit(CLOSED_PIPE) from None
    raise Unavailable("output_failed", f"the output cannot be written: {error.strerror}") from None
