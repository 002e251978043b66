"""``bascule gateway``: start, stop and look at the gateway process of a home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bascule.cli import launch
from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.status import problem_lines

Foreground = Annotated[bool, typer.Option("--foreground", help="Stay here and log to standard error.")]


def start(
    context: typer.Context, *, foreground: Foreground = False, home: Home = None, as_json: AsJson = False
) -> None:
    """Start the gateway in the background; done when it answers."""
    _start(settle(context, home, as_json), stay=foreground)


def stop(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """Stop the gateway; done when its processes are gone."""
    run = settle(context, home, as_json)
    gone = launch.stop(run.home)
    _say(run, {"running": False, "pid": gone.pid}, f"the gateway with pid {gone.pid} has stopped")


def restart(
    context: typer.Context, *, foreground: Foreground = False, home: Home = None, as_json: AsJson = False
) -> None:
    """Stop the gateway if it runs, and start it."""
    run = settle(context, home, as_json)
    launch.rehearse(run.home)
    client = launch.running(run.home)
    if client is not None:
        client.close()
        launch.stop(run.home)
    _start(run, stay=foreground)


def status(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> int:
    """Say whether the gateway runs: status 0 if it does, 1 if not."""
    run = settle(context, home, as_json)
    client = launch.running(run.home)
    if client is None:
        _say(run, {"running": False, "pid": None}, f"no gateway runs for {run.home}")
        return 1
    with client:
        found = client.request("status")
    _say(run, {"running": True, **found}, f"a gateway with pid {found['pid']} runs since {found['started']}")
    if not run.sink.as_json:
        problem_lines(run.sink, found["problems"])
    return 0


def _start(run: Run, *, stay: bool) -> None:
    if stay:
        launch.foreground(run.home)
        return
    with launch.start(run.home) as client:
        pid = client.hello["pid"]
    _say(run, {"running": True, "pid": pid}, f"the gateway runs with pid {pid}")


def _say(run: Run, found: Mapping[str, Any], sentence: str) -> None:
    if run.sink.as_json:
        run.sink.json(found)
    else:
        run.sink.line(sentence)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="The gateway process of this home.")
    group.command(epilog=example("bascule gateway start"))(start)
    group.command(epilog=example("bascule gateway stop"))(stop)
    group.command(epilog=example("bascule gateway restart"))(restart)
    group.command(epilog=example("bascule gateway status --json"))(status)
    app.add_typer(group, name="gateway")
