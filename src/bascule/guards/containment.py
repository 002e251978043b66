"""Containment: a contained agent does nothing until the operator releases it.

Stops: every call of a contained agent, judged afresh at each crossing and once more before its effect. Does not stop:
an effect already under way; ending boxes does that.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.facts import Facts
from bascule.core.policy import AgentPolicy
from bascule.core.verdict import Verdict, allow, deny

NAME = "containment"

_OK = allow(NAME)


def judge(call: Call, facts: Facts, _policy: AgentPolicy) -> Verdict:
    """May it: only if the agent is not contained."""
    if not facts.contained:
        return _OK
    remedy = f"run: bascule release {call.agent}"
    return deny(NAME, "contained", f"{call.agent} is contained: {facts.contained}", remedy)
