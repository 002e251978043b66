"""What installing does to a machine, as values: one list that is printed, carried out, recorded and undone.

Stops: an installer that does something it did not say, or leaves something it did not write down. Reads nothing and
does nothing; :mod:`bascule.host.installer` carries it out. Does not stop an operator from adding by hand afterwards;
that is never removed unasked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.canonical import Json
from bascule.core.errors import Malformed
from bascule.host.site import CONFIG, HOME, LOGS, OPERATORS, RUN

ACCOUNT = "bascule"
"""The gateway's account and its own group."""

AGENTS = "bascule-agents"
"""In whose name the agents' ids are reserved. Nobody has it, so nobody may map them with ``newuidmap``."""

UNIT = "/etc/systemd/system/bascule.service"
WANTED = "/etc/systemd/system/multi-user.target.wants/bascule.service"
ROTATION = "/etc/logrotate.d/bascule"


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of root's.

    Attributes:
        path: absolute.
        mode: permission bits.
        gid: its group.
        leavings: patterns of names the gateway puts in it, which go with it.
        data: what is in it is the operator's and stays, unless everything is asked for.
        passing: the machine empties it at every start, and it need not be there.
        why: for the operator.
    """

    path: str
    mode: int
    gid: int = 0
    leavings: tuple[str, ...] = ()
    data: bool = False
    passing: bool = False
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file of root's that everybody may read.

    Attributes:
        path: absolute.
        digests: hex SHA-256 of every text that is ours, the one wanted last.
        own: the operator may have written it before or change it later; then it is theirs.
        links: names that enabling it may have made for it, which go with it.
        text: what is to be in it; empty in a record.
        why: for the operator.
    """

    path: str
    digests: tuple[str, ...]
    own: bool = False
    links: tuple[str, ...] = ()
    text: str = field(default="", compare=False, repr=False)
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """A group without members."""

    name: str
    gid: int
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Account:
    """An account into which nobody can log in."""

    name: str
    uid: int
    directory: str


@dataclass(frozen=True, slots=True)
class Member:
    """A person's being in a group."""

    group: str
    user: str


@dataclass(frozen=True, slots=True)
class Reserve:
    """Subordinate uids and gids that account tools give to nobody else."""

    name: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Reload:
    """Have systemd read its units again."""


Action = Directory | File | Group | Account | Member | Reserve | Reload


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be installed on this machine.

    Attributes:
        uid: the gateway's uid, and its group's gid.
        count: how many ids from it on are reserved, its own included.
        operators_gid: gid of the operators' group.
        operators: accounts to put into it.
        tables: account tables that this machine does not have yet and needs.
        policy: text by path below the configuration directory: both policy files and prompts.
        unit: the systemd unit, None where there is no systemd.
        rotation: the logrotate file, None where there is no logrotate.
        reload: systemd runs here.
    """

    uid: int
    count: int
    operators_gid: int
    operators: tuple[str, ...]
    policy: Mapping[str, str]
    unit: str | None = None
    rotation: str | None = None
    tables: tuple[str, ...] = ()
    reload: bool = False


def plan(wish: Wish) -> tuple[Action, ...]:
    """Return everything that is to be so, in the order it is done; undone in the opposite one."""
    return (
        Directory(CONFIG, 0o755, why="policy and prompts: root writes them, everybody may read them"),
        Group(OPERATORS, wish.operators_gid, "its members may speak to the gateway"),
        Group(ACCOUNT, wish.uid, "the gateway's own, without members"),
        Account(ACCOUNT, wish.uid, HOME),
        *(ours(table, "", "ids that account tools give to nobody else") for table in wish.tables),
        Reserve(AGENTS, wish.uid, wish.count),
        *(Member(OPERATORS, user) for user in wish.operators),
        *_policy(wish.policy),
        Directory(HOME, 0o700, data=True, why="agents' directories, database, ledger and keys"),
        Directory(LOGS, 0o700, leavings=("gateway.log*",), why="the gateway's log"),
        Directory(RUN, 0o750, wish.operators_gid, ("lock", "control.sock"), passing=True, why="the control socket"),
        *([] if wish.unit is None else [ours(UNIT, wish.unit, "starts warden and gateway", links=(WANTED,))]),
        *([] if wish.rotation is None else [ours(ROTATION, wish.rotation, "keeps the log small")]),
        *([Reload()] if wish.reload and wish.unit is not None else []),
    )


def _policy(texts: Mapping[str, str]) -> tuple[Action, ...]:
    """The files, each after the directories it lies in; those in no directory last, so that with them all is there."""
    made: dict[str, Action] = {}
    for name, text in sorted(texts.items(), key=lambda item: ("/" not in item[0], item)):
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            path = "/".join((CONFIG, *folders[:depth]))
            made.setdefault(path, Directory(path, 0o755, why="prompts"))
        made[f"{CONFIG}/{name}"] = ours(f"{CONFIG}/{name}", text, "", own=True)
    return tuple(made.values())


def ours(path: str, text: str, why: str, *, own: bool = False, links: tuple[str, ...] = ()) -> File:
    """Return a file with a text of ours."""
    return File(path, (digest(text.encode("utf-8")),), own, links, text, why)


def digest(content: bytes) -> str:
    """Return hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def key(action: Action) -> tuple[str, ...]:
    """Return what an action is about: two with one key are about one thing."""
    match action:
        case Directory() | File():
            return (type(action).__name__, action.path)
        case Member():
            return ("Member", action.group, action.user)
        case Group() | Account() | Reserve():
            return (type(action).__name__, action.name)
        case Reload():
            return ("Reload",)


