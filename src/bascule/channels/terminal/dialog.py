"""One question on a plain terminal: the whole card, then an answer from the keyboard, or word that it is settled.

Stops: a key that was typed before this card stood there from answering it (``keyboard.py``), an answer to a question
that somebody else has settled meanwhile, and a long line of an agent's reaching the first column, where ours begin.
Does not stop an operator from saying yes to something they did not read.
"""

from __future__ import annotations

import time
from enum import Enum, auto
from typing import Any, Final, Protocol

from bascule.channels.terminal import question
from bascule.channels.terminal.flow import Flow
from bascule.channels.terminal.keyboard import Keyboard, Ready
from bascule.channels.terminal.question import OURS, Choice, Event
from bascule.core.errors import BasculeError

REDRAW_SECONDS: Final = 1.0
"""Between two interruptions of whoever is about to answer; what is typed and not yet sent is lost with each."""


OVER: Final = frozenset({"approval_settled", "approval_moved", "approval_unknown"})
"""Codes of an answer that came too late; after any other the question still stands."""


class Screen(Protocol):
    """Where words go; implemented by the command line's sink."""

    @property
    def columns(self) -> int:
        """The terminal's width."""

    def visible(self, untrusted_text: str) -> str:
        """Return the text with everything invisible written out."""

    def line(self, untrusted_text: str = "") -> None:
        """Print a line."""

    def piece(self, untrusted_text: str) -> None:
        """Print a piece at once."""


class Events(Protocol):
    """Events of a stream, in order; implemented by the control client."""

    @property
    def ended(self) -> bool:
        """True if no further event comes."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when more may have come."""

    def arrived(self) -> list[Any]:
        """Return the events that have come by now, without waiting."""

    def close(self) -> None:
        """Hear no more of it."""

    def __iter__(self) -> Events:
        """Return itself."""

    def __next__(self) -> Any:
        """Wait for the next event."""


class Gateway(Protocol):
    """What is asked of the gateway; implemented by the control client."""

    def request(self, method: str, **params: Any) -> Any:
        """Ask and wait."""

    def stream(self, method: str, interrupt: int | None, **params: Any) -> Events:
        """Ask, and return the events of the answer."""


class News(Protocol):
    """What goes on while a question stands on the screen."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there may be news."""

    def settled(self, approval: str) -> str | None:
        """Take in what has come; return how this question was settled elsewhere, None while it is open."""

    def waiting(self) -> bool:
        """True if there is something to say besides."""

    def take(self) -> list[str]:
        """Return what there is to say, a line each, and forget it."""


class Ended(Enum):
    """How a question left the screen."""

    ANSWERED = auto()
    SETTLED = auto()
    LATER = auto()
    QUIT = auto()
    BROKEN_OFF = auto()


def say(screen: Screen, first: str, text: str, rest: str | None = None) -> None:
    """Print a text so that no line of it, folded or broken, begins otherwise than with ``first``, then ``rest``."""
    screen.piece(Flow(first, screen.columns, rest).take(screen.visible(text) + "\n"))


class Dialog:
    """Puts questions; ``interrupt`` is a descriptor that Ctrl-C makes readable, ``leaving`` offers to quit."""

    def __init__(
        self, screen: Screen, keyboard: Keyboard, gateway: Gateway, interrupt: int, *, leaving: bool = False
    ) -> None:
        self._screen = screen
        self._keyboard = keyboard
        self._gateway = gateway
        self._interrupt = interrupt
        self._leaving = leaving

    def put(self, approval: Event, news: News) -> Ended:
        """Show one question and see it answered, settled or left."""
        self._lines(question.card(approval))
        if not self._keyboard.real:
            self._lines([(OURS, f"answer elsewhere: bascule approvals approve {approval['id']}")])
            return Ended.LATER
        while True:
            typed = self._typed(question.prompt(approval, leaving=self._leaving), approval, news)
            ended = typed if isinstance(typed, Ended) else self._choose(question.read_choice(typed), approval, news)
            if ended is not None:
                return ended

    def _choose(self, choice: Choice | None, approval: Event, news: News) -> Ended | None:
        """Do what was answered; None if the question still stands."""
        if choice is Choice.SIMILAR and approval["ungrantable"]:
            say(self._screen, "! ", f"a yes is for this call only: {approval['ungrantable']}")
        elif choice is Choice.SIMILAR:
            return self._similar(approval, news)
        elif choice is Choice.SHOW:
            self._lines(question.card(approval))
        elif choice is Choice.YES:
            return self._answer("approvals_approve", approval)
        elif choice is Choice.NO:
            return self._answer("approvals_deny", approval)
        elif choice is Choice.LATER:
            self._lines([(OURS, f"it waits until {approval['expires']}: bascule approvals approve {approval['id']}")])
            return Ended.LATER
        elif choice is Choice.QUIT and self._leaving:
            return Ended.QUIT
        return None

    def _similar(self, approval: Event, news: News) -> Ended | None:
        """Show what a wider yes would cover, and give it if that is confirmed."""
        self._lines(question.similar(approval))
        typed = self._typed(f"{OURS}{approval['id']}: yes to all of that? [y/n] ", approval, news)
        if isinstance(typed, Ended):
            return typed
        if question.read_choice(typed) is not Choice.YES:
            self._lines([(OURS, "not given; the question still stands")])
            return None
        return self._answer("approvals_grant", approval, **question.similar_terms(approval))

    def _answer(self, method: str, approval: Event, **terms: Any) -> Ended | None:
        try:
            found = self._gateway.request(method, ref=approval["id"], **terms)
        except BasculeError as error:
            if error.code == "gateway_gone":
                raise
            say(self._screen, "! ", f"{error} [{error.code}]", "  ")
            return Ended.ANSWERED if error.code in OVER else None
        lines = question.granted(found) if terms else [f"{found['state']}: {found['id']}"]
        for line in lines:
            say(self._screen, "* ", line, "  ")
        return Ended.ANSWERED

    def _typed(self, prompt: str, approval: Event, news: News) -> str | Ended:
        """Return the line that was typed after the prompt stood there, or how the question ended instead."""
        told = 0.0
        while True:
            # In this order: what is typed once the question mark stands there counts, what came before does not.
            self._keyboard.forget()
            self._screen.piece(prompt)
            ready = self._wait(approval["id"], news, told + REDRAW_SECONDS)
            if ready is Ready.TYPED and (line := self._keyboard.line()) is not None:
                return line
            self._screen.line()
            if ready is Ready.INTERRUPTED or (ready is Ready.TYPED and not self._leaving):
                return Ended.BROKEN_OFF
            if ready is Ready.TYPED:
                return Ended.QUIT
            if (how := news.settled(approval["id"])) is not None:
                say(self._screen, "* ", how, "  ")
                return Ended.SETTLED
            for line in news.take():
                say(self._screen, "* ", line, "  ")
            told = time.monotonic()

    def _wait(self, approval: str, news: News, earliest: float) -> Ready:
        """Wait for a key, for this question to be settled, or for other news, not told before ``earliest``."""
        while news.settled(approval) is None:
            left = earliest - time.monotonic() if news.waiting() else None
            if left is not None and left <= 0:
                break
            ready = self._keyboard.wait(self._interrupt, news.fileno(), left)
            if ready in {Ready.TYPED, Ready.INTERRUPTED}:
                return ready
        return Ready.WOKEN

    def _lines(self, lines: list[tuple[str, str]]) -> None:
        for first, text in lines:
            say(self._screen, first, text)
