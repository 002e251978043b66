"""``bascule dashboard``: the link that signs one browser in."""

from __future__ import annotations

import typer

from bascule.cli import launch
from bascule.cli.options import AsJson, Home, example, settle
from bascule.core.errors import Unavailable


def dashboard(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """Print a link that signs one browser in as you, once, within minutes."""
    run = settle(context, home, as_json)
    # A gateway opened for this verb would be gone before the link could be followed.
    client = launch.running(run.home)
    if client is None:
        raise Unavailable("dashboard_off", f"no gateway runs for {run.home}", "run: bascule gateway start")
    with client:
        found = client.request("dashboard_link")
    if run.sink.as_json:
        run.sink.json(found)
        return
    run.sink.line(found["url"])
    run.sink.note(f"good for one browser, once, until {found['expires']}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=example("bascule dashboard"))(dashboard)
