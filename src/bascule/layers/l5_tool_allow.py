"""Layer 5, tool allow: an agent has the tools that profile, global, agent and sandbox lists all leave it.

Stops: a tool nobody gave the agent. Each scope only narrows the one above. Does not stop: misuse of a tool it has.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import LOOSEST, Confinement
from bascule.core.facts import Facts
from bascule.core.finding import Finding
from bascule.core.policy import AgentPolicy
from bascule.core.posture import Posture
from bascule.core.verdict import Verdict, allow, deny

NAME = "l5_tool_allow"

_OK = allow(NAME)


def judge(call: Call, _facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: every scope's allow list has the tool; a tool policy never heard of is not allowed."""
    return standing(call.tool, policy)


def standing(tool: str, policy: AgentPolicy) -> Verdict:
    """The answer for a tool by name, arguments unseen."""
    known = policy.tools.get(tool)
    if known is None:
        return deny(NAME, "tool_not_allowed", f"policy knows no tool {tool} for {policy.id}")
    if known.dropped_by:
        return deny(
            NAME,
            "tool_not_allowed",
            f"{tool} is not given to {policy.id}: {known.dropped_by} does not name it",
            f"add it to {known.dropped_by}",
        )
    return _OK


def confine(_call: Call, _policy: AgentPolicy) -> Confinement:
    """How tightly: no opinion."""
    return LOOSEST


def check(_posture: Posture, _policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: nothing of the machine bears on it."""
    return ()
