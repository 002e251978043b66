"""What ``exec`` takes, and what its command touches.

Stops: a command whose words, redirects and operands were not all seen. Does not decide: layer 6 does, over the plan and
the paths found here; and what a program does with its operands is bounded by its box, not by this reading of them.
"""

from __future__ import annotations

from bascule.core.call import Intent
from bascule.core.errors import Malformed
from bascule.core.paths import Access, Layout, PathUse, locate
from bascule.core.plan import Command, Plan
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec
from bascule.shell.operands import path_operands

SPEC = ToolSpec(
    "exec",
    ActionClass.COMPUTE,
    "Run a command: programs with literal words joined by | && || ; with quotes, globs, 2>/dev/null, 2>&1 and "
    "redirects to files of yours. No shell runs: no variables, substitution, background jobs or built-ins. "
    "It starts in your own directory.",
    (
        Param("command", ParamKind.STRING, "the command line", max_length=16_384, aliases=("cmd",)),
        Param("timeout", ParamKind.INTEGER, "most seconds it may take", required=False, minimum=1, maximum=3600),
    ),
)


def paths_of(plan: Plan, layout: Layout) -> Intent:
    """Return the plan with every path its operands and redirects name.

    Raises:
        Malformed: a file redirect in the middle of a pipeline.
    """
    uses: list[PathUse] = []
    index = 0
    for step in plan.steps:
        for position, command in enumerate(step.pipeline):
            uses += _redirects(command, layout, first=position == 0, last=position == len(step.pipeline) - 1)
            uses += [
                PathUse(locate(operand.path, layout), operand.access, operand.origin, index)
                for operand in path_operands(command)
            ]
            index += 1
    return Intent(tuple(uses), plan)


def _redirects(command: Command, layout: Layout, *, first: bool, last: bool) -> list[PathUse]:
    uses = []
    stdin, stdout = command.streams.stdin, command.streams.stdout
    if stdin is not None and stdin != "/dev/null":
        if not first:
            raise Malformed("shell_redirect_inside", "only the first command of a pipeline may read from a file by <")
        uses.append(PathUse(locate(stdin, layout), Access.READ, f"redirect < {stdin}"))
    if stdout is not None and stdout != "/dev/null":
        if not last:
            raise Malformed("shell_redirect_inside", "only the last command of a pipeline may write to a file by >")
        uses.append(PathUse(locate(stdout, layout), Access.WRITE, f"redirect > {stdout}"))
    return uses
