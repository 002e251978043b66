"""``bascule chat``: talk with an agent; and what a conversation needs of this terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated

import typer

from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import is_terminal
from bascule.control.client import Client
from bascule.core.errors import Malformed, NotPermitted

Session = Annotated[str | None, typer.Option(metavar="S", help="Session; else the agent's main session.")]


def chat(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="With whom.")],
    *,
    session: Session = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Talk with an agent. Its questions are answered right there; Ctrl-C stops a turn, Ctrl-D leaves."""
    run = settle(context, home, as_json)
    if run.sink.as_json:
        raise Malformed("usage", "chat is for people", "use: bascule send AGENT TEXT --json")
    if not (run.sink.interactive and is_terminal(sys.stdin)):
        raise NotPermitted("not_a_terminal", "chat needs a terminal", "use: bascule send AGENT TEXT")
    with run.connect() as gateway:
        found = gateway.request("agents_show", agent=agent)
        talk(run, gateway, found["id"], session)


def talk(run: Run, gateway: Client, agent: str, session: str | None, text: str | None = None) -> None:
    """Hold a conversation, or one turn of it if ``text`` is given, on this terminal."""
    from bascule.channels.terminal.chat import Chat, Desk  # noqa: PLC0415 (only who talks pays for it)
    from bascule.channels.terminal.keyboard import Keyboard  # noqa: PLC0415 (as above)

    desk = Desk(run.sink, Keyboard(sys.stdin.fileno()), gateway, run.sink.prompt, interrupts)
    conversation = Chat(desk, agent, session)
    if text is None:
        conversation.run()
    else:
        conversation.turn(text)


@contextmanager
def interrupts() -> Iterator[int]:
    """Make Ctrl-C readable on the yielded descriptor, instead of raising in the middle of a frame."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def told(_signal: int, _frame: FrameType | None) -> None:
        with suppress(OSError):
            os.write(writer, b"!")

    before = signal.signal(signal.SIGINT, told)
    try:
        yield reader
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(reader)
        os.close(writer)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=example("bascule chat bruba-main"))(chat)
