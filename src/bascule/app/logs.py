"""The gateway's own log: one line an event on standard error, which is the log file or the operator's terminal.

Stops: text of an agent, a file name or an error reaching a terminal as anything but visible characters, and one message
passing for two. Does not stop: a secret that an error quotes; whatever raises errors keeps secrets out of them.
"""

from __future__ import annotations

import logging

from bascule.core.cards import one_line


class Visible(logging.Formatter):
    """Spells out whatever a terminal would act on; only a traceback has more than one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the name logging calls
        """Return the line of a record."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with what follows it."""
        return "".join(map(_spelled, super().format(record)))


def _spelled(character: str) -> str:
    if character == "\n" or character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def begin() -> None:
    """Send everything from INFO up to standard error, visibly."""
    handler = logging.StreamHandler()
    handler.setFormatter(Visible("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
