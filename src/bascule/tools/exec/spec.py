"""What ``exec`` takes, and what its command touches.

Stops: a command whose words, redirects and operands were not all seen. Does not decide: layer 6 does, over the plan and
the paths found here; and what a program does with its operands is bounded by its box, not by this reading of them.
"""

from __future__ import annotations

from bascule.core.call import Intent
from bascule.core.paths import Layout, PathUse, locate
from bascule.core.plan import Plan
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
    """Return the plan with every path its operands and redirects name."""
    uses: list[PathUse] = []
    for index, command in enumerate(plan.commands):
        for operand in path_operands(command):
            owner = -1 if operand.redirect else index
            uses.append(PathUse(locate(operand.path, layout), operand.access, operand.origin, owner))
    return Intent(tuple(uses), plan)
