"""Layer 7, operating-system permissions: what the system granted the agent's account.

Stops: a call while a box holds a capability the account should not have. On Linux an account's extra rights are groups,
capabilities and setuid programs; boxes drop all three. Does not stop: a grant the operator gave the account on purpose
through a file's own permissions.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import LOOSEST, Confinement
from bascule.core.facts import Enforcement, Facts
from bascule.core.finding import Finding, Severity
from bascule.core.policy import AgentPolicy
from bascule.core.posture import Posture
from bascule.core.verdict import Verdict, allow, deny

NAME = "l7_os_permissions"
ENFORCEMENT = Enforcement.OS_PERMISSIONS

_OK = allow(NAME)


def judge(_call: Call, facts: Facts, _policy: AgentPolicy) -> Verdict:
    """May it: the self-test found no right beyond the account's own."""
    missing = facts.missing.get(ENFORCEMENT)
    if missing is None:
        return _OK
    return deny(NAME, "not_in_force", f"{ENFORCEMENT} are not in force: {missing}", "run: bascule sandbox probe")


def confine(_call: Call, _policy: AgentPolicy) -> Confinement:
    """How tightly: no opinion; dropping groups and capabilities is part of entering any box."""
    return LOOSEST


def check(posture: Posture, policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: no capability in any set, no supplementary group.

    An account mapped alone keeps its groups (``user_namespaces(7)``: ``setgroups`` is denied before its gid may be
    mapped), so whoever tolerates the one by name tolerates the other.
    """
    single = policy.sandbox.unsafe_single_uid and posture.kernel_uid == posture.gateway_uid
    found: list[Finding] = []
    if posture.capabilities:
        found.append(
            Finding("os.capabilities", Severity.CRITICAL, f"the box holds capabilities {posture.capabilities:#x}")
        )
    if posture.groups:
        named = ", ".join(str(group) for group in posture.groups)
        if single:
            found.append(Finding("os.groups", Severity.WARN, "the box keeps the supplementary groups of its account"))
        else:
            found.append(Finding("os.groups", Severity.CRITICAL, f"the box's account is in the groups {named}"))
    return tuple(found)
