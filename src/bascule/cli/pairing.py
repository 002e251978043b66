"""``bascule pairing``: strangers who wrote over Signal, and letting one in to chat."""

from __future__ import annotations

from typing import Annotated

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Column

COLUMNS = (
    Column("ID", "id"),
    Column("CODE", "code"),
    Column("STATE", "state"),
    Column("SENDER", "sender"),
    Column("ASKED", "created"),
    Column("UNTIL", "expires"),
)


def list_(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """List who waits to be let in, and who was."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        run.sink.table(COLUMNS, gateway.request("pairing_list"), "nobody has asked to be let in")


def approve(
    context: typer.Context,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code they were sent, as they tell it to you.")],
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a sender chat, as a stranger: their words stay untrusted and answer no question."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("pairing_approve", code=code)
    if run.sink.as_json:
        run.sink.json(found)
    else:
        run.sink.line(f"{found['state']}: {found['sender']}")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="Who may write over Signal.")
    group.command("list", epilog=example("bascule pairing list"))(list_)
    group.command(epilog=example("bascule pairing approve K7Q2M4XZ"))(approve)
    app.add_typer(group, name="pairing")
