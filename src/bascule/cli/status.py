"""``bascule status``: how this home is doing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Sink


def status(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """Say how this home is doing."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("status")
    if run.sink.as_json:
        run.sink.json(found)
        return
    running = "not running (opened for this verb)" if found["ephemeral"] else f"running, pid {found['pid']}"
    run.sink.pairs([("home", found["home"]), ("gateway", running), ("since", found["started"])])
    run.sink.pairs((name.replace("_", " "), found[name]) for name in ("version", "mode", "agents", "sessions"))
    run.sink.pairs([("questions", found["pending_approvals"]), ("records", found["ledger_seq"])])
    run.sink.pairs([("policy", found["policy_version"])])
    problem_lines(run.sink, found["problems"])


def problem_lines(sink: Sink, problems: Iterable[Mapping[str, str]]) -> None:
    """Name what an operator should look at, one a line."""
    for problem in problems:
        remedy = f" ({problem['remedy']})" if problem["remedy"] else ""
        sink.line(f"problem: {problem['message']}{remedy} [{problem['code']}]")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=example("bascule status --json"))(status)
