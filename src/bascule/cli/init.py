"""``bascule init``: make a home to begin with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from bascule.cli.options import AsJson, Home, example, settle
from bascule.core.errors import NotPermitted, Unavailable

SHARED: Final = ("shared/packets", "shared/context", "shared/repo")
"""What agents are given in common."""

OWN: Final = ("workspace", "memory", "output", "tools")
"""What lies in an agent's directory from the beginning; the first start gives each its owner."""

PRIVATE: Final = ("state", "logs", "run")
"""What nobody but the gateway and the operator enters."""


def init(
    context: typer.Context,
    *,
    team: Annotated[str, typer.Option(metavar="NAME", help="Which team: bruba (five agents) or solo (one).")] = "solo",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a home: both policy files, prompts, and a directory for each agent. Nothing there is overwritten."""
    from bascule.host.policy_files import load  # noqa: PLC0415 (brings the policy compiler, for this verb only)
    from bascule.host.templates import team_template  # noqa: PLC0415 (as above)

    run = settle(context, home, as_json)
    files = team_template(team).files
    there = [name for name in files if os.path.lexists(run.home / name)]
    if there:
        raise NotPermitted("home_exists", f"{run.home} already has {there[0]}", "name another directory with --home")
    made: list[str] = []
    try:
        made.extend(_directories(run.home, ("", *SHARED), 0o755))
        _files(run.home, files, made)
        agents = sorted(load(run.home).policy.agents)
        made.extend(_directories(run.home, [f"agents/{agent}/{part}" for agent in agents for part in OWN], 0o755))
        made.extend(_directories(run.home, [f"prompts/{agent}" for agent in agents], 0o755))
        made.extend(_directories(run.home, PRIVATE, 0o700))
    except OSError as error:
        _unmake(run.home, made)
        detail = f"{run.home} cannot be made: {error.strerror}; nothing is left of it"
        raise Unavailable("init_failed", detail, "see to the disk, then run it again") from None
    if run.sink.as_json:
        run.sink.json({"home": str(run.home), "team": team, "agents": agents, "made": made})
        return
    run.sink.line(f"made {run.home} with {', '.join(agents)}")
    run.sink.line("next: read bascule.json5 there, name your model, then: bascule gateway start")


def _directories(home: Path, names: tuple[str, ...] | list[str], mode: int) -> Iterator[str]:
    """Make directories that are missing, parents too; yield the names of those made."""
    for name in names:
        path = home / name
        missing = [part for part in (path, *path.parents) if not part.exists()]
        for part in reversed(missing):
            part.mkdir(mode=mode)
            # The mode given to mkdir is cut by the umask, and agents' boxes must be able to enter.
            part.chmod(mode)
            if part.is_relative_to(home):
                yield str(part.relative_to(home))


def _files(home: Path, files: Mapping[str, str], made: list[str]) -> None:
    """Write files that must not exist yet; add everything made to ``made``, a file before its first byte."""
    for name, text in files.items():
        made.extend(_directories(home, (str(Path(name).parent),), 0o755))
        descriptor = os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        made.append(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # Not for everybody: even if a further link to it gets into an agent's directory, the agent cannot read it.
            os.fchmod(descriptor, 0o640)
            file.write(text)


def _unmake(home: Path, made: list[str]) -> None:
    """Remove what this run made, last first: half a home would stand in the way of the next try."""
    for name in reversed(made):
        path = home / name
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=example("bascule init --team bruba"))(init)
