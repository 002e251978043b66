"""``bascule sandbox``: which box an agent gets, and what that box says of itself."""

from __future__ import annotations

from typing import Annotated

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Column

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Which agent.")]

COLUMNS = (Column("CHECK", "id"), Column("RESULT", "result"), Column("FOUND", "detail"), Column("REMEDY", "remedy"))


def explain(context: typer.Context, agent: Agent, *, home: Home = None, as_json: AsJson = False) -> None:
    """Say which box an agent gets, and which key of the policy says so."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("sandbox_explain", agent=agent)
    if run.sink.as_json:
        run.sink.json(found)
        return
    for line in found["lines"]:
        run.sink.line(line)


def probe(context: typer.Context, agent: Agent, *, home: Home = None, as_json: AsJson = False) -> int:
    """Start an agent's box and report its self-test: status 0 if it holds, 1 if not."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("sandbox_probe", agent=agent)
    if run.sink.as_json:
        run.sink.json(found)
    else:
        rows = [{**check, "result": "ok" if check["ok"] else "failed"} for check in found["checks"]]
        run.sink.table(COLUMNS, rows, "the box reported nothing")
    return 0 if found["ok"] else 1


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="The boxes agents' programs run in.")
    group.command(epilog=example("bascule sandbox explain bruba-main"))(explain)
    group.command(epilog=example("bascule sandbox probe bruba-main"))(probe)
    app.add_typer(group, name="sandbox")
