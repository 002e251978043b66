"""Checks of the accounts a home acts under: groups, sudo, ways to sign in, jobs, and who else may become them."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.checkup.machine import AGENT, Machine, Subject
from bascule.core.finding import Severity
from bascule.core.rights import POWERS, Worth

Told = Iterator[tuple[Severity, str, str]]

SHUT_SHELLS = frozenset({"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false"})
"""Shells that end at once (``nologin(8)``, ``false(1)``)."""


def _gravity(subject: Subject) -> Severity:
    """A person's own account has a person's rights; any other account of ours should have none."""
    return Severity.WARN if subject.person else Severity.CRITICAL


def _in_groups(machine: Machine, worth: Worth) -> Iterator[tuple[Subject, str]]:
    return ((subject, name) for subject in machine.subjects for name in subject.account.groups_worth(worth))


def group(machine: Machine) -> Told:
    """A group that makes an account as good as root."""
    for subject, name in _in_groups(machine, Worth.ROOT):
        detail = (
            f"{subject.called}, {subject.account.called}, is in the group {name}, as good as root: {POWERS[name].how}"
        )
        yield _gravity(subject), detail, _leave(subject, name)


def reads(machine: Machine) -> Told:
    """A group that reads what is not everybody's."""
    for subject, name in _in_groups(machine, Worth.READS):
        detail = f"{subject.called}, {subject.account.called}, is in the group {name}: {POWERS[name].how}"
        yield (Severity.INFO if subject.person else Severity.WARN), detail, _leave(subject, name)


def devices(machine: Machine) -> Told:
    """A group that uses devices."""
    for subject, name in _in_groups(machine, Worth.DEVICES):
        detail = f"{subject.called}, {subject.account.called}, is in the group {name}: {POWERS[name].how}"
        yield Severity.INFO, detail, _leave(subject, name)


def _leave(subject: Subject, name: str) -> str:
    if subject.person:
        return "let an account of its own be the gateway: bascule host install"
    return f"run as root: gpasswd -d {subject.account.name} {name}"


def sudo(machine: Machine) -> Told:
    """A rule of sudo that names an account."""
    for subject in machine.subjects:
        if subject.account.sudo:
            where = ", ".join(subject.account.sudo[:5])
            detail = f"sudo lets {subject.called}, {subject.account.called}, act as others: {where}"
            remedy = "let an account of its own be the gateway: bascule host install" if subject.person else "visudo"
            free = any("NOPASSWD" in rule for rule in subject.account.sudo)
            yield (_gravity(subject) if free or not subject.person else Severity.INFO), detail, remedy


def named(machine: Machine) -> Told:
    """An agent's account that somebody gave a name."""
    for subject in machine.subjects:
        if subject.role == AGENT and subject.account.name:
            detail = f"{subject.called} acts under {subject.account.called}; with a name, more services know it"
            yield Severity.INFO, detail, "let agents have the nameless accounts that Bascule gives them"


def login(machine: Machine) -> Told:
    """A way to sign in as an account nobody should sign in as."""
    for subject in machine.subjects:
        if subject.person:
            continue
        whose = f"{subject.called}, {subject.account.called},"
        for path in subject.keys:
            yield Severity.WARN, f"{whose} can be signed in to over SSH with a key in {path}", f"remove {path}"
        if subject.password:
            yield Severity.WARN, f"{whose} has a password", f"run as root: passwd --lock {subject.account.name}"
        for shell in subject.shells:
            if shell not in SHUT_SHELLS:
                remedy = f"run as root: usermod --shell /usr/sbin/nologin {subject.account.name}"
                yield Severity.INFO, f"{whose} has the shell {shell if shell else '/bin/sh'}", remedy


def jobs(machine: Machine) -> Told:
    """Programs that start as an account at some time, in no box."""
    for subject in machine.subjects:
        for path in () if subject.person else subject.jobs:
            detail = f"{path} starts programs as {subject.called}, {subject.account.called}, in no box"
            yield Severity.WARN, detail, "move the job to an account of its own"


def delegated(machine: Machine) -> Told:
    """Somebody else who may become an agent."""
    for subject in machine.subjects:
        for line in machine.delegations:
            if subject.role == AGENT and line.first <= subject.account.uid < line.first + line.count:
                detail = f"/etc/subuid lets {line.user} become {subject.called}, {subject.account.called}"
                yield Severity.CRITICAL, detail, f"take the range {line.first}:{line.count} from {line.user}"


def tables_unread(machine: Machine) -> Told:
    """What of the tables of accounts was not seen."""
    for line in machine.unread:
        yield Severity.WARN, f"not seen: {line}", "look as root"
    if machine.odd_lines:
        detail = f"{machine.odd_lines} lines of /etc/passwd and /etc/group are no rows and grant nothing here"
        yield Severity.INFO, detail, "run as root: pwck -r; grpck -r"
    if machine.elsewhere:
        services = ", ".join(machine.elsewhere)
        detail = f"accounts and groups come from {services} too, whose groups are not seen here (/etc/nsswitch.conf)"
        yield Severity.WARN, detail, "look with: id, getent group"


def sudo_unread(machine: Machine) -> Told:
    """What of sudo's rules was not seen."""
    for line in machine.sudo_unread:
        yield Severity.WARN, f"whom sudo's rules name is not known: {line}", "run this as root"
