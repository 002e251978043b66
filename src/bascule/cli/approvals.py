"""``bascule approvals``: the questions that wait for the operator, and the answers.

Stops: a yes to what nobody named: several questions are answered by their ids and by the digests they were read with,
never by a pattern, and a yes that reaches further says what it covers. Does not stop an operator from naming a question
they have not read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final

import typer

from bascule.cli.chat import interrupts
from bascule.cli.grants import print_grant
from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import Column, is_terminal
from bascule.control.client import Client
from bascule.core.errors import Malformed

Ref = Annotated[str, typer.Argument(metavar="ID", help="The approval's id, or its code.")]
Refs = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids or codes; each question by its own.")]

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
"""What an id or a code can look like; a pattern cannot."""

COLUMNS = (
    Column("ID", "id"),
    Column("CODE", "code"),
    Column("STATE", "state"),
    Column("AGENT", "agent"),
    Column("TOOL", "tool"),
    Column("EXPIRES", "expires"),
    Column("WHAT", "summary"),
)

AGREED: Final = {"approve": frozenset({"approved", "consumed"}), "deny": frozenset({"denied"})}
"""The states in which a question has the answer that was given."""


def list_(
    context: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Settled ones too, the last 10 000.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the open questions, oldest first."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        run.sink.table(COLUMNS, gateway.request("approvals_list", everything=everything), "no question is open")


def show(context: typer.Context, ref: Ref, *, home: Home = None, as_json: AsJson = False) -> None:
    """Show one question: the whole card, nothing cut, and which wider yes it proposes."""
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        found = gateway.request("approvals_show", ref=ref)
    if run.sink.as_json:
        run.sink.json(found)
        return
    _print_card(run, found["card"])
    run.sink.line()
    names = ("id", "code", "state", "agent", "session", "created", "expires", "answered_by", "digest", "seq")
    run.sink.pairs((name.replace("_", " "), found[name]) for name in names)
    if found["state"] == "pending":
        run.sink.line()
        for line in _wider_lines(found):
            run.sink.line(line)


def _print_card(run: Run, card: Sequence[str]) -> None:
    """Print a card's lines as they are, or on a terminal behind a bar, so that none of them passes for one of ours."""
    from bascule.channels.terminal.dialog import say  # noqa: PLC0415 (only who looks pays for it)
    from bascule.channels.terminal.question import THEIRS  # noqa: PLC0415 (as above)

    for line in card:
        if run.sink.interactive:
            say(run.sink, THEIRS, line)
        else:
            run.sink.line(line)


def _wider_lines(found: Mapping[str, Any]) -> list[str]:
    if found["ungrantable"]:
        return [f"a yes is for this call only: {found['ungrantable']}"]
    if not found["proposal"]:
        return ["a yes may last; nothing similar was asked lately: --minutes N, --uses N, --session"]
    return ["a yes may reach further; --similar would cover:", *(f"  {line}" for line in found["proposal"])]


