"""``python -m bench [GROUP …] [--quick]``: measure, print a table, write ``build/bench.json``.

Status 0 if every row asked for was measured, whatever the numbers; 1 if this machine could not measure some, each named
with the reason; 2 for a group that does not exist.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from bascule.core.errors import BasculeError
from bench import boxes, containers, judging, keeping, machine, parsing, starting, table, ways
from bench.measure import CannotRun, Effort, Row

Group = Callable[[Effort], Iterator[Row]]

GROUPS: dict[str, tuple[Group, Callable[[], AbstractContextManager[None]]]] = {
    "judge": (judging.rows, machine.one_core),
    "parse": (parsing.rows, machine.one_core),
    "ledger": (keeping.ledger_rows, machine.one_core),
    "approval": (keeping.approval_rows, nullcontext),
    "gate": (boxes.rows, nullcontext),
    "docker": (containers.rows, nullcontext),
    "proxy": (ways.rows, nullcontext),
    "help": (starting.rows, nullcontext),
}
"""Every group, and whether it stays on one core: what runs in several processes or threads must not."""


def main(words: Sequence[str]) -> int:
    """Measure the groups asked for, all of them if none is; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure; see docs/benchmarks.md.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"one of {', '.join(GROUPS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="a tenth of the measurements")
    asked = parser.parse_args(words)
    unknown = [name for name in asked.groups if name not in GROUPS]
    if unknown:
        parser.error(f"there is no group {unknown[0]!r}; there are {', '.join(GROUPS)}")
    say(machine.describe())
    say(table.head())
    measured: list[Row] = []
    problems: list[str] = []
    for name in asked.groups or GROUPS:
        problem = measure(name, Effort(asked.quick), measured)
        problems += [problem] if problem else []
    say(machine.describe())
    keeping.BUILD.mkdir(exist_ok=True)
    (keeping.BUILD / "bench.json").write_text(table.as_json(measured), "utf-8")
    for problem in problems:
        sys.stderr.write(f"bench: {problem}\n")
    return 1 if problems else 0


def measure(name: str, effort: Effort, measured: list[Row]) -> str:
    """Measure one group, showing rows as they come; return why it could not be measured, empty if it could."""
    group, place = GROUPS[name]
    try:
        with place():
            for row in group(effort):
                measured.append(row)
                for line in table.lines(row):
                    say(line)
    except (CannotRun, BasculeError) as error:
        return f"{name}: not measured: {error}"
    return ""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
