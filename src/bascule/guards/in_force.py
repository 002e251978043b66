"""In force: a tool whose machinery is not running is refused by name, never half-done.

Stops: a call that would rest on an enforcement or a part that is not built, not up, or failed its self-test.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.facts import Facts
from bascule.core.policy import AgentPolicy
from bascule.core.verdict import Verdict, allow, deny

NAME = "in_force"

_OK = allow(NAME)


def judge(call: Call, facts: Facts, _policy: AgentPolicy) -> Verdict:
    """May it: nothing the tool needs is missing."""
    for need in sorted(call.needs):
        missing = facts.missing.get(need)
        if missing is not None:
            return deny(NAME, "not_in_force", f"{call.tool} needs {need}, which is not in force: {missing}")
    return _OK
