"""``bascule agents``: who they are, what they may do, and which key says so."""

from __future__ import annotations

from typing import Annotated

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Column

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("MODEL", "model"),
    Column("TOOLS", "tools"),
    Column("CONTAINED", "contained"),
    Column("PROBLEMS", "problems"),
)

TOOL_COLUMNS = (Column("TOOL", "id"), Column("CLASS", "action"), Column("STANDING", "standing"), Column("WHY", "why"))


def list_(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """List the agents."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        run.sink.table(COLUMNS, gateway.request("agents_list"), "this home has no agents")


def show(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Which agent.")],
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show one agent: its tools with reasons, programs, box and limits."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("agents_show", agent=agent)
    if run.sink.as_json:
        run.sink.json(found)
        return
    names = ("id", "name", "model", "directory", "prompts", "sessions", "contained", "problems")
    run.sink.pairs((name, found[name]) for name in names)
    run.sink.pairs((name, found[name]) for name in ("exec", "sandbox", "quota"))
    run.sink.line()
    run.sink.table(TOOL_COLUMNS, found["standings"], "it has no tools")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="The agents of this home.")
    group.command("list", epilog=example("bascule agents list"))(list_)
    group.command(epilog=example("bascule agents show bruba-main"))(show)
    app.add_typer(group, name="agents")
