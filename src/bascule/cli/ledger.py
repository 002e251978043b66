"""``bascule ledger``: what was decided and done, and whether the record of it still holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.cli.sink import Column
from bascule.core.errors import Unavailable

if TYPE_CHECKING:
    from bascule.ledger.verify import Report

DATABASE_FILE: Final = "bascule.db"
"""The one database of a home, in its ``state/``."""

COLUMNS = (
    Column("SEQ", "seq"),
    Column("AT", "at"),
    Column("KIND", "kind"),
    Column("AGENT", "agent"),
    Column("WHAT", "summary"),
)


def tail(
    context: typer.Context,
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000, help="How many records.")] = 20,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only this agent's.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the last records, oldest first."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        run.sink.table(COLUMNS, gateway.request("ledger_tail", count=count, agent=agent), "the ledger is empty")


def show(
    context: typer.Context,
    seq: Annotated[int, typer.Argument(metavar="SEQ", min=1, help="Its sequence number.")],
    *,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="List what led to it and what it led to, in order.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show one record, whole; or with --lineage what it came from and what came of it."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        if lineage:
            run.sink.table(COLUMNS, gateway.request("ledger_lineage", seq=seq), "nothing is known of it")
            return
        found = gateway.request("ledger_show", seq=seq)
    if run.sink.as_json:
        run.sink.json(found)
        return
    run.sink.pairs((name, found[name]) for name in ("seq", "at", "kind", "agent", "hash", "summary"))
    run.sink.pairs(found["body"].items())


def verify(  # noqa: PLR0913 (one parameter an option)
    context: typer.Context,
    *,
    file: Annotated[str | None, typer.Option(metavar="FILE", help="The database; else the home's own.")] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="The public key; else the home's own.")] = None,
    heads: Annotated[list[str] | None, typer.Option(metavar="FILE", help="A copy of signed heads; repeatable.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Verify the ledger, without a gateway: status 0 if it holds, 1 if not.

    Give a copy of the signed heads from another machine and a key you kept, and even root of this machine cannot have
    cut or rewritten what they cover without its showing.
    """
    from bascule.ledger.anchor import HEADS_FILE  # noqa: PLC0415 (apsw and cryptography are loaded for this verb only)
    from bascule.ledger.keys import PUBLIC_FILE, read_public  # noqa: PLC0415 (as above)
    from bascule.ledger.verify import verify as verify_file  # noqa: PLC0415 (as above)

    run = settle(context, home, as_json)
    state = run.home / "state"
    database = Path(file) if file is not None else state / DATABASE_FILE
    public = read_public(_read(Path(key) if key is not None else state / PUBLIC_FILE))
    copies = [Path(name) for name in heads] if heads is not None else [state / HEADS_FILE]
    lines = [line for copy in copies for line in _read(copy).splitlines()]
    report = verify_file(database, public, lines)
    if run.sink.as_json:
        run.sink.json(_body(report))
    else:
        run.sink.line(f"{report.records} records, {report.heads} signed heads, signed up to record {report.anchored}")
        for problem in report.problems:
            run.sink.line(f"record {problem.seq}: {problem.detail} [{problem.code}]")
    return 0 if report.ok else 1


def _body(report: Report) -> dict[str, object]:
    problems = [{"code": found.code, "seq": found.seq, "detail": found.detail} for found in report.problems]
    return {
        "ok": report.ok,
        "records": report.records,
        "seq": report.seq,
        "hash": report.hash,
        "heads": report.heads,
        "anchored": report.anchored,
        "problems": problems,
    }


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError as error:
        raise Unavailable("ledger_unreadable", f"{path} cannot be read: {error.strerror}") from None


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="The record of every decision and effect.")
    group.command(epilog=example("bascule ledger tail -n 50 --agent bruba-main"))(tail)
    group.command(epilog=example("bascule ledger show 17", "bascule ledger show 17 --lineage"))(show)
    group.command(epilog=example("bascule ledger verify --heads copy/heads.jsonl --key copy/ledger.pub"))(verify)
    app.add_typer(group, name="ledger")
