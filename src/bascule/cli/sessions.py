"""``bascule sessions``: the conversations of the agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Column

Session = Annotated[str, typer.Argument(metavar="SESSION", help="Its key, as the list shows it.")]

COLUMNS = (
    Column("ID", "id"),
    Column("MESSAGES", "messages"),
    Column("UPDATED", "updated"),
    Column("INTEGRITY", "integrity"),
    Column("CONFIDENTIALITY", "confidentiality"),
)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "integrity": row["label"]["integrity"], "confidentiality": row["label"]["confidentiality"]}


def list_(
    context: typer.Context,
    agent: Annotated[str | None, typer.Argument(metavar="AGENT", help="Only this agent's.")] = None,
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the sessions, most recent first."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        rows = gateway.request("sessions_list", agent=agent)
    run.sink.table(COLUMNS, rows if run.sink.as_json else [_flat(row) for row in rows], "there are no sessions")


def show(context: typer.Context, session: Session, *, home: Home = None, as_json: AsJson = False) -> None:
    """Show one session: its label and what was said."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("sessions_show", session=session)
    if run.sink.as_json:
        run.sink.json(found)
        return
    label = found["label"]
    run.sink.pairs((name, found[name]) for name in ("id", "agent", "messages", "updated"))
    run.sink.pairs([("label", f"{label['integrity']}, {label['confidentiality']}"), ("sources", label["sources"])])
    for message in found["transcript"]:
        run.sink.line(f"\n{message['at']} {message['role']}")
        for line in message["text"].split("\n"):
            run.sink.line("  " + line)


def reset(context: typer.Context, session: Session, *, home: Home = None, as_json: AsJson = False) -> None:
    """Begin a session anew: nothing said, nothing read. The ledger keeps what happened."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("sessions_reset", session=session)
    if run.sink.as_json:
        run.sink.json(found)
    else:
        run.sink.line(f"reset: {found['id']}")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="Conversations of the agents.")
    group.command("list", epilog=example("bascule sessions list bruba-main"))(list_)
    group.command(epilog=example("bascule sessions show agent:bruba-main:main"))(show)
    group.command(epilog=example("bascule sessions reset agent:bruba-main:main"))(reset)
    app.add_typer(group, name="sessions")
