"""``bascule tokens``: who may come in over HTTP, for what, and for how long."""

from __future__ import annotations

from typing import Annotated

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Column

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("STATE", "state"),
    Column("SCOPES", "scopes"),
    Column("AGENTS", "agents"),
    Column("FOR", "person"),
    Column("UNTIL", "expires"),
    Column("LAST USED", "last_used"),
)


def create(  # noqa: PLR0913 (one parameter an option)
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, such as the device it is for.")],
    *,
    scope: Annotated[
        list[str],
        typer.Option("--scope", metavar="SCOPES", help="What it may: of read, approve, chat, admin; by commas."),
    ],
    agent: Annotated[
        list[str],
        typer.Option("--agent", metavar="AGENTS", help="Which agents it sees and speaks to; by commas; '*' is all."),
    ],
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, help="How long it is good for.")] = 30,
    session: Annotated[
        str | None, typer.Option("--session", metavar="S", help="Where it chats; else in a session of its own.")
    ] = None,
    trusted: Annotated[bool, typer.Option("--trusted", help="What comes with it counts as your own words.")] = False,
    person: Annotated[
        str | None, typer.Option("--for", metavar="PERSON", help="The operator of the policy it speaks for.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. Its secret is printed once, alone, and kept nowhere."""
    run = settle(context, home, as_json)
    wanted = {"name": name, "scopes": ",".join(scope), "agents": ",".join(agent)}
    with run.connect() as gateway:
        found = gateway.request("tokens_create", **wanted, session=session, trusted=trusted, days=days, person=person)
    if run.sink.as_json:
        run.sink.json(found)
        return
    run.sink.line(found["token"])
    agents = "every agent" if found["agents"] == ["*"] else ", ".join(found["agents"])
    run.sink.note(f"token {found['name']} ({found['id']}) may {', '.join(found['scopes'])}, for {agents}")
    run.sink.note(f"until {found['expires']}; keep it now, it is not shown again")
    run.sink.note(f"to end it: bascule tokens revoke {found['id']}")


def list_(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """List the tokens, oldest first, without their secrets."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        run.sink.table(COLUMNS, gateway.request("tokens_list"), "there are no tokens")


def revoke(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id or name.")],
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """End a token, and every browser that it signed in."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("tokens_revoke", token=token)
    if run.sink.as_json:
        run.sink.json(found)
    else:
        run.sink.line(f"{found['state']}: {found['id']} ({found['name']})")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="Tokens for the dashboard and the HTTP interface.")
    group.command(epilog=example("bascule tokens create phone --scope read,approve --agent '*' --days 90"))(create)
    group.command("list", epilog=example("bascule tokens list"))(list_)
    group.command(epilog=example("bascule tokens revoke phone"))(revoke)
    app.add_typer(group, name="tokens")
