"""Layer 1, account isolation: every agent acts under a kernel uid of its own.

Stops: an agent's box reading or changing what belongs to the gateway, the operator or another agent, whatever else
fails. Does not stop: reading files that everybody on the machine may read; layer 2 keeps those out of sight.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import Confinement
from bascule.core.facts import Enforcement, Facts
from bascule.core.finding import Finding, Severity
from bascule.core.policy import AgentPolicy
from bascule.core.posture import Posture
from bascule.core.verdict import Verdict, allow, deny

NAME = "l1_account"
ENFORCEMENT = Enforcement.ACCOUNT

_OK = allow(NAME)
_CONFINED = Confinement(own_account=True)


def judge(_call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: only if a box of this agent was seen to run under an account of its own."""
    missing = facts.missing.get(ENFORCEMENT)
    if missing is None:
        return _OK
    return deny(
        NAME, "not_in_force", f"{ENFORCEMENT} is not in force: {missing}", f"run: bascule sandbox probe {policy.id}"
    )


def confine(_call: Call, _policy: AgentPolicy) -> Confinement:
    """How tightly: under the agent's own kernel uid."""
    return _CONFINED


def check(posture: Posture, policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: kernel uid not 0, not the gateway's, and the gateway's canary unreadable.

    Policy can tolerate the gateway's uid by name, and nothing else.
    """
    severity = Severity.WARN if policy.sandbox.unsafe_single_uid else Severity.CRITICAL
    hint = "run as root or give this account a range in /etc/subuid"
    found: list[Finding] = []
    if posture.kernel_uid == 0:
        found.append(Finding("account.root", Severity.CRITICAL, "the box runs as the kernel's root", hint))
    if posture.kernel_uid == posture.gateway_uid:
        detail = "NO ACCOUNT ISOLATION: the box runs under the gateway's own account"
        return (*found, Finding("account.shared", severity, detail, hint))  # to which a canary shows nothing more
    if not posture.canary_denied:
        found.append(
            Finding("account.canary", Severity.CRITICAL, "a box could open a file only the gateway may read", hint)
        )
    return tuple(found)
