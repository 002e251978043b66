"""Looking at this machine: files below ``/etc`` and ``/proc``, modes of sockets and directories, one running process.

Stops: a look doing more than looking: files are read up to a size, sockets are not connected to, programs are not run,
nothing is written. What this account may not see is part of the picture as unseen, never taken for harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bascule.checkup import kernel
from bascule.checkup.governing import who_is_who
from bascule.checkup.looking import way_to
from bascule.checkup.machine import AGENT, GATEWAY, Delegation, Machine, Running, Subject
from bascule.checkup.ownership import Way, Who
from bascule.core.errors import BasculeError
from bascule.core.rights import Account
from bascule.host import accounts
from bascule.host.install_plan import AGENTS as RESERVED
from bascule.host.people import read_text
from bascule.host.rights import describe
from bascule.host.sudoers import Sudoers
from bascule.host.sudoers import read as read_sudoers

ENGINES = (
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/lxd.socket",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/var/lib/incus/unix.socket",
    "/run/libvirt/libvirt-sock",
)
"""Where engines listen by default (their own documentation)."""

ROOT_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where root's shells look for programs (``login.defs(5)``: ``ENV_SUPATH``; Debian's)."""

CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron")
LOCAL_SOURCES = frozenset({"files", "systemd", "compat", "db"})
"""Sources of ``nsswitch.conf(5)`` that add no groups to accounts of the machine's own tables."""

_LARGEST = 1 << 20
_PROCESS_BYTES = 1 << 16
_SETS = ("Prm", "Eff", "Inh", "Amb", "Bnd")
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


def gather(home: Path, pid: int | None = None, users: tuple[str, ...] = ()) -> Machine:
    """Return the picture of this machine as far as it concerns a home; files that raise are another look.

    Args:
        home: absolute path, links resolved.
        pid: of the running gateway, None if none runs.
        users: accounts that policy says are operators'.

    Raises:
        BasculeError: the tables of accounts cannot be read.
    """
    who = who_is_who(home, users)
    table = accounts.load(home)
    rules = read_sudoers()
    unread: list[str] = []
    named = {} if table is None else {name: uid for name, uid in table.agents.items() if uid != who.gateway}
    subjects = [_subject(GATEWAY, "the gateway", who.gateway, who, rules)]
    subjects += [_subject(AGENT, f"agent {name}", uid, who, rules) for name, uid in sorted(named.items())]
    picture = Machine(
        rootless=table is not None and table.gateway < accounts.FIRST_UID,
        who=who,
        subjects=tuple(_with_logins(subject, who, unread) for subject in subjects),
        settings=_settings(),
        odd_lines=who.tables.unread,
        elsewhere=elsewhere(_text("/etc/nsswitch.conf", unread)),
        sudo_unread=rules.unread,
        sockets=tuple(way for way in _ways(ENGINES, unread) if not way.missing),
        running=None if pid is None else _running(pid, unread),
        delegations=tuple(_delegations(_text("/etc/subuid", unread), _names(who))),
        path=tuple(way for way in _ways(ROOT_PATH, unread) if not way.missing),
    )
    return replace(picture, helper=_helper(picture, unread), unread=tuple(unread))


def _names(who: Who) -> frozenset[str]:
    """Names in ``/etc/subuid`` whose ranges are the gateway's to use, or nobody's: the installation reserves one so."""
    nobodys = {RESERVED} - {person.name for person in who.tables.people}
    return frozenset({str(who.gateway), *(person.name for person in who.tables.people_of(who.gateway)), *nobodys})


def _subject(role: str, called: str, uid: int, who: Who, rules: Sudoers) -> Subject:
    account = describe(uid, who.tables, rules)
    gids = {group.gid for group in who.tables.groups_of(uid)} | {person.gid for person in who.tables.people_of(uid)}
    person = role == GATEWAY and uid in who.operators
    return Subject(role, called, account, person, frozenset(gids or {uid}))


