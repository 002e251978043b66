"""``bascule approvals``: the questions that wait for the operator, and the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import Column

Ref = Annotated[str, typer.Argument(metavar="ID", help="The approval's id, or its code.")]

COLUMNS = (
    Column("ID", "id"),
    Column("CODE", "code"),
    Column("STATE", "state"),
    Column("AGENT", "agent"),
    Column("TOOL", "tool"),
    Column("EXPIRES", "expires"),
    Column("WHAT", "summary"),
)


def list_(
    context: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Settled ones too.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the open questions, oldest first."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        run.sink.table(COLUMNS, gateway.request("approvals_list", everything=everything), "no question is open")


def show(context: typer.Context, ref: Ref, *, home: Home = None, as_json: AsJson = False) -> None:
    """Show one question: the whole card, nothing cut."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        _print(run, gateway.request("approvals_show", ref=ref))


def approve(context: typer.Context, ref: Ref, *, home: Home = None, as_json: AsJson = False) -> None:
    """Say yes to one question, for this very call and once."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        _print_answer(run, gateway.request("approvals_approve", ref=ref))


def deny(context: typer.Context, ref: Ref, *, home: Home = None, as_json: AsJson = False) -> None:
    """Say no to one question."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        _print_answer(run, gateway.request("approvals_deny", ref=ref))


def _print_answer(run: Run, found: Mapping[str, Any]) -> None:
    if run.sink.as_json:
        run.sink.json(found)
    else:
        run.sink.line(f"{found['state']}: {found['id']} ({found['agent']} {found['tool']})")


def _print(run: Run, found: Mapping[str, Any]) -> None:
    if run.sink.as_json:
        run.sink.json(found)
        return
    for line in found["card"]:
        run.sink.line(line)
    run.sink.line()
    names = ("id", "code", "state", "agent", "session", "created", "expires", "answered_by", "digest", "seq")
    run.sink.pairs((name.replace("_", " "), found[name]) for name in names)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="Questions that wait for you.")
    group.command("list", epilog=example("bascule approvals list --json"))(list_)
    group.command(epilog=example("bascule approvals show apr_0123456789abcdef"))(show)
    group.command(epilog=example("bascule approvals approve apr_0123456789abcdef"))(approve)
    group.command(epilog=example("bascule approvals deny apr_0123456789abcdef"))(deny)
    app.add_typer(group, name="approvals")
