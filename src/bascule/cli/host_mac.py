"""``bascule host seatbelt`` and what ``host check`` says on macOS. Untested there, and says so itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bascule.cli.options import AsJson, Home, Run, example, settle
from bascule.core.errors import Malformed

if TYPE_CHECKING:
    from bascule.core.finding import Finding
    from bascule.core.policy import AgentPolicy
    from bascule.sandboxes.seatbelt.profile import Wanted


def seatbelt(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Which agent.")],
    *,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a macOS sandbox profile for an agent's programs. Untested, and nothing here uses it."""
    from bascule.core.ids import parse_agent_id  # noqa: PLC0415 (for this verb only)
    from bascule.host.policy_files import load  # noqa: PLC0415 (as above)
    from bascule.sandboxes.seatbelt.profile import UNTESTED, profile  # noqa: PLC0415 (as above)

    run = settle(context, home, as_json)
    rules = load(run.home).policy.agents.get(parse_agent_id(agent))
    if rules is None:
        raise Malformed("agent_unknown", f"there is no agent {agent}", "see: bascule agents list")
    wanted, left_out = _wanted(rules)
    text = profile(wanted)
    if run.sink.as_json:
        run.sink.json({"agent": rules.id, "text": text, "left_out": left_out, "untested": True})
        return
    run.sink.note(f"bascule: {UNTESTED}")
    for pattern in left_out:
        run.sink.note(f"bascule: left out, for it is a pattern and no file: {pattern}")
    for line in text.splitlines():
        run.sink.line(line)


def _wanted(rules: AgentPolicy) -> tuple[Wanted, list[str]]:
    from bascule.core.paths import OWN_DIRECTORIES  # noqa: PLC0415 (for this verb only)
    from bascule.sandboxes.seatbelt import profile as seatbelt_profile  # noqa: PLC0415 (as above)

    root = rules.layout.agent_root
    patterns = [(entry.pattern, *entry.needs) for entry in rules.exec.entries]
    named = list(dict.fromkeys(path for each in patterns for path in each))
    files = tuple(path for path in named if not set(path) & set("*?["))
    own = tuple(f"{root}/{name}" for name in OWN_DIRECTORIES)
    return seatbelt_profile.Wanted(str(rules.id), (root,), own, files), [path for path in named if path not in files]


def check(run: Run) -> tuple[Finding, ...]:
    """Return what macOS granted, after saying that nobody has tried this."""
    from bascule.checkup.mac import look  # noqa: PLC0415 (for macOS only)
    from bascule.checkup.tcc import UNTESTED  # noqa: PLC0415 (as above)

    run.sink.note(f"bascule: {UNTESTED}")
    return look(Path.home())


def add(group: typer.Typer) -> None:
    """Add the verb to its group."""
    group.command(epilog=example("bascule host seatbelt bruba-main > bruba-main.sb"))(seatbelt)