def approve(  # noqa: PLR0913 (one parameter an option)
    context: typer.Context,
    refs: Refs,
    *,
    similar: Annotated[bool, typer.Option("--similar", help="Cover what its card proposes.")] = False,
    args: Annotated[
        str | None,
        typer.Option("--args", metavar="PATTERN", help="Cover these arguments; * is any word, --name=* any value."),
    ] = None,
    under: Annotated[str | None, typer.Option("--under", metavar="DIR", help="Cover paths in this directory.")] = None,
    this_session: Annotated[bool, typer.Option("--session", help="In the question's own session only.")] = False,
    minutes: Annotated[int | None, typer.Option("--minutes", metavar="N", min=1, help="For so long.")] = None,
    uses: Annotated[int | None, typer.Option("--uses", metavar="N", min=1, help="For so many calls.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Say yes: to one question, to several by name, or to one and more calls like it.

    Without options the yes is for that very call, once. With any it is a grant, for one question: it lasts, is listed
    by "bascule grants list", and can be revoked. Status 1 if somebody answered otherwise before.
    """
    run = settle(context, home, as_json)
    _check(refs)
    wider = similar or this_session or any(value is not None for value in (args, under, minutes, uses))
    if not wider:
        return _answer(run, "approve", refs)
    if len(refs) > 1:
        raise Malformed("usage", "a wider yes is for one question", "give each its own")
    pattern = args is not None or under is not None
    if pattern and similar:
        raise Malformed("usage", "--similar is what the card proposes; --args and --under say otherwise", "give one")
    extent = "similar" if similar else "pattern" if pattern else "exact"
    terms = {"this_session": this_session, "minutes": minutes, "uses": uses, "args": args, "under": under}
    with run.connect() as gateway:
        print_grant(run, gateway.request("approvals_grant", ref=refs[0], extent=extent, **terms))
    return 0


def deny(context: typer.Context, refs: Refs, *, home: Home = None, as_json: AsJson = False) -> int:
    """Say no to one question, or to several by name. Status 1 if somebody answered otherwise before."""
    run = settle(context, home, as_json)
    _check(refs)
    return _answer(run, "deny", refs)


def _check(refs: Sequence[str]) -> None:
    for ref in refs:
        if ref == "all" or not NAME.fullmatch(ref):
            raise Malformed(
                "approval_items", f"{ref!r} names no single question", "name each by its id: bascule approvals list"
            )


def _answer(run: Run, answer: str, refs: Sequence[str]) -> int:
    with run.connect() as gateway:
        if len(refs) == 1:
            _print_answers(run, gateway.request(f"approvals_{answer}", ref=refs[0]), frozenset())
            return 0
        # Read, then answered by the digest just read: the same id can never come to mean another call.
        shown = {found["id"]: found for found in (gateway.request("approvals_show", ref=ref) for ref in refs)}
        items = ",".join(f"{name}={found['digest']}" for name, found in shown.items())
        settled = gateway.request("approvals_decide", answer=answer, items=items)
    before = {name for name, found in shown.items() if found["state"] != "pending"}
    differs = {found["id"] for found in settled if found["state"] not in AGREED[answer]}
    _print_answers(run, settled, before | differs)
    return 1 if differs else 0


def _print_answers(run: Run, found: Any, before: AbstractSet[str]) -> None:
    """Print one answer, or several with what each is about; ``before`` names those that somebody settled earlier."""
    if run.sink.as_json:
        run.sink.json(found)
        return
    several = isinstance(found, list)
    for row in found if several else [found]:
        what = f": {row['summary']}" if several else ""
        by = f" by {row['answered_by']}" if row["answered_by"] else ""
        state = f"already {row['state']}{by}" if row["id"] in before else row["state"]
        run.sink.line(f"{state}: {row['id']} ({row['agent']} {row['tool']}){what}")


def watch(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> None:
    """Watch questions as they come and are answered; on a terminal, answer them. Ctrl-C or q leaves.

    Without a running gateway nothing new can come: it shows what is open, and ends. With --json one event a line:
    {"event": "approval", "approval": {...}} or {"event": "answered", "id", "state", "answered_by"}.
    """
    run = settle(context, home, as_json)
    with run.connect() as gateway:
        if gateway.hello["ephemeral"]:
            run.sink.note("no gateway runs, so nothing new can be asked: this shows what is open, and ends")
            run.sink.note("to watch for more: bascule gateway start")
        if run.sink.as_json:
            for event in _events(gateway):
                run.sink.json(event)
        else:
            _watch(run, gateway)


def _events(gateway: Client) -> Iterable[Mapping[str, Any]]:
    """Return what happens, without end; or, of a gateway that lives for this verb only, what is open."""
    if not gateway.hello["ephemeral"]:
        return gateway.stream("approvals_watch", None)
    rows = gateway.request("approvals_list", everything=False)
    shown = (gateway.request("approvals_show", ref=row["id"]) for row in rows)
    return ({"event": "approval", "approval": found} for found in shown)


def _watch(run: Run, gateway: Client) -> None:
    from bascule.channels.terminal.keyboard import Keyboard  # noqa: PLC0415 (only who watches pays for it)
    from bascule.channels.terminal.watch import Watch, follow  # noqa: PLC0415 (as above)

    if not (run.sink.interactive and is_terminal(sys.stdin)):
        follow(run.sink, _events(gateway))
        return
    with interrupts() as interrupt:
        looking = Watch(run.sink, Keyboard(sys.stdin.fileno()), gateway, interrupt)
        left = looking.answer_open() if gateway.hello["ephemeral"] else looking.run()
    if not left:
        raise KeyboardInterrupt


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="Questions that wait for you.")
    group.command("list", epilog=example("bascule approvals list --json"))(list_)
    group.command(epilog=example("bascule approvals show apr_0123456789abcdef"))(show)
    group.command(
        epilog=example(
            "bascule approvals approve apr_0123456789abcdef",
            "bascule approvals approve apr_0123456789abcdef --similar --minutes 60",
        )
    )(approve)
    group.command(epilog=example("bascule approvals deny apr_0123456789abcdef"))(deny)
    group.command(epilog=example("bascule approvals watch"))(watch)
    app.add_typer(group, name="approvals")
