"""Answers from the keyboard of a real terminal, and from nowhere else.

Stops: a yes that was piped in, that lay in a file, or that was typed (or pasted) before the card could be read: what
waits in the terminal's queue is thrown away after the card has left for the screen. Does not stop someone who sits at
the keyboard, or a program that the operator lets type for them.
"""

from __future__ import annotations

import os
import select
import stat
import termios
from contextlib import suppress
from enum import Enum, auto
from typing import Final

from bascule.core.errors import NotPermitted

LONGEST: Final = 256
"""Bytes of an answer; whatever is longer is none."""


class Ready(Enum):
    """What ended the wait: a line, Ctrl-C, or something that happened elsewhere (or the time was up)."""

    TYPED = auto()
    INTERRUPTED = auto()
    WOKEN = auto()


class Keyboard:
    """One terminal, by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Take a descriptor; nothing is checked before :meth:`line`, so a chat without questions needs no terminal."""
        self._descriptor = descriptor

    @property
    def real(self) -> bool:
        """True if the descriptor is a terminal device."""
        try:
            return os.isatty(self._descriptor) and stat.S_ISCHR(os.fstat(self._descriptor).st_mode)
        except OSError:
            return False

    def forget(self) -> None:
        """Wait until the terminal has shown all that was printed, and throw away what was typed so far.

        Raises:
            NotPermitted: ``not_a_terminal``.
        """
        self._demand()
        with suppress(termios.error):
            termios.tcdrain(self._descriptor)
            termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def wait(self, interrupt: int, news: int, seconds: float | None) -> Ready:
        """Wait until a line was typed or one of the two descriptors became readable, at most ``seconds``.

        What else has happened comes first, so that no key answers a question that was settled before it.

        Raises:
            NotPermitted: ``not_a_terminal``.
        """
        self._demand()
        ready = select.select([self._descriptor, interrupt, news], [], [], seconds)[0]
        if interrupt in ready:
            return Ready.INTERRUPTED
        return Ready.TYPED if ready == [self._descriptor] else Ready.WOKEN

    def line(self) -> str | None:
        """Return the next line typed, without its newline; None at Ctrl-D.

        Raises:
            NotPermitted: ``not_a_terminal``.
        """
        self._demand()
        typed = os.read(self._descriptor, LONGEST)
        if not typed.endswith(b"\n"):
            # Ctrl-D, or more than anyone types as an answer; the rest of such a line is no answer either.
            with suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCIFLUSH)
            return "" if typed else None
        return typed[:-1].decode("utf-8", "replace")

    def _demand(self) -> None:
        if not self.real:
            raise NotPermitted(
                "not_a_terminal",
                "an approval is answered on a terminal's keyboard only",
                "use: bascule approvals approve ID",
            )
