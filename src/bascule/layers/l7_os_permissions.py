"""Layer 7, operating-system permissions: what the system granted the agent's account.

Stops: a call while a box holds a capability, or while the agent's account is as good as root by a group or a rule of
sudo. On Linux an account's extra rights are groups, capabilities and setuid programs; boxes drop all three, and what
the account would get elsewhere, by the machine's tables, may not be worth root's rights either. Does not stop: a grant
the operator gave the account on purpose through a file's own permissions.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import LOOSEST, Confinement
from bascule.core.facts import Enforcement, Facts
from bascule.core.finding import Finding, Severity
from bascule.core.policy import AgentPolicy
from bascule.core.posture import Posture
from bascule.core.rights import POWERS, Account, Worth
from bascule.core.verdict import Verdict, allow, deny

NAME = "l7_os_permissions"
ENFORCEMENT = Enforcement.OS_PERMISSIONS

_OK = allow(NAME)


def judge(_call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: the self-test found no right beyond the account's own."""
    missing = facts.missing.get(ENFORCEMENT)
    if missing is None:
        return _OK
    return deny(
        NAME,
        "not_in_force",
        f"{ENFORCEMENT} are not in force: {missing}",
        f"run: bascule sandbox probe {policy.id}, or bascule host check",
    )


def confine(_call: Call, _policy: AgentPolicy) -> Confinement:
    """How tightly: no opinion; dropping groups and capabilities is part of entering any box."""
    return LOOSEST


def check(posture: Posture, policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: no capability in any set, no supplementary group, and an account without rights of its own.

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
    if posture.account is not None:
        found += _of_account(posture.account, Severity.WARN if single else Severity.CRITICAL)
    return tuple(found)


def _of_account(account: Account, severity: Severity) -> list[Finding]:
    """What the machine's tables grant the account, were it ever to act outside a box."""
    if account.unread:
        return [Finding("os.account_unread", severity, f"what the account is granted is not known: {account.unread}")]
    found = [
        Finding(
            "os.account_group",
            severity,
            f"{account.called} is in the group {group}, as good as root: {POWERS[group].how}",
            f"run as root: gpasswd -d {account.name} {group}",
        )
        for group in account.groups_worth(Worth.ROOT)
    ]
    if account.sudo:
        where = ", ".join(account.sudo[:5])
        detail = f"sudo lets {account.called} act as others: {where}"
        found.append(Finding("os.account_sudo", severity, detail, "take the account out of these rules: visudo"))
    return found