def describe(action: Action) -> str:
    """Return what an action makes, for a person, on one line."""
    match action:
        case Directory():
            owner = "root:" + ("root" if action.gid == 0 else OPERATORS)
            return f"directory {action.path} ({action.mode:04o}, {owner})" + (f": {action.why}" if action.why else "")
        case File():
            return f"file {action.path} (0644, root:root)" + (f": {action.why}" if action.why else "")
        case Group():
            return f"group {action.name} (gid {action.gid})" + (f": {action.why}" if action.why else "")
        case Account():
            return f"account {action.name} (uid {action.uid}, no shell, no password): the gateway's"
        case Member():
            return f"member {action.user} of group {action.group}"
        case Reserve():
            return (
                f"ids {action.first} to {action.first + action.count - 1}, uids and gids: the gateway's and the agents'"
            )
        case Reload():
            return "systemd reads its units again"


_KINDS: Mapping[str, type[Directory | File | Group | Account | Member | Reserve | Reload]] = {
    kind.__name__.lower(): kind for kind in (Directory, File, Group, Account, Member, Reserve, Reload)
}
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "directory": {"path": str, "mode": int, "gid": int, "leavings": tuple, "data": bool, "passing": bool},
    "file": {"path": str, "digests": tuple, "own": bool, "links": tuple},
    "group": {"name": str, "gid": int},
    "account": {"name": str, "uid": int, "directory": str},
    "member": {"group": str, "user": str},
    "reserve": {"name": str, "first": int, "count": int},
    "reload": {},
}


def to_record(action: Action) -> dict[str, Json]:
    """Return what is written down of an action: its kind and what undoing it needs."""
    kind = type(action).__name__.lower()
    found: dict[str, Json] = {"kind": kind}
    for name in _FIELDS[kind]:
        value = getattr(action, name)
        found[name] = list(value) if isinstance(value, tuple) else value
    return found


def from_record(untrusted_record: object) -> Action:
    """Return the action of :func:`to_record`.

    Raises:
        Malformed: ``install_record``.
    """
    kind = untrusted_record.get("kind") if isinstance(untrusted_record, dict) else None
    if not isinstance(untrusted_record, dict) or not isinstance(kind, str) or kind not in _KINDS:
        raise _malformed()
    fields = {name: value for name, value in untrusted_record.items() if name != "kind"}
    del untrusted_record
    if set(fields) != set(_FIELDS[kind]):
        raise _malformed()
    for name, wanted in _FIELDS[kind].items():
        if wanted is tuple and isinstance(fields[name], list):
            fields[name] = tuple(fields[name])
        if type(fields[name]) is not wanted:
            raise _malformed()
        if wanted is tuple and not all(isinstance(item, str) for item in fields[name]):
            raise _malformed()
    paths = [fields[name] for name in ("path", "directory") if name in fields] + list(fields.get("links", ()))
    if any(not path.startswith("/") or ".." in path.split("/") for path in paths):
        raise _malformed()
    return _KINDS[kind](**fields)


def _malformed() -> Malformed:
    return Malformed("install_record", "the record of the installation does not read as one", "restore it")
