"""``bascule sandbox``: which box an agent gets, and what that box says of itself."""

from __future__ import annotations

from typing import Annotated

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Column
from bascule.core.errors import Malformed

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Which agent.")]

MaybeAgent = Annotated[str | None, typer.Argument(metavar="[AGENT]", help="Which agent.")]
Every = Annotated[bool, typer.Option("--all", help="Every agent.")]

DEFAULT_IMAGE = "bascule-box:bookworm"
DEBIAN = "http://deb.debian.org/debian"
"""Debian signs its packages, so that they may come unencrypted."""

BOXES = (
    Column("ID", "id"),
    Column("AGENT", "agent"),
    Column("BACKEND", "backend"),
    Column("STATE", "state"),
    Column("SINCE", "since"),
    Column("IMAGE", "image"),
)

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


def list_(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """List the boxes that last from call to call: warm file workers and containers."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("sandbox_list")
    if run.sink.as_json:
        run.sink.json(found)
    else:
        rows = [{**box, "state": "orphan" if box["orphan"] else box["state"]} for box in found]
        run.sink.table(BOXES, rows, "no box is standing")


def stop(
    context: typer.Context,
    agent: MaybeAgent = None,
    *,
    every: Every = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End an agent's boxes, or everybody's; the next call makes new ones."""
    run, named = settle(context, home, as_json), _chosen(agent, every=every)
    with run.connect() as gateway:
        stopped = gateway.request("sandbox_stop", agent=named)
    if run.sink.as_json:
        run.sink.json({"stopped": stopped})
    else:
        run.sink.line(f"stopped the boxes of {', '.join(stopped)}")


def recreate(
    context: typer.Context,
    agent: MaybeAgent = None,
    *,
    every: Every = False,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """End an agent's boxes, or everybody's, and make them anew: status 0 if each holds, 1 if not."""
    run, named = settle(context, home, as_json), _chosen(agent, every=every)
    with run.connect() as gateway:
        stopped = gateway.request("sandbox_stop", agent=named)
        made = [gateway.request("sandbox_probe", agent=name) for name in stopped]
    if run.sink.as_json:
        run.sink.json(made)
    else:
        for probed in made:
            short = next((check["detail"] for check in probed["checks"] if not check["ok"]), "as it must be")
            run.sink.line(f"{probed['agent']} ({probed['backend']}): {short}")
    return 0 if all(probed["ok"] for probed in made) else 1


def build(
    context: typer.Context,
    *,
    image: Annotated[str, typer.Option(metavar="NAME", help="Which image; other names are fetched.")] = DEFAULT_IMAGE,
    mirror: Annotated[str, typer.Option(metavar="URL", help="Where Debian's packages are.")] = DEBIAN,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the image containers start from, out of Debian's packages, or fetch the one named; its id is recorded."""
    from bascule.app.images import make  # noqa: PLC0415 (brings the engine's client, for this verb only)

    run = settle(context, home, as_json)
    made = make(run.home, image, mirror)
    if run.sink.as_json:
        run.sink.json({"image": image, "id": made.id, "source": made.source, "packages": len(made.packages)})
    else:
        run.sink.line(f"{image} is {made.id} ({made.source}, {len(made.packages)} packages)")


def _chosen(agent: str | None, *, every: bool) -> str | None:
    if (agent is None) is not every:
        raise Malformed("usage", "name one agent, or say --all", "see: bascule sandbox stop --help")
    return agent


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="The boxes agents' programs run in.")
    group.command(epilog=example("bascule sandbox explain bruba-main"))(explain)
    group.command(epilog=example("bascule sandbox probe bruba-main"))(probe)
    group.command("list", epilog=example("bascule sandbox list"))(list_)
    group.command(epilog=example("bascule sandbox stop bruba-web", "bascule sandbox stop --all"))(stop)
    group.command(epilog=example("bascule sandbox recreate bruba-web", "bascule sandbox recreate --all"))(recreate)
    group.command(epilog=example("bascule sandbox build"))(build)
    app.add_typer(group, name="sandbox")