def _with_logins(subject: Subject, who: Who, unread: list[str]) -> Subject:
    """Add ways to sign in, which only accounts with a row in the table have."""
    people = who.tables.people_of(subject.account.uid)
    if not people or subject.person:
        return subject
    homes = {person.home for person in people if person.home.startswith("/")}
    keys = [f"{home.rstrip('/')}/.ssh/{name}" for home in homes for name in ("authorized_keys", "authorized_keys2")]
    jobs = [f"{folder}/{person.name}" for folder in CRONTABS for person in people]
    return replace(
        subject,
        shells=tuple(person.shell for person in people),
        password=_password(subject.account, unread),
        keys=tuple(sorted(way.path for way in _ways(keys, unread) if not way.missing)),
        jobs=tuple(sorted(way.path for way in _ways(jobs, unread) if not way.missing)),
    )


def _password(account: Account, unread: list[str]) -> bool | None:
    text = _text("/etc/shadow", unread)
    if text is None:
        return None
    row = next((line.split(":") for line in text.split("\n") if line.startswith(f"{account.name}:")), None)
    return row is not None and len(row) > 1 and row[1][:1] not in {"!", "*"}


def _text(path: str, unread: list[str]) -> str | None:
    """Return a file's text; None if it is not there, or if it cannot be read, which is then said."""
    try:
        return read_text(path, _LARGEST)
    except BasculeError as error:
        if error.message not in unread:
            unread.append(error.message)
        return None


def _ways(paths: list[str] | tuple[str, ...], unread: list[str]) -> Iterator[Way]:
    for path in paths:
        try:
            yield way_to(path)
        except BasculeError as error:
            unread.append(error.message)


def _settings() -> dict[str, str]:
    found = {}
    for name in kernel.KNOWN:
        try:
            found[name] = Path("/proc/sys", *name.split(".")).read_text("utf-8", "replace")[:4096].strip()
        except OSError:
            continue  # this kernel has no such setting, or shows it to nobody
    return found


def elsewhere(untrusted_text: str | None) -> tuple[str, ...]:
    """Return the sources of accounts and groups that are no files of this machine (``nsswitch.conf(5)``)."""
    found = set()
    for line in (untrusted_text if untrusted_text is not None else "").split("\n"):
        name, _, rest = line.partition("#")[0].partition(":")
        if name.strip() in {"passwd", "group", "initgroups"}:
            found |= set(re.sub(r"\[[^\]]*\]", " ", rest).split()) - LOCAL_SOURCES
    del untrusted_text
    return tuple(sorted(found))


def _delegations(untrusted_text: str | None, own: frozenset[str]) -> Iterator[Delegation]:
    for line in (untrusted_text if untrusted_text is not None else "").split("\n"):
        fields = line.split(":")
        if len(fields) == 3 and fields[0] not in own and all(_NUMBER.fullmatch(field) for field in fields[1:]):
            yield Delegation(fields[0], int(fields[1]), int(fields[2]))
    del untrusted_text


def _helper(machine: Machine, unread: list[str]) -> Way | None:
    pattern = machine.settings.get(kernel.PATTERN, "")
    words = pattern.removeprefix("|").split()
    if not pattern.startswith("|") or not words or not words[0].startswith("/"):
        return None
    return next(_ways(words[:1], unread), None)


def _running(pid: int, unread: list[str]) -> Running | None:
    try:
        with Path(f"/proc/{pid}/status").open("rb") as file:
            return parse_status(pid, file.read(_PROCESS_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError, KeyError) as error:
        unread.append(f"the gateway, process {pid}: {error}")
        return None


def parse_status(pid: int, untrusted_text: str) -> Running:
    """Return what ``/proc/<pid>/status`` says.

    Raises:
        KeyError, ValueError: it says something else.
    """
    rows = {name: value.strip() for name, _, value in (line.partition(":") for line in untrusted_text.split("\n"))}
    del untrusted_text
    permitted, effective, inheritable, ambient, bounding = (int(rows[f"Cap{name}"], 16) for name in _SETS)
    return Running(
        pid,
        frozenset(map(int, rows["Uid"].split())),
        frozenset(map(int, rows["Groups"].split())),
        permitted=permitted,
        effective=effective,
        inheritable=inheritable,
        ambient=ambient,
        bounding=bounding,
        no_new_privs=rows["NoNewPrivs"] == "1",
    )
