"""Quota: so many calls a minute and a day, so many questions open.

Stops: a compromised model flooding the machine, the ledger or the operator. Does not stop: slow harm within the quota.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.facts import Facts
from bascule.core.policy import AgentPolicy
from bascule.core.verdict import Verdict, allow, deny

NAME = "quota"

_OK = allow(NAME)


def judge(call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: every count is below its limit; a limit of zero forbids."""
    used, limit = facts.usage, policy.quota
    if used.calls_last_minute >= limit.calls_per_minute:
        return _over(call, "calls a minute", limit.calls_per_minute, "quota.callsPerMinute")
    if used.calls_last_day >= limit.calls_per_day:
        return _over(call, "calls a day", limit.calls_per_day, "quota.callsPerDay")
    return _OK


def _over(call: Call, what: str, limit: int, key: str) -> Verdict:
    return deny(NAME, "quota_spent", f"{call.agent} has used its {limit} {what}", f"wait, or raise {key}")
