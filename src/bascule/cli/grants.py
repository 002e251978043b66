"""``bascule grants``: every yes that reaches further than one call, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bascule.channels.terminal.question import granted
from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import Column

COLUMNS = (
    Column("ID", "id"),
    Column("STATE", "state"),
    Column("AGENT", "agent"),
    Column("TOOL", "tool"),
    Column("SESSION", "session"),
    Column("UNTIL", "expires"),
    Column("USED", "used"),
    Column("LEFT", "uses_left"),
    Column("COVERS", "covers"),
)


def list_(
    context: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the grants in force, oldest first."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        run.sink.table(COLUMNS, gateway.request("grants_list", everything=everything), "no grant is in force")


def revoke(
    context: typer.Context,
    grant: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End a grant; a call that already began goes on."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("grants_revoke", grant=grant)
    if run.sink.as_json:
        run.sink.json(found)
    else:
        run.sink.line(f"{found['state']}: {found['id']} ({found['agent']} {found['tool']})")


def print_grant(run: Run, found: Mapping[str, Any]) -> None:
    """Say what was granted: what it covers, until when, and how to take it back."""
    if run.sink.as_json:
        run.sink.json(found)
        return
    for line in granted(found):
        run.sink.line(line)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="Each yes of yours that covers more than one call.")
    group.command("list", epilog=example("bascule grants list"))(list_)
    group.command(epilog=example("bascule grants revoke gra_0123456789abcdef"))(revoke)
    app.add_typer(group, name="grants")
