"""Watching the desk on a plain terminal: every open question, each as it comes, each answer as it happens.

Stops: a key that was meant for one card answering the next: one question stands at a time, and what was typed before
it stood there is forgotten (``dialog.py``). A flood of questions interrupts whoever is about to answer once a second at
most. Does not stop a flood from being long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bascule.channels.terminal import question
from bascule.channels.terminal.dialog import Dialog, Ended, Events, Gateway, Screen, say
from bascule.channels.terminal.keyboard import Keyboard, Ready
from bascule.channels.terminal.question import Choice, Event, read_choice

MOST: Final = 3
"""New questions that are named while another stands on the screen; beyond, they are counted."""


def follow(screen: Screen, events: Iterable[Event]) -> None:
    """Print every event as lines: for a pipe or a file, where nobody answers."""
    for event in events:
        if event["event"] == "answered":
            screen.line(f"* {question.answered(event)}")
            continue
        for first, line in question.card(event["approval"]):
            screen.line(first + line)


class Watch:
    """The desk as one operator sees it; ``interrupt`` is a descriptor that Ctrl-C makes readable."""

    def __init__(self, screen: Screen, keyboard: Keyboard, gateway: Gateway, interrupt: int) -> None:
        self._screen = screen
        self._keyboard = keyboard
        self._gateway = gateway
        self._interrupt = interrupt
        self._dialog = Dialog(screen, keyboard, gateway, interrupt, leaving=True)
        self._open: dict[str, Event | None] = {}
        self._later: dict[str, Event | None] = {}
        self._settled: dict[str, str] = {}
        self._seen: set[str] = set()
        self._mine: set[str] = set()
        self._answers: list[str] = []
        self._asked: dict[str, str] = {}
        self._events: Events

    def run(self) -> bool:
        """Show what comes and put each question, until the operator leaves; False if by Ctrl-C."""
        self._begin()
        while True:
            ended = self._put_next() if self._open else self._idle()
            if ended in {Ended.QUIT, Ended.BROKEN_OFF}:
                return ended is Ended.QUIT

    def answer_open(self) -> bool:
        """Put every question that is open now and those that come meanwhile, then end; False if by Ctrl-C."""
        self._begin()
        ended = None
        try:
            if not self._open:
                self._screen.line("no question is open")
            while self._open and ended not in {Ended.QUIT, Ended.BROKEN_OFF}:
                ended = self._put_next()
        finally:
            self._events.close()
        return ended is not Ended.BROKEN_OFF

    def _begin(self) -> None:
        """Watch first and look then, so that no question falls between."""
        self._events = self._gateway.stream("approvals_watch", None)
        for row in self._gateway.request("approvals_list", everything=False):
            self._open[row["id"]] = None
        self._seen |= self._open.keys()

    def _put_next(self) -> Ended:
        """Put the question that waits longest, unless it was settled before its turn came."""
        name, found = next(iter(self._open.items()))
        found = self._current(name) if found is None else found
        if found is None or self.settled(name) is not None:
            self._open.pop(name, None)
            return Ended.SETTLED
        del self._open[name]
        self._asked.pop(name, None)
        self._tell()
        ended = self._dialog.put(found, self)
        if ended is Ended.LATER:
            self._later[name] = found
        elif ended is Ended.ANSWERED:
            self._mine.add(name)
        elif ended is Ended.SETTLED:
            self._answers = [how for how in self._answers if how != self._settled[name]]
        return ended

    def _current(self, name: str) -> Event | None:
        found: Event = self._gateway.request("approvals_show", ref=name)
        return found if found["state"] == "pending" else None

    def _idle(self) -> Ended | None:
        """Wait for the next question, or for the operator to leave or to take up what was put off."""
        self._read()
        if self._open:
            return None
        self._tell()
        aside = f"; {len(self._later)} put off, show brings them back" if self._later else ""
        self._keyboard.forget()
        say(self._screen, "? ", f"watching{aside}; q leaves")
        while not self._open:
            ready = self._keyboard.wait(self._interrupt, self._events.fileno(), None)
            if ready is Ready.INTERRUPTED:
                return Ended.BROKEN_OFF
            if ready is Ready.WOKEN:
                self._read()
                if not self._open:
                    self._tell()
                continue
            line = self._keyboard.line()
            choice = Choice.QUIT if line is None else read_choice(line)
            if choice is Choice.QUIT:
                return Ended.QUIT
            if choice is Choice.SHOW:
                self._open, self._later = self._later, {}
                return None
        return None

    def _tell(self) -> None:
        for line in self.take():
            say(self._screen, "* ", line, "  ")

    def _read(self) -> None:
        """Take in what has come.

        Raises:
            BasculeError: why no more comes, if the stream has ended.
        """
        for event in self._events.arrived():
            if event["event"] == "answered":
                self._take_answer(event)
            else:
                self._take_question(event["approval"])
        if self._events.ended:
            next(self._events, None)

    def _take_question(self, found: Event) -> None:
        name = found["id"]
        if name not in self._seen:
            self._seen.add(name)
            self._asked[name] = f"asked: {name} ({found['agent']} {found['tool']}): {found['summary']}"
            self._open[name] = found
        elif name in self._open:
            self._open[name] = found

    def _take_answer(self, event: Event) -> None:
        name, how = event["id"], question.answered(event)
        self._settled[name] = how
        for held in (self._open, self._later, self._asked):
            held.pop(name, None)
        if name not in self._mine:
            self._answers.append(how)

    def fileno(self) -> int:
        """See :class:`bascule.channels.terminal.dialog.News`."""
        return self._events.fileno()

    def settled(self, approval: str) -> str | None:
        """See :class:`bascule.channels.terminal.dialog.News`."""
        self._read()
        return self._settled.get(approval)

    def waiting(self) -> bool:
        """See :class:`bascule.channels.terminal.dialog.News`."""
        return bool(self._answers or self._asked)

    def take(self) -> list[str]:
        """See :class:`bascule.channels.terminal.dialog.News`."""
        asked = list(self._asked.values())
        more = [f"asked: {len(asked) - MOST} more"] if len(asked) > MOST else []
        lines = [*self._answers, *asked[:MOST], *more]
        self._answers, self._asked = [], {}
        return lines
