"""Every check of a machine: a stable name, and a judgement over its picture. Each has a heading in the documentation.

Stops: rights that the boxes are not made to hold back being there unnoticed: what an account of this home could do if
it ever acted outside a box, and what the machine makes easy for any account. Does not stop them; layer 7 denies the
agents whose own account is as good as root, and everything else here is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bascule.checkup import accounts, kernel, programs
from bascule.checkup.machine import Machine
from bascule.core.finding import Finding, Severity

Judge = Callable[[Machine], Iterator[tuple[Severity, str, str]]]

CHECKS: tuple[tuple[str, Judge], ...] = (
    ("host.account_group", accounts.group),
    ("host.account_reads", accounts.reads),
    ("host.account_devices", accounts.devices),
    ("host.account_sudo", accounts.sudo),
    ("host.account_named", accounts.named),
    ("host.account_login", accounts.login),
    ("host.account_jobs", accounts.jobs),
    ("host.account_delegated", accounts.delegated),
    ("host.tables_unread", accounts.tables_unread),
    ("host.sudo_unread", accounts.sudo_unread),
    ("host.gateway_rights", programs.gateway_rights),
    ("host.gateway_unseen", programs.gateway_unseen),
    ("host.engine_socket", programs.engine_socket),
    ("host.packet_rules", programs.packet_rules),
    ("host.root_path", programs.root_path),
    ("host.setuid", programs.setuid),
    ("host.setuid_unseen", programs.setuid_unseen),
    ("host.ptrace", kernel.ptrace),
    ("host.core_dumps", kernel.core_dumps),
    ("host.protected_files", kernel.protected_files),
    ("host.user_namespaces", kernel.user_namespaces),
    ("host.kernel_surface", kernel.kernel_surface),
)
"""Names and judges, in the order of the report."""


def examine(machine: Machine) -> tuple[Finding, ...]:
    """Return everything there is to say about a machine, the gravest first."""
    found = [
        Finding(name, severity, detail, remedy) for name, judge in CHECKS for severity, detail, remedy in judge(machine)
    ]
    return tuple(sorted(found, key=lambda finding: -finding.severity))
