"""``bascule config``: look into the policy, check it, and see what an edit newly allows. Both files are only read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bascule.cli import launch
from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.cli.sink import Column
from bascule.cli.verify import verify
from bascule.core.errors import Malformed, Unavailable
from bascule.host.site import site_of

if TYPE_CHECKING:
    from bascule.core.finding import Finding
    from bascule.core.policy import Policy
    from bascule.policy.diff import Change
    from bascule.policy.examples import Surprise
    from bascule.policy.json5 import Value

FINDINGS: Final = (
    Column("SEVERITY", "severity"),
    Column("CHECK", "id"),
    Column("WHAT", "detail"),
    Column("REMEDY", "remedy"),
)

CHANGES: Final = (
    Column("DIRECTION", "direction"),
    Column("AGENT", "agent"),
    Column("WHAT", "subject"),
    Column("BEFORE", "before"),
    Column("AFTER", "after"),
)

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[([0-9]{1,6})\]")


def get(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Such as agents.list[0].tools.deny")],
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print one value of bascule.json5, as it is written there."""
    from bascule.policy.json5 import read  # noqa: PLC0415 (for this group only)
    from bascule.policy.places import CONFIG_NAME  # noqa: PLC0415 (as above)

    run = settle(context, home, as_json)
    value = look_up(read(_config_text(run.home), CONFIG_NAME).value, path)
    if isinstance(value, str) and not run.sink.as_json:
        run.sink.line(value)
    else:
        run.sink.json(value)


def look_up(value: Value, path: str) -> Value:
    """Return the value at a dotted path; list items by ``[index]`` or ``.index``, agents also by their id.

    Raises:
        Malformed: ``config_path``: there is nothing at the path, or it is no path.
    """
    place, seen = 0, ""
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise Malformed("config_path", f"{path[:200]!r} is no path", "write it like agents.list[0].tools.deny")
        place, seen = step.end(), path[: step.end()]
        value = _step(value, step[1] if step[1] is not None else step[2], seen)
    return value


def _step(value: Value, name: str, seen: str) -> Value:
    if isinstance(value, dict) and name in value:
        return value[name]
    if isinstance(value, tuple):
        if name.isascii() and name.isdecimal() and int(name) < len(value):
            return value[int(name)]
        for item in value:
            if isinstance(item, dict) and item.get("id") == name:
                return item
    raise Malformed("config_path", f"there is nothing at {seen[:200]}", "see: bascule config check")


def _config_text(home: Path) -> bytes:
    return _text_in(site_of(home).config)


def _text_in(directory: Path, remedy: str = "run: bascule init") -> bytes:
    from bascule.host.policy_file import read_policy_file  # noqa: PLC0415 (for this group only)
    from bascule.policy.places import CONFIG_NAME  # noqa: PLC0415 (as above)

    config = read_policy_file(directory / CONFIG_NAME)
    if config is None:
        raise Unavailable("policy_missing", f"there is no {directory / CONFIG_NAME}", remedy)
    return config


def check(context: typer.Context, *, home: Home = None, as_json: AsJson = False) -> int:
    """Check both policy files.

    Exit status: 0 they can be used, 1 something in them is critical or an example fails, 2 they are broken.
    """
    from bascule.app import rehearsal  # noqa: PLC0415 (for this group only)
    from bascule.core.finding import Severity  # noqa: PLC0415 (for this group only)
    from bascule.host.policy_files import load  # noqa: PLC0415 (as above)
    from bascule.host.sources import lent_sources  # noqa: PLC0415 (as above)

    run = settle(context, home, as_json)
    loaded = load(run.home)
    findings = (*loaded.findings, *lent_sources(loaded.policy))
    surprised = [_surprise(found) for found in rehearsal.surprises(loaded)]
    good = not surprised and all(finding.severity < Severity.CRITICAL for finding in findings)
    rows = [*surprised, *(_finding(found) for found in findings)]
    if run.sink.as_json:
        run.sink.json({"ok": good, "version": loaded.policy.version, "findings": rows})
    else:
        run.sink.table(FINDINGS, rows, "nothing to report")
        run.sink.line(f"{'ok' if good else 'not fit for use'}: policy {loaded.policy.version[:16]}")
    return 0 if good else 1


