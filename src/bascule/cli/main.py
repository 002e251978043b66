"""The program ``bascule``: builds the verbs, runs one, and turns whatever happened into one line and a status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer import TyperException

from bascule.cli import (
    agents,
    approvals,
    call,
    chat,
    config,
    contain,
    dashboard,
    gateway,
    grants,
    host,
    init,
    ledger,
    pairing,
    sandbox,
    send,
    sessions,
    status,
    tokens,
)
from bascule.cli.options import AsJson, Home
from bascule.cli.sink import Sink
from bascule.core.errors import BasculeError, Malformed, Unavailable

VERBS = (
    init,
    status,
    gateway,
    dashboard,
    chat,
    send,
    call,
    approvals,
    grants,
    tokens,
    pairing,
    agents,
    sessions,
    config,
    ledger,
    sandbox,
    contain,
    host,
)
"""Every group of verbs, in the order of the help."""

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT."""


def program_version() -> str:
    """Return the installed version."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 (costs more than all of typer)

    try:
        return version("bascule")
    except PackageNotFoundError:
        return "unknown"


def build() -> typer.Typer:
    """Return the whole command line. Nothing a verb needs is imported before the verb runs."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(root)
    for verb in VERBS:
        verb.register(app)
    return app


def _say_version(asked: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if asked:
        Sink(as_json=False).line(f"bascule {program_version()}")
        raise typer.Exit


def root(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version and leave.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Run a team of AI agents as if their model were already compromised."""
    del show_version, home, as_json


def run(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit status."""
    sink = Sink(as_json="--json" in arguments[: arguments.index("--")] if "--" in arguments else "--json" in arguments)
    try:
        result = build()(list(arguments) or ["--help"], prog_name="bascule", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except BasculeError as error:
        sink.error(error)
        return 2 if isinstance(error, Malformed) else 1
    except TyperException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "bascule"
        sink.error(Malformed("usage", error.format_message(), f"see: {where} --help"))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 (a person gets one line whatever broke; its type says where to look)
        message = f"bascule failed inside with {type(error).__name__}: {error}"
        sink.error(Unavailable("internal_error", message, "please report it"))
        return 1


def main() -> None:
    """Be the program."""
    sys.exit(run(sys.argv[1:]))
