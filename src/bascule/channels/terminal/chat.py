"""A conversation with one agent on a plain terminal: over SSH, without a full screen, without colours if unwanted.

Stops: an agent's words passing for ours: they are indented and folded (``flow.py``), and so is every line that holds
some of them. Its questions are put by ``dialog.py``. Does not stop an operator from believing what an agent says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from bascule.channels.terminal import question
from bascule.channels.terminal.dialog import Dialog, Ended, Events, Gateway, Screen, say
from bascule.channels.terminal.flow import Flow
from bascule.channels.terminal.keyboard import Keyboard
from bascule.channels.terminal.question import Event
from bascule.channels.terminal.watch import Watch
from bascule.core.errors import BasculeError

INDENT: Final = "  "

HELP: Final = (
    "Type to talk. /approvals lists open questions, /reset begins anew, /quit or Ctrl-D leaves, Ctrl-C stops a turn."
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a conversation has in hand.

    Attributes:
        screen: where it prints.
        keyboard: where answers come from.
        gateway: whom it asks.
        prompt: returns the next line the operator types, given what to show before it.
        interrupts: while entered, Ctrl-C makes the yielded descriptor readable instead of raising.
    """

    screen: Screen
    keyboard: Keyboard
    gateway: Gateway
    prompt: Callable[[str], str]
    interrupts: Callable[[], AbstractContextManager[int]]


class Chat:
    """One conversation: ``agent``, and the session's key or None for the main session."""

    def __init__(self, desk: Desk, agent: str, session: str | None) -> None:
        self._desk = desk
        self._screen = desk.screen
        self._agent = agent
        self._session = session

    def _greet(self) -> None:
        """Say whom one talks to and through what, and what stands in the way."""
        found = self._desk.gateway.request("agents_show", agent=self._agent)
        through = f" through {found['model']}" if found["model"] else ""
        self._screen.line(f"talking to {self._agent}{through}; /help says how")
        for notice in (found["notice"], found["contained"], *found["problems"]):
            if notice:
                say(self._screen, "note: ", notice, "      ")

    def run(self) -> None:
        """Talk until the operator leaves."""
        self._greet()
        while True:
            try:
                text = self._desk.prompt(f"{self._agent}> ").strip()
            except EOFError:
                self._screen.line()
                return
            except KeyboardInterrupt:
                self._screen.line()
                continue
            if text == "/quit":
                return
            try:
                self._do(text)
            except BasculeError as error:
                if error.code == "gateway_gone":
                    raise
                say(self._screen, "! ", f"{error} [{error.code}]")

    def _do(self, text: str) -> None:
        if not text:
            return
        if not text.startswith("/"):
            self.turn(text)
        elif text == "/help":
            self._screen.line(HELP)
        elif text == "/approvals":
            self._approvals()
        elif text == "/reset":
            key = self._session or f"agent:{self._agent}:main"
            found = self._desk.gateway.request("sessions_reset", session=key)
            self._screen.line(f"reset: {found['id']}")
        else:
            self._screen.line("! there is no such command; /help says which there are")

    def _approvals(self) -> None:
        with self._desk.interrupts() as interrupt:
            Watch(self._screen, self._desk.keyboard, self._desk.gateway, interrupt).answer_open()

    def turn(self, text: str) -> Event | None:
        """Run one turn, show it, put its questions; return its ``done`` event, None if it was cancelled."""
        flow = Flow(INDENT, self._screen.columns)
        done: Event | None = None
        with self._desk.interrupts() as interrupt:
            ask = {"agent": self._agent, "text": text, "session": self._session}
            events = _Turn(self._desk.gateway.stream("send", interrupt, **ask))
            dialog = Dialog(self._screen, self._desk.keyboard, self._desk.gateway, interrupt)
            try:
                for event in events:
                    if event["event"] == "text":
                        self._screen.piece(flow.take(self._screen.visible(event["text"])))
                        continue
                    self._screen.piece(flow.end())
                    self._show(event, events, dialog)
                    done = event if event["event"] == "done" else done
            except BasculeError as error:
                self._screen.piece(flow.end())
                if error.code != "cancelled":
                    raise
                self._screen.line("! stopped")
        return done

    def _show(self, event: Event, turn: _Turn, dialog: Dialog) -> None:
        kind = event["event"]
        if kind == "tool" and (event["phase"] == "finished" or event["report"]["decision"]["effect"] != "allow"):
            for line in tool_lines(event["report"]):
                say(self._screen, "* ", line, "  ")
        elif kind == "answered" and event["id"] not in turn.told:
            say(self._screen, "* ", question.answered(event), "  ")
        elif kind == "approval" and turn.settled(event["approval"]["id"]) is None:
            self._put(event["approval"], turn, dialog)

    def _put(self, approval: Event, turn: _Turn, dialog: Dialog) -> None:
        if dialog.put(approval, turn) in {Ended.ANSWERED, Ended.SETTLED}:
            turn.told.add(approval["id"])


class _Turn:
    """The events of a turn, in order, of which a question that stands on the screen may hear before they are shown.

    Attributes:
        told: questions whose end was already said.
    """

    def __init__(self, events: Events) -> None:
        self.told: set[str] = set()
        self._events = events
        self._kept: deque[Event] = deque()

    def __iter__(self) -> Iterator[Event]:
        while True:
            while self._kept:
                yield self._kept.popleft()
            event = next(self._events, None)
            if event is None:
                return
            yield event

    def fileno(self) -> int:
        """See :class:`bascule.channels.terminal.dialog.News`."""
        return self._events.fileno()

    def settled(self, approval: str) -> str | None:
        """See :class:`bascule.channels.terminal.dialog.News`; the end of the turn is the end of its questions."""
        self._kept += self._events.arrived()
        for event in self._kept:
            if event["event"] == "answered" and event["id"] == approval:
                return question.answered(event)
        return f"{approval} is no longer asked: the turn has ended" if self._events.ended else None

    def waiting(self) -> bool:
        """Nothing: what goes on in the turn is shown when the question has left the screen."""
        return False

    def take(self) -> list[str]:
        """Nothing, likewise."""
        return []


def tool_lines(report: Event) -> list[str]:
    """Return what to say of one tool call: what it was, how it went, and if it was not simply allowed, why not."""
    call, decision, outcome = report["call"], report["decision"], report["outcome"]
    args = call["args"] or {}
    words = " ".join(f"{name}={_short(str(value))}" for name, value in args.items())
    if outcome is None:
        result = decision["effect"]
    elif outcome["ok"]:
        result = "ok"
    else:
        result = "failed" if outcome["exit"] is None else f"exit {outcome['exit']}"
    lines = [f"{call['tool']} {words} -> {result}"]
    for verdict in decision["verdicts"]:
        if verdict["effect"] != "allow":
            remedy = f" ({verdict['remedy']})" if verdict["remedy"] else ""
            lines.append(f"{verdict['judge']}: {verdict['reason']}{remedy} [{verdict['code']}]")
    return [" ".join(line.split()) for line in lines]


def _short(text: str) -> str:
    """Cut an argument for the running commentary; cards and the ledger have it whole."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:79] + "…"
