"""A conversation with one agent on a plain terminal: over SSH, without a full screen, without colours if unwanted.

Stops: an agent's words passing for ours (they are indented and folded, ``flow.py``), and an answer to a question from
anywhere but the keyboard after the card was shown (``keyboard.py``). The whole card is printed, always. Does not stop
an operator from saying yes to something they did not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bascule.channels.terminal.flow import Flow
from bascule.channels.terminal.keyboard import Keyboard
from bascule.core.errors import BasculeError

INDENT: Final = "  "

HELP: Final = (
    "Type to talk. /approvals lists open questions, /reset begins anew, /quit or Ctrl-D leaves, Ctrl-C stops a turn."
)

Event = Mapping[str, Any]


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


class Gateway(Protocol):
    """What is asked of the gateway; implemented by the control client."""

    def request(self, method: str, **params: Any) -> Any:
        """Ask and wait."""

    def stream(self, method: str, interrupt: int | None, **params: Any) -> Iterator[Any]:
        """Ask and yield events."""


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
        self._answered_here: set[str] = set()

    def _greet(self) -> None:
        """Say whom one talks to and through what, and what stands in the way."""
        found = self._desk.gateway.request("agents_show", agent=self._agent)
        through = f" through {found['model']}" if found["model"] else ""
        self._screen.line(f"talking to {self._agent}{through}; /help says how")
        for notice in (found["notice"], found["contained"], *found["problems"]):
            if notice:
                self._screen.line(f"note: {notice}")

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
                self._screen.line(f"! {error} [{error.code}]")

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
        rows = self._desk.gateway.request("approvals_list", everything=False)
        if not rows:
            self._screen.line("no question is open")
        with self._desk.interrupts() as interrupt:
            for row in rows:
                if not self._ask(self._desk.gateway.request("approvals_show", ref=row["id"]), interrupt):
                    return

    def turn(self, text: str) -> Event | None:
        """Run one turn, show it, put its questions; return its ``done`` event, None if it was cancelled."""
        flow = Flow(INDENT, self._screen.columns)
        done: Event | None = None
        with self._desk.interrupts() as interrupt:
            events = self._desk.gateway.stream("send", interrupt, agent=self._agent, text=text, session=self._session)
            try:
                for event in events:
                    if event["event"] == "text":
                        self._screen.piece(flow.take(self._screen.visible(event["text"])))
                        continue
                    self._screen.piece(flow.end())
                    self._show(event, interrupt)
                    done = event if event["event"] == "done" else done
            except BasculeError as error:
                self._screen.piece(flow.end())
                if error.code != "cancelled":
                    raise
                self._screen.line("! stopped")
        return done

    def _show(self, event: Event, interrupt: int) -> None:
        kind = event["event"]
        if kind == "tool" and (event["phase"] == "finished" or event["report"]["decision"]["effect"] != "allow"):
            for line in tool_lines(event["report"]):
                self._screen.line(line)
        elif kind == "answered" and event["id"] not in self._answered_here:
            by = f" by {event['answered_by']}" if event["answered_by"] else ""
            self._screen.line(f"* {event['id']} {event['state']}{by}")
        elif kind == "approval":
            self._ask(event["approval"], interrupt)

    def _ask(self, approval: Event, interrupt: int) -> bool:
        """Put one question; False if the operator broke off."""
        self._card(approval)
        if not self._desk.keyboard.real:
            self._screen.line(f"? answer elsewhere: bascule approvals approve {approval['id']}")
            return True
        while True:
            # In this order: what is typed once the question mark stands there counts, what came before does not.
            self._desk.keyboard.forget()
            self._screen.piece("? yes, no, show, or later [y/n/show/later] ")
            answer = self._desk.keyboard.line(interrupt)
            if answer is None:
                self._screen.line()
                return False
            word = answer.strip().lower()
            if word in {"y", "yes"}:
                return self._answer("approvals_approve", approval)
            if word in {"n", "no"}:
                return self._answer("approvals_deny", approval)
            if word == "later":
                self._screen.line(f"? it waits until {approval['expires']}: bascule approvals approve {approval['id']}")
                return True
            if word == "show":
                self._card(approval)

    def _answer(self, method: str, approval: Event) -> bool:
        try:
            found = self._desk.gateway.request(method, ref=approval["id"])
        except BasculeError as error:
            if error.code == "gateway_gone":
                raise
            self._screen.line(f"! {error} [{error.code}]")
        else:
            self._answered_here.add(approval["id"])
            self._screen.line(f"* {found['state']}: {found['id']}")
        return True

    def _card(self, approval: Event) -> None:
        self._screen.line(f"? {approval['agent']} asks ({approval['id']}, code {approval['code']})")
        for line in approval["card"]:
            for part in line.split("\n"):
                self._screen.line(f"? {part}")
        self._screen.line(f"? unanswered at {approval['expires']} it is a no")


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
    lines = [f"* {call['tool']} {words} -> {result}"]
    for verdict in decision["verdicts"]:
        if verdict["effect"] != "allow":
            remedy = f" ({verdict['remedy']})" if verdict["remedy"] else ""
            lines.append(f"*   {verdict['judge']}: {verdict['reason']}{remedy} [{verdict['code']}]")
    return [" ".join(line.split()) for line in lines]


def _short(text: str) -> str:
    """Cut an argument for the running commentary; cards and the ledger have it whole."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:79] + "…"
