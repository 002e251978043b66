"""``bascule status``: how this home is doing."""

from __future__ import annotations

import typer

from bascule.cli.options import AsJson, Home, example, settle


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
    for problem in found["problems"]:
        remedy = f" ({problem['remedy']})" if problem["remedy"] else ""
        run.sink.line(f"problem: {problem['message']}{remedy} [{problem['code']}]")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=example("bascule status --json"))(status)
