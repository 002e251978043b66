"""``bascule send``: one message to an agent, and its answer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from bascule.cli.call import verdict_lines
from bascule.cli.chat import Session, talk
from bascule.cli.exits import Exit
from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Sink, is_terminal
from bascule.control.client import Client


def send(  # noqa: PLR0913 (one parameter an option)
    context: typer.Context,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="To whom.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say; - reads standard input.")],
    *,
    session: Session = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Send an agent a message and print its answer.

    Status 3 if it waits for an approval that nobody here can give. On a terminal its questions are asked there.
    Otherwise they are named on standard error, and the turn waits for their
    answers as long as a gateway runs.
    """
    run = settle(context, home, as_json)
    words = sys.stdin.read() if text == "-" else text
    with run.connect() as gateway:
        if run.sink.interactive and not run.sink.as_json and text != "-" and is_terminal(sys.stdin):
            talk(run, gateway, agent, session, words)
            return Exit.SUCCEEDED
        turn = _Turn(run.sink)
        ended = turn.follow(gateway, agent, words, session)
    if run.sink.as_json:
        run.sink.json(turn.summary())
    return Exit.SUCCEEDED if ended else Exit.WAITS


@dataclass(slots=True)
class _Turn:
    """One turn followed without a person: text to standard output, everything else beside it."""

    sink: Sink
    session: str | None = None
    seq: int | None = None
    text: list[str] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    approvals: list[Any] = field(default_factory=list)

    def follow(self, gateway: Client, agent: str, words: str, session: str | None) -> bool:
        """Show a turn as it happens; False if it waits for what cannot come while this verb keeps the home."""
        for event in gateway.stream("send", None, agent=agent, text=words, session=session):
            self._take(event)
            if event["event"] == "approval" and gateway.hello["ephemeral"]:
                # An end in order: a connection that merely closed would stop the turn, and withdraw its question.
                gateway.request("shutdown")
                if not self.sink.as_json:
                    self.sink.note("it goes on once answered and a gateway runs: bascule gateway start")
                return False
        if not self.sink.as_json and self.text and not self.text[-1].endswith("\n"):
            self.sink.line()
        return True

    def _take(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "text":
            self.text.append(event["text"])
            if not self.sink.as_json:
                self.sink.piece(event["text"])
        elif kind == "tool" and event["phase"] == "finished":
            self.calls.append(event["report"])
            if not self.sink.as_json:
                for line in verdict_lines(event["report"]):
                    self.sink.note(line)
        elif kind == "approval":
            self.approvals.append(event["approval"])
            if not self.sink.as_json:
                self.sink.note(f"waits for an answer: bascule approvals approve {event['approval']['id']}")
        elif kind == "done":
            self.session, self.seq = event["session"], event["seq"]

    def summary(self) -> dict[str, Any]:
        """Return the turn as one object."""
        return {
            "session": self.session,
            "text": "".join(self.text),
            "calls": self.calls,
            "approvals": self.approvals,
            "seq": self.seq,
        }


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=example('bascule send bruba-main "What is on my list today?"'))(send)
