"""How a machine stands towards each thing an installation wants: to be made, there already, or in the way.

Stops: an installation that takes over what it did not make: an account of that name with a shell, a uid that is
somebody's, a file of somebody's, a directory others may write. Changes nothing. Does not stop the machine from changing
between the look and the deed; whoever does both holds the account tools' lock.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bascule.host import tables
from bascule.host.install_plan import (
    ACCOUNT,
    AGENTS,
    Account,
    Action,
    Directory,
    File,
    Group,
    Member,
    Reload,
    Reserve,
    digest,
    key,
)
from bascule.host.machine import Machine
from bascule.host.tables import GROUP, GSHADOW, PASSWD, SHADOW, SUBGID, SUBUID


class State(StrEnum):
    """What is to be done about one thing."""

    MAKE = "make"
    REPLACE = "replace"
    SAME = "same"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Standing:
    """One thing: what is wanted, what is to be done, and why if that is not plain."""

    action: Action
    state: State
    why: str = ""


Recorded = Mapping[tuple[str, ...], Action]
"""What an earlier run wrote down as made, by :func:`bascule.host.install_plan.key`."""


def look(action: Action, machine: Machine, recorded: Recorded) -> Standing:
    """Return how the machine stands towards one thing.

    Raises:
        BasculeError: a table or a file cannot be read.
    """
    known = recorded.get(key(action))
    match action:
        case Directory():
            return _directory(action, machine, known)
        case File():
            return _file(action, machine, known)
        case Group():
            return _group(action, machine, known)
        case Account():
            return _account(action, machine, known)
        case Reserve():
            return _reserve(action, machine)
        case Member():
            return _member(action, machine, known)
        case Reload():
            return Standing(action, State.MAKE)


def _directory(action: Directory, machine: Machine, known: Action | None) -> Standing:
    try:
        seen = machine.path(action.path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Standing(action, State.MAKE)
    if not stat.S_ISDIR(seen.st_mode):
        return Standing(action, State.REFUSE, "something that is no directory is there")
    if seen.st_uid != machine.owner:
        return Standing(action, State.REFUSE, f"it belongs to uid {seen.st_uid}")
    if stat.S_IMODE(seen.st_mode) == action.mode and seen.st_gid == (action.gid if machine.owner == 0 else seen.st_gid):
        return Standing(action, State.SAME)
    if known is not None or action.passing:
        return Standing(action, State.MAKE, "its rights are others now")
    return Standing(action, State.REFUSE, f"its mode is {stat.S_IMODE(seen.st_mode):04o} and its group {seen.st_gid}")


def _file(action: File, machine: Machine, known: Action | None) -> Standing:
    try:
        seen = machine.path(action.path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Standing(action, State.MAKE)
    if not stat.S_ISREG(seen.st_mode) or seen.st_uid != machine.owner or seen.st_mode & 0o022:
        return Standing(action, State.REFUSE, "something that is not root's plain file alone is there")
    content = digest(machine.read(action.path) or b"")
    if content == action.digests[-1]:
        return Standing(action, State.SAME)
    if isinstance(known, File) and content in known.digests and not action.own:
        return Standing(action, State.REPLACE, "what is wanted has changed")
    if action.own or known is not None:
        return Standing(action, State.KEEP, "it is the operator's" if action.own else "it was changed by hand")
    return Standing(action, State.REFUSE, "a file that is not ours is there")


def _group(action: Group, machine: Machine, known: Action | None) -> Standing:
    text = machine.text(f"/etc/{GROUP}") or ""
    found = tables.row(text, action.name)
    if found is not None and found.number(2) != action.gid:
        return Standing(action, State.REFUSE, f"it has gid {found.number(2)}")
    other = next((row.name for row in tables.rows(text) if row.number(2) == action.gid and row.name != action.name), "")
    if other:
        return Standing(action, State.REFUSE, f"gid {action.gid} is the group {other}'s")
    if found is not None and action.name == ACCOUNT and tables.members(text, ACCOUNT):
        return Standing(action, State.REFUSE, "it has members")
    whole = found is not None and (known is None or not _lacks(machine, f"/etc/{GSHADOW}", action.name))
    return Standing(action, State.SAME if whole else State.MAKE)


def _lacks(machine: Machine, table: str, name: str) -> bool:
    """True if the table is there, and the name is not in it: a run was cut short between the two."""
    text = machine.text(table)
    return text is not None and tables.row(text, name) is None


def _account(action: Account, machine: Machine, known: Action | None) -> Standing:
    text = machine.text(f"/etc/{PASSWD}") or ""
    found = tables.row(text, action.name)
    if found is None:
        other = next((row.name for row in tables.rows(text) if row.number(2) == action.uid), "")
        return Standing(
            action, State.REFUSE if other else State.MAKE, f"uid {action.uid} is {other}'s" if other else ""
        )
    shell = found.fields[6] if len(found.fields) > 6 else ""
    if shell not in tables.SHELLS_OF_NOBODY:
        return Standing(action, State.REFUSE, f"an account of that name is there, with the shell {shell or '/bin/sh'}")
    if (found.number(2), found.number(3)) != (action.uid, action.uid) or found.fields[5] != action.directory:
        return Standing(action, State.REFUSE, f"an account of that name is there, with uid {found.number(2)}")
    whole = known is None or not _lacks(machine, f"/etc/{SHADOW}", action.name)
    return Standing(action, State.SAME if whole else State.MAKE)


def _reserve(action: Reserve, machine: Machine) -> Standing:
    same = True
    for table in (SUBUID, SUBGID):
        text = machine.text(f"/etc/{table}") or ""
        if other := tables.overlapping(text, action.first, action.count, action.name):
            return Standing(action, State.REFUSE, f"{other} has ids of that range in /etc/{table}")
        found = tables.row(text, action.name)
        if found is not None and (found.number(1), found.number(2)) != (action.first, action.count):
            return Standing(action, State.REFUSE, f"/etc/{table} reserves other ids for it")
        same = same and found is not None
    return Standing(action, State.SAME if same else State.MAKE)


def _member(action: Member, machine: Machine, known: Action | None) -> Standing:
    person = tables.row(machine.text(f"/etc/{PASSWD}") or "", action.user)
    if person is None:
        return Standing(action, State.REFUSE, "there is no such account")
    if action.user in {ACCOUNT, AGENTS}:
        return Standing(action, State.REFUSE, "it is not a person's account")
    whole = action.user in tables.members(machine.text(f"/etc/{GROUP}") or "", action.group)
    if known is not None and (second := machine.text(f"/etc/{GSHADOW}")) is not None:
        whole = whole and action.user in tables.members(second, action.group, GSHADOW)
    return Standing(action, State.SAME if whole else State.MAKE)
