"""Checks of kernel settings: what the machine makes easy for any account that is not in a box.

The meaning of each setting is the kernel's own documentation: ``Documentation/admin-guide/sysctl/{kernel,fs,vm}.rst``,
``Documentation/admin-guide/LSM/Yama.rst``; that of AppArmor's is Ubuntu's.
"""

from __future__ import annotations

from collections.abc import Iterator

from bascule.checkup.machine import Machine
from bascule.checkup.ownership import Way, writers_of
from bascule.core.finding import Severity
from bascule.linux.userns import SETTINGS

Told = Iterator[tuple[Severity, str, str]]

PTRACE, PATTERN, DUMPABLE = "kernel.yama.ptrace_scope", "kernel.core_pattern", "fs.suid_dumpable"
PROTECTED = (
    ("fs.protected_hardlinks", 1, "an account may make a second name for a file it cannot read"),
    ("fs.protected_symlinks", 1, "in /tmp a program can be led elsewhere by another account's link"),
    ("fs.protected_fifos", 1, "in /tmp a program can be made to write into another account's pipe"),
    ("fs.protected_regular", 1, "in /tmp a program can be made to write into another account's file"),
)
"""Setting, the least value that protects, and what may happen without."""

SURFACE = (
    ("kernel.unprivileged_bpf_disabled", 1, "any account may load programs into the kernel"),
    ("kernel.perf_event_paranoid", 2, "any account may measure the kernel"),
    ("kernel.kptr_restrict", 1, "any account may read where the kernel's code lies"),
    ("kernel.dmesg_restrict", 1, "any account may read the kernel's log"),
)
"""Setting, the least value that is careful, and what may happen below it."""

SURFACE_OFF = (
    ("vm.unprivileged_userfaultfd", "any account may hold up the kernel at a page of its own"),
    ("dev.tty.legacy_tiocsti", "a program may type into the terminal it was started from"),
)
"""Settings that should be 0, and what may happen otherwise."""

KNOWN = (
    PTRACE,
    PATTERN,
    DUMPABLE,
    *(setting.name for setting in SETTINGS),
    *(name for name, _, _ in (*PROTECTED, *SURFACE)),
    *(name for name, _ in SURFACE_OFF),
)
"""Every setting that is looked at."""


def _set(name: str, value: object) -> str:
    return f"run as root: sysctl -w {name}={value} (and write it into /etc/sysctl.d to keep it)"


def _number(machine: Machine, name: str) -> int | None:
    text = machine.settings.get(name, "")
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else None


def ptrace(machine: Machine) -> Told:
    """Processes of one account may look into one another."""
    value = _number(machine, PTRACE)
    if value is None:
        detail = "this kernel has no Yama: processes of one account may look into one another"
        yield Severity.INFO, detail, "boxes forbid it by themselves; a kernel with Yama forbids it outside too"
    elif value == 0:
        yield Severity.WARN, f"{PTRACE} is 0: processes of one account may look into one another", _set(PTRACE, 1)


def core_dumps(machine: Machine) -> Told:
    """What becomes of the memory of a process that crashed."""
    pattern, helper = machine.settings.get(PATTERN, ""), machine.helper
    if pattern.startswith("|") and helper is not None:
        yield from _piped(machine, helper)
    if machine.settings.get(DUMPABLE) == "1":
        detail = f"{DUMPABLE} is 1: setuid programs leave their memory behind for anybody"
        yield Severity.WARN, detail, _set(DUMPABLE, 0)


def _piped(machine: Machine, helper: Way) -> Told:
    said = f"crashes are piped to {helper.path}, which runs as root"
    writers = writers_of(helper, machine.who)
    for writer in writers:
        detail = f"{said} and can be changed by {machine.who.called(writer.uid)}, who {writer.how}"
        yield Severity.CRITICAL, detail, f"run as root: chown root: {helper.path}; chmod go-w {helper.path}"
    if helper.missing:
        yield Severity.WARN, f"{said} and is not there", _set(PATTERN, "core")
    elif not writers:
        yield Severity.INFO, f"{said} and reads all that the crashed program held", ""


def protected_files(machine: Machine) -> Told:
    """Links, pipes and files of others in shared directories."""
    for name, least, harm in PROTECTED:
        value = _number(machine, name)
        if value is not None and value < least:
            yield Severity.WARN, f"{name} is {value}: {harm}", _set(name, least)


def user_namespaces(machine: Machine) -> Told:
    """Whether ordinary accounts may make user namespaces, which rootless boxes are made of."""
    for setting in SETTINGS:
        if machine.settings.get(setting.name) != setting.forbids:
            continue
        said = f"{setting.name} is {setting.forbids}: no ordinary account makes user namespaces"
        if machine.rootless:
            remedy = f"{setting.remedy}, or allow it to this program alone by an AppArmor profile"
            yield Severity.CRITICAL, f"{said}, which this account's boxes are made of", remedy
        else:
            yield Severity.INFO, f"{said}; boxes that root makes need none", ""


def kernel_surface(machine: Machine) -> Told:
    """More of the kernel than an ordinary account needs."""
    for name, least, harm in SURFACE:
        value = _number(machine, name)
        if value is not None and value < least:
            yield Severity.INFO, f"{name} is {value}: {harm}", _set(name, least)
    for name, harm in SURFACE_OFF:
        if _number(machine, name) not in {None, 0}:
            yield Severity.INFO, f"{name} is {machine.settings[name]}: {harm}", _set(name, 0)
