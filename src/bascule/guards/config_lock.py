"""Config lock: what governs an agent is out of its reach, and a broken lock stops everything.

Stops: an agent naming policy, prompts, keys or state in any tool; and every call while a locked policy does not match
its signed manifest. Does not stop: root, or the operator, changing the files; that is what the manifest is for.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.facts import Facts
from bascule.core.paths import Zone, is_within
from bascule.core.policy import AgentPolicy
from bascule.core.verdict import Verdict, allow, deny

NAME = "config_lock"

_OK = allow(NAME)


def judge(call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: the lock holds, and no path of the call is one that governs agents."""
    if facts.lock_problem:
        return deny(NAME, "config_lock_broken", f"the policy lock does not hold: {facts.lock_problem}")
    for use in call.paths:
        if use.place.zone is Zone.PROTECTED and is_within(use.place.host, policy.layout.home):
            return deny(
                NAME,
                "path_governs",
                f"{use.origin}: {use.place.host} governs agents, and no agent reaches it",
                "change it yourself, outside the agent",
            )
    return _OK
