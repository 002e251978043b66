"""The one way in: a command line from outside becomes a plan, or is refused.

Stops: anything but simple commands of literal words and globs, joined by ``|``, ``&&``, ``||`` and ``;``. No shell
runs the string, now or later. Does not stop a plan from being a bad idea: that is what the judges are for.
"""

from __future__ import annotations

from bascule.core.errors import Malformed
from bascule.core.plan import Plan
from bascule.shell import lexer, planner, second_opinion

MAX_LENGTH = 16 * 1024
"""Characters of a command line; far above any real one, low enough to read and to match patterns against."""


def read_command(untrusted_command: str) -> Plan:
    """Return the plan a command line spells; globs stay patterns and programs stay unresolved.

    Raises:
        Malformed: the line is empty, longer than 16 Ki characters, or outside the grammar (codes ``shell_*``).
    """
    command = untrusted_command
    del untrusted_command
    if len(command) > MAX_LENGTH:
        raise Malformed(
            "shell_too_long",
            f"the command has {len(command)} characters, more than {MAX_LENGTH}",
            "write the data to a file and name it",
        )
    found = lexer.tokens(command)
    planned = planner.plan(found)
    second_opinion.check(command, found)
    return planned
