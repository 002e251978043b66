"""``bascule host check``: what this machine grants the accounts a home acts under, and how it could be narrower."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bascule.cli import host_mac, launch
from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import Column

if TYPE_CHECKING:
    from bascule.core.finding import Finding

FINDINGS: Final = (
    Column("SEVERITY", "severity"),
    Column("CHECK", "id"),
    Column("WHAT", "detail"),
    Column("REMEDY", "remedy"),
)


def check(
    context: typer.Context,
    *,
    accept: Annotated[
        bool, typer.Option("--accept", help="Remember the files that raise their caller; only changes are told then.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Do not look for such files.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Say what this machine grants the gateway's and the agents' accounts; as root it sees all of it.

    Exit status: 0 nothing is critical, 1 something is.
    """
    from bascule.core.finding import Severity  # noqa: PLC0415 (for this verb only)

    run = settle(context, home, as_json)
    found = host_mac.check(run) if sys.platform == "darwin" else _on_linux(run, accept=accept, quick=quick)
    good = all(finding.severity < Severity.CRITICAL for finding in found)
    rows = [
        {"id": each.check, "severity": str(each.severity), "detail": each.detail, "remedy": each.remedy}
        for each in found
    ]
    if run.sink.as_json:
        run.sink.json({"ok": good, "findings": rows})
    else:
        run.sink.table(FINDINGS, rows, "nothing to report")
    return 0 if good else 1


def _on_linux(run: Run, *, accept: bool, quick: bool) -> tuple[Finding, ...]:
    from bascule.checkup import accepted, system  # noqa: PLC0415 (for this verb only)
    from bascule.checkup.checks import examine  # noqa: PLC0415 (as above)
    from bascule.linux import nft  # noqa: PLC0415 (as above)

    place = Path(os.path.realpath(run.home))
    machine = system.picture(place, _gateway(run.home), raising=accept or not quick)
    machine = replace(machine, bridged=_bridged(place), has_nft=bool(nft.find()))
    if machine.raised is None:
        return examine(machine)
    if accept:
        run.sink.note(f"accepted; remembered in {accepted.store(place, machine.raised)}")
    return examine(replace(machine, accepted=accepted.load(place, machine.who)))


def _bridged(home: Path) -> tuple[str, ...]:
    """The agents whom policy gives a raw bridge; none where it does not compile, which ``config check`` tells."""
    from bascule.core.errors import BasculeError  # noqa: PLC0415 (for this verb only)
    from bascule.host.unsafe_agents import bridged, unsafe_agents  # noqa: PLC0415 (as above)

    try:
        return tuple(sorted(bridged(unsafe_agents(home))))
    except BasculeError:
        return ()


def _gateway(home: Path) -> int | None:
    """The pid of the running gateway, None if none runs."""
    client = launch.running(home)
    if client is None:
        return None
    with client:
        return int(client.hello["pid"])


def add(group: typer.Typer) -> None:
    """Add the verb to its group."""
    group.command(epilog=example("bascule host check", "bascule host check --accept"))(check)
    host_mac.add(group)
