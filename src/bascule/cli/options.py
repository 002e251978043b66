"""What every verb shares: the options ``--home`` and ``--json``, and the run they describe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from bascule.cli import launch
from bascule.cli.sink import Sink
from bascule.control.client import Client
from bascule.core.errors import Malformed
from bascule.host import site

HOME_VARIABLE: Final = "BASCULE_HOME"

Home: TypeAlias = Annotated[
    str | None, typer.Option("--home", metavar="DIR", help="The home; else $BASCULE_HOME, else ~/.bascule.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one verb: on which home, and where its words go."""

    home: Path
    sink: Sink

    def connect(self) -> Client:
        """Return a client of the home's gateway; see :func:`bascule.cli.launch.connect`."""
        return launch.connect(self.home)


def settle(context: typer.Context, home: str | None, as_json: object) -> Run:
    """Return the run that the options before and after the verb describe; the ones after it win.

    Raises:
        Malformed: ``home_invalid``: empty, or a NUL in it.
    """
    before = context.find_root().params
    named = home if home is not None else before.get("home")
    if named is None:
        named = os.environ.get(HOME_VARIABLE)
    if named is None:
        named = _usual()
    if not named or "\0" in named:
        raise Malformed("home_invalid", "the home's name is empty or holds a NUL", "name a directory")
    return Run(Path(os.path.abspath(named)), Sink(as_json=bool(as_json) or bool(before.get("as_json"))))  # noqa: PTH100 (resolve() follows links; the operator's spelling is kept)


def _usual() -> str:
    """The person's own home, or the installed one if only that is there."""
    own = Path.home() / ".bascule"
    return site.HOME if not own.exists() and site.is_installed() else str(own)


def example(*lines: str) -> str:
    """Return a verb's closing help text, an example a line and never folded, so that it can be copied."""
    return "\b\nExample: " + "\n         ".join(lines)
