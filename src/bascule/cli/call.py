"""``bascule call``: one tool call, or a file of them, as if the model had asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from bascule.cli import batch
from bascule.cli.exits import Exit, of_batch, of_report
from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import Sink
from bascule.control.client import Client
from bascule.control.protocol import error_body
from bascule.core.errors import BasculeError, Malformed
from bascule.core.visible import one_line

EXAMPLE = example("""bascule call bruba-main read '{"path": "MEMORY.md"}'""")

_MISSING = " not in force: "
"""What stands, in a verdict's reason, between the part that is missing and why it is."""

LOST = frozenset({"gateway_gone", "gateway_slow", "answer_invalid"})
"""Errors after which the connection is of no further use."""


def call(  # noqa: PLR0913 (one parameter an option)
    context: typer.Context,
    agent: Annotated[str | None, typer.Argument(metavar="AGENT", help="Whose call.")] = None,
    tool: Annotated[str | None, typer.Argument(metavar="TOOL", help="Which tool.")] = None,
    args_json: Annotated[str | None, typer.Argument(metavar="ARGS_JSON", help="Its arguments, a JSON object.")] = None,
    *,
    session: Annotated[str | None, typer.Option(metavar="S", help="Session; else agent:<id>:cli.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge only: no record, no question, no effect.")] = False,
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, max=86400, help="Wait for an answer.")] = 0.0,
    batch_file: Annotated[
        str | None,
        typer.Option("--batch", metavar="FILE", help="JSON lines of agent, tool, args, session; - for stdin."),
    ] = None,
    as_operator: Annotated[bool, typer.Option("--as-operator", help="The text is your own: trusted.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Make one tool call, as if the model had asked.

    Exit status: 0 succeeded, 1 failed, 2 usage or configuration, 3 waits for approval, 4 denied.
    """
    run = settle(context, home, as_json)
    how = {"dry_run": dry_run, "wait": wait, "as_operator": as_operator}
    words = [word for word in (agent, tool, args_json) if word is not None]
    try:
        if batch_file is None:
            return _run_one(run, words, session, how)
        if words:
            raise Malformed("usage", "--batch takes the calls from the file, not from the command line")
        return _run_batch(run, batch_file, session, how)
    except BasculeError as error:
        # Whatever kept a call from being judged, status 1 would claim that it ran.
        run.sink.error(error)
        return Exit.USAGE


def _run_one(run: Run, words: list[str], session: str | None, how: Mapping[str, Any]) -> int:
    if len(words) < 2:
        raise Malformed("usage", "call needs AGENT and TOOL, or --batch FILE", "see: bascule call --help")
    args_text = words[2] if len(words) > 2 else "{}"
    batch.read_object(args_text, "ARGS_JSON")
    with run.connect() as gateway:
        report = gateway.request("call", agent=words[0], tool=words[1], args_text=args_text, session=session, **how)
    show(run.sink, report)
    return of_report(report)


def _run_batch(run: Run, name: str, session: str | None, how: Mapping[str, Any]) -> int:
    with _opened(name) as lines, run.connect() as gateway:
        # A generator: each call is made, and shown, before the next line is read.
        return of_batch(_run_line(run.sink, gateway, line, session, how) for line in lines if line.strip())


def _run_line(sink: Sink, gateway: Client, line: str, session: str | None, how: Mapping[str, Any]) -> Exit:
    try:
        wanted = batch.parse_line(line)
        named = wanted.session if wanted.session is not None else session
        report = gateway.request(
            "call", agent=wanted.agent, tool=wanted.tool, args_text=wanted.args_text, session=named, **how
        )
    except BasculeError as error:
        if error.code in LOST:
            raise
        if sink.as_json:
            sink.json({"error": error_body(error)})
        else:
            sink.error(error)
        return Exit.USAGE
    show(sink, report)
    return of_report(report)


@contextmanager
def _opened(name: str) -> Iterator[IO[str]]:
    if name == "-":
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]  # stdin is a TextIOWrapper
        yield sys.stdin
        return
    try:
        with Path(name).open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            yield lines
    except OSError as error:
        raise Malformed("batch_file", f"{name} cannot be read: {error.strerror}") from None


def show(sink: Sink, report: Mapping[str, Any]) -> None:
    """Print one report: the object, or for people the content and, beside it, what was decided and why."""
    if sink.as_json:
        sink.json(report)
        return
    outcome = report["outcome"]
    if outcome is not None and outcome["encoding"] == "utf-8":
        text = outcome["content"]
        sink.piece(text if not text or text.endswith("\n") else text + "\n")
    for line in verdict_lines(report):
        sink.note(line)


def verdict_lines(report: Mapping[str, Any]) -> list[str]:
    """Return what a person should know of a call besides its content, a line each."""
    decision, approval, outcome = report["decision"], report["approval"], report["outcome"]
    seq = report["ledger"]["seq"]
    head = f"{decision['effect']} {report['call']['tool']} for {report['call']['agent']}"
    lines = [one_line(head + (f" (record {seq})" if seq is not None else " (dry run, nothing done)"))]
    lines += [one_line(f"  {line}") for line in _reasons(decision["verdicts"])]
    if approval is not None:
        lines.append(one_line(f"  {approval['state']}: {approval['id']}, code {approval['code']}"))
        if approval["state"] == "pending":
            lines.append(one_line(f"  until {approval['expires']}: bascule approvals approve {approval['id']}"))
    if outcome is not None:
        lines += _outcome_lines(outcome)
    return lines


def _reasons(verdicts: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """What the judges had to say, a line each; those that miss the same thing say it together."""
    missing: dict[str, list[Mapping[str, str]]] = {}
    for verdict in verdicts:
        cause = verdict["reason"].partition(_MISSING)[2] if verdict["code"] == "not_in_force" else ""
        missing.setdefault(cause or str(id(verdict)), []).append(verdict)
    for cause, alike in missing.items():
        verdict = alike[0]
        if verdict["effect"] == "allow":
            if verdict["reason"].startswith("granted by"):
                yield verdict["reason"]
            continue
        judges = ", ".join(one["judge"] for one in alike)
        reason = verdict["reason"] if len(alike) == 1 else f"not in force: {cause}"
        remedy = f" ({verdict['remedy']})" if verdict["remedy"] else ""
        yield f"{judges}: {reason}{remedy} [{verdict['code']}]"


def _outcome_lines(outcome: Mapping[str, Any]) -> list[str]:
    lines = []
    if outcome["encoding"] != "utf-8":
        lines.append("  the content is not text; --json has it in base64")
    if not outcome["ok"]:
        lines.append("  failed" + (f" with exit status {outcome['exit']}" if outcome["exit"] is not None else ""))
    if outcome["truncated"]:
        lines.append("  the content was cut at the output limit")
    return lines


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=EXAMPLE)(call)
