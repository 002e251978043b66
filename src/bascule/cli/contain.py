"""``bascule contain`` and ``bascule release``: stopping an agent, or all of them, and letting one go again."""

from __future__ import annotations

from typing import Annotated

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.core.errors import Malformed


def contain(  # noqa: PLR0913 (each is a word of the command line)
    context: typer.Context,
    agent: Annotated[str | None, typer.Argument(metavar="AGENT", help="Whom; or --all.")] = None,
    *,
    everyone: Annotated[bool, typer.Option("--all", help="Every agent of this home.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")] = "by hand",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Stop an agent: its turns, questions and programs end now, and it does nothing until it is released."""
    run = settle(context, home, as_json)
    if everyone == (agent is not None):
        raise Malformed("contain_whom", "name one agent, or give --all", "such as: bascule contain bruba-main")
    with run.connect() as gateway:
        rows = gateway.request("contain", agent=agent, reason=reason)
    if run.sink.as_json:
        run.sink.json(rows)
        return
    for row in rows:
        run.sink.line(f"contained: {row['id']}: {row['contained']}")


def release(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Whom.")],
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a contained agent go again."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        row = gateway.request("release", agent=agent)
    if run.sink.as_json:
        run.sink.json(row)
    else:
        run.sink.line(f"released: {row['id']}")


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    app.command(epilog=example("bascule contain --all --reason 'odd messages'"))(contain)
    app.command(epilog=example("bascule release bruba-main"))(release)
