"""Layer 4, tool deny: what any scope denies, the agent does not have.

Stops: a tool being used, or even offered to the model, against a deny list at any scope. Does not stop: one allowed
tool doing another's work; that is what layers 2 and 6 are for.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import LOOSEST, Confinement
from bascule.core.facts import Facts
from bascule.core.finding import Finding
from bascule.core.policy import AgentPolicy, Standing
from bascule.core.posture import Posture
from bascule.core.verdict import Verdict, allow, deny

NAME = "l4_tool_deny"

_OK = allow(NAME)
_NOWHERE = Standing()


def judge(call: Call, _facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: no deny list at any scope matches the tool."""
    return standing(call.tool, policy)


def standing(tool: str, policy: AgentPolicy) -> Verdict:
    """The answer for a tool by name, arguments unseen."""
    where = policy.tools.get(tool, _NOWHERE).denied_by
    if not where:
        return _OK
    return deny(NAME, "tool_denied", f"{tool} is denied to {policy.id} by {where}", f"only changing {where} allows it")


def confine(_call: Call, _policy: AgentPolicy) -> Confinement:
    """How tightly: no opinion; a denied tool never gets here."""
    return LOOSEST


def check(_posture: Posture, _policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: nothing of the machine bears on it."""
    return ()