def _surprise(found: Surprise) -> dict[str, str]:
    remedy = "mend the policy, or the example"
    return {"id": "policy.example", "severity": "critical", "detail": str(found), "remedy": remedy}


def _finding(found: Finding) -> dict[str, str]:
    severity = str(found.severity)
    return {"id": found.check, "severity": severity, "detail": found.detail, "remedy": found.remedy}


def diff(
    context: typer.Context,
    other: Annotated[
        str | None, typer.Argument(metavar="DIR", help="A directory with older files; else what the gateway runs with.")
    ] = None,
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what the files now allow or deny that they did not before."""
    from bascule.host.policy_files import load  # noqa: PLC0415 (for this group only)
    from bascule.policy.diff import diff_policies  # noqa: PLC0415 (as above)

    run = settle(context, home, as_json)
    new = load(run.home).policy
    old = _from_directory(Path(other), run.home) if other is not None else _in_force(run)
    if old is None:
        run.sink.note("no gateway runs, so the next verb takes the files as they are")
    changes = () if old is None else diff_policies(old, new)
    run.sink.table(CHANGES, list(_rows(changes)), "no difference that matters")


def _from_directory(other: Path, home: Path) -> Policy:
    """Return what the files in another directory would mean in this home."""
    from bascule.host.callprofiles import with_profiles  # noqa: PLC0415 (for this group only)
    from bascule.host.policy_file import read_policy_file  # noqa: PLC0415 (as above)
    from bascule.host.policy_files import places  # noqa: PLC0415 (as above)
    from bascule.policy.compile import compile_policy  # noqa: PLC0415 (as above)
    from bascule.policy.places import APPROVALS_NAME  # noqa: PLC0415 (as above)

    policy = compile_policy(
        _text_in(other, "name a directory that holds one"), read_policy_file(other / APPROVALS_NAME), places(home)
    )[0]
    own = os.path.realpath(site_of(home).config)
    return with_profiles(policy, lambda path: _digest_beside(path, own, os.path.realpath(other)))


def _digest_beside(path: str, own: str, other: str) -> str:
    """Return the digest of a profile that lies beside the older files; empty for one that is no longer there."""
    from bascule.core.paths import is_within  # noqa: PLC0415 (for this group only)
    from bascule.host.callprofiles import profile_digest  # noqa: PLC0415 (as above)

    there = other + path[len(own) :] if is_within(path, own) else path
    return profile_digest(there) if os.path.lexists(there) else ""


def _in_force(run: Run) -> Policy | None:
    """Return the policy the running gateway was started with, compiled again; None if none runs."""
    from bascule.host.callprofiles import with_digests  # noqa: PLC0415 (for this group only)
    from bascule.host.policy_files import places  # noqa: PLC0415 (as above)
    from bascule.policy.compile import compile_policy  # noqa: PLC0415 (as above)

    client = launch.running(run.home)
    if client is None:
        return None
    with client:
        found: dict[str, Any] = client.request("policy_files")
    config = found["config"].encode("utf-8", "surrogateescape")
    approvals = None if found["approvals"] is None else found["approvals"].encode("utf-8", "surrogateescape")
    return with_digests(compile_policy(config, approvals, places(run.home))[0], found["profiles"])


def _rows(changes: Iterable[Change]) -> Iterable[dict[str, str]]:
    for change in changes:
        yield {
            "id": f"{change.agent}: {change.subject}" if change.agent else change.subject,
            "direction": change.direction.value,
            "agent": change.agent,
            "subject": change.subject,
            "before": change.before,
            "after": change.after,
        }


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(rich_markup_mode=None, help="The policy files of this home.")
    group.command(epilog=example("bascule config get agents.list[0].tools.deny"))(get)
    group.command(epilog=example("bascule config check"))(check)
    group.command(epilog=example("bascule config diff"))(diff)
    group.command(epilog=example("bascule config verify"))(verify)
    app.add_typer(group, name="config")
