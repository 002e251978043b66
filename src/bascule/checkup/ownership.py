"""Who could change a file: its owner, its modes, its access list, and those who could put another in its place.

Stops: a policy file called safe because its own mode looks well, while somebody may rename the directory it lies in.
Everything is told from values; nothing here looks. Does not see: mounts that are read-only, immutable flags, and the
rules of SELinux and the like, all of which only take away; nor root, who can change everything.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bascule.host.people import Tables

EVERYBODY = -1
"""Stands for every account of the machine."""

_WRITE, _ENTER = 2, 1


class Model(IntEnum):
    """Whose a file is, the safest first; the two in the middle are the seed's."""

    ROOT_OWNED = 0
    OPERATOR_OWNED = 1
    BOT_OWNED = 2
    EXPOSED = 3

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Grant:
    """A line of an access list that names somebody: ``who`` is a uid, or a gid if ``group``; bits after the mask."""

    group: bool
    who: int
    bits: int


@dataclass(frozen=True, slots=True)
class Thing:
    """One step on the way to a file, or the file: what the kernel says of it.

    Attributes:
        path: where it lies.
        kind: the type bits of its mode (``stat.S_IFDIR`` and so on).
        uid: owner.
        gid: group.
        mode: permission bits, the sticky one included.
        grants: further accounts and groups.
    """

    path: str
    kind: int
    uid: int
    gid: int
    mode: int
    grants: tuple[Grant, ...] = ()

    @property
    def sticky(self) -> bool:
        """Only owners may rename and remove what lies in it."""
        return bool(self.mode & stat.S_ISVTX)


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a file: every directory and link passed, in order, then the file; ``missing``: there is no such file.

    Each thing is named in ``steps`` with the directory it was found in, None for the root.
    """

    path: str
    steps: tuple[tuple[Thing | None, Thing], ...]
    missing: bool = False

    @property
    def end(self) -> Thing:
        """The file, or the last directory that is there."""
        return self.steps[-1][1]


@dataclass(frozen=True, slots=True)
class Who:
    """Whose accounts are which.

    Attributes:
        operators: uids of the home's owner and of those policy names as operators.
        gateway: the gateway's.
        agents: names by uid; an account shared with the gateway is the gateway's.
        tables: everybody else.
    """

    operators: frozenset[int]
    gateway: int
    agents: Mapping[int, str]
    tables: Tables

    def called(self, uid: int) -> str:
        """Return who an account is, for a person."""
        if uid == EVERYBODY:
            return "everybody"
        if uid == self.gateway:
            return "the gateway" if uid not in self.operators else f"the gateway, as {self.tables.called(uid)}"
        if uid in self.agents:
            return f"agent {self.agents[uid]}"
        return "root" if uid == 0 else self.tables.called(uid)

    def model(self, uid: int) -> Model:
        """Return what a file is if this account could change it."""
        if uid == 0:
            return Model.ROOT_OWNED
        if uid == self.gateway:
            return Model.BOT_OWNED
        return Model.OPERATOR_OWNED if uid in self.operators and uid not in self.agents else Model.EXPOSED


@dataclass(frozen=True, slots=True)
class Writer:
    """Somebody who could change a file, and through what."""

    uid: int
    how: str


def model_of(writers: Iterable[Writer], who: Who) -> Model:
    """Return whose a file is: as safe as the least safe of those who could change it."""
    return max((who.model(writer.uid) for writer in writers), default=Model.ROOT_OWNED)


def writers_of(way: Way, who: Who) -> tuple[Writer, ...]:
    """Return everybody but root who could change the file at the end of a way, each account once."""
    found: dict[int, str] = {}
    for uid, how in _all(way, who):
        if uid != 0:
            found.setdefault(uid, how)
    return tuple(Writer(uid, how) for uid, how in sorted(found.items()))


def _all(way: Way, who: Who) -> Iterator[tuple[int, str]]:
    end = way.end
    what = "directory" if stat.S_ISDIR(end.kind) else "file"
    yield end.uid, f"owns the {what} {end.path}"
    need = _WRITE if what == "file" else _WRITE | _ENTER
    for uid, how in _allowed(end, need, who):
        yield uid, f"may write the {what} {end.path}: {how}"
    for holder, thing in way.steps:
        if holder is None:
            continue
        # Whoever can take a thing's name away can give it to another.
        yield holder.uid, f"owns the directory {holder.path}"
        for uid, how in _allowed(holder, _WRITE | _ENTER, who):
            if not holder.sticky or uid == thing.uid:
                yield uid, f"may write the directory {holder.path}: {how}"


def _allowed(thing: Thing, need: int, who: Who) -> Iterator[tuple[int, str]]:
    mode = f"its mode is {thing.mode:o}"
    if thing.mode & need == need:
        yield EVERYBODY, mode
    # With an access list the group's bits of the mode are the list's mask, and the list speaks of the group itself.
    if not thing.grants and thing.mode >> 3 & need == need:
        said = f"{mode}, and it is in the group {_group(thing.gid, who)}"
        yield from ((uid, said) for uid in _members(thing.gid, who))
    for grant in thing.grants:
        if grant.bits & need != need:
            continue
        if grant.group:
            said = f"its access list names the group {_group(grant.who, who)}"
            yield from ((uid, said) for uid in _members(grant.who, who))
        else:
            yield grant.who, "its access list names the account"


def reaches(way: Way, uid: int, gids: frozenset[int], need: int) -> bool:
    """Tell whether an account may use what lies at the end of a way, as ``path_resolution(7)`` and ``acl(5)`` say.

    Args:
        way: to a file or socket.
        uid: the account, not root's; ``EVERYBODY`` for one of which nothing is known.
        gids: of its groups.
        need: 4 to read, 2 to write or connect, 1 to run.
    """
    if way.missing:
        return False
    passed = [thing for _, thing in way.steps[:-1] if stat.S_ISDIR(thing.kind)]
    return all(_allows(thing, uid, gids, _ENTER) for thing in passed) and _allows(way.end, uid, gids, need)


def may_connect(way: Way, uid: int, gids: frozenset[int]) -> bool:
    """Tell whether an account may connect to a socket (``unix(7)``: that takes the right to write it)."""
    return reaches(way, uid, gids, _WRITE)


def _allows(thing: Thing, uid: int, gids: frozenset[int], need: int) -> bool:
    if uid == thing.uid:
        return thing.mode >> 6 & need == need
    named = next((grant for grant in thing.grants if not grant.group and grant.who == uid), None)
    if named is not None:
        return named.bits & need == need
    bits = [grant.bits for grant in thing.grants if grant.group and grant.who in gids]
    if not thing.grants and thing.gid in gids:
        bits = [thing.mode >> 3]
    return any(each & need == need for each in bits) if bits else thing.mode & need == need


def _members(gid: int, who: Who) -> frozenset[int]:
    """Whoever acts with a gid: those in the tables, and our own accounts, whose gid is their uid."""
    own = {uid for uid in (*who.agents, who.gateway) if uid == gid}
    return who.tables.uids_in(gid) | own


def _group(gid: int, who: Who) -> str:
    return next((group.name for group in who.tables.groups if group.gid == gid), str(gid))


@dataclass(frozen=True, slots=True)
class Holding:
    """One file that governs agents, and who could change it.

    Attributes:
        path: where.
        what: ``policy``, ``accounts``, ``prompt``, ``seccomp``, ``tool`` or ``agent``.
        model: whose it is.
        owner: name of its owner.
        mode: permission bits, -1 if it is not there.
        writers: everybody but root who could change it.
    """

    path: str
    what: str
    model: Model
    owner: str
    mode: int
    writers: tuple[Writer, ...]


def hold(way: Way, what: str, who: Who) -> Holding:
    """Return who could change what lies at the end of a way."""
    writers = writers_of(way, who)
    mode = -1 if way.missing else way.end.mode
    return Holding(way.path, what, model_of(writers, who), who.called(way.end.uid), mode, writers)


def worst(holdings: Sequence[Holding]) -> Model:
    """Return the model of the least safe."""
    return max((holding.model for holding in holdings), default=Model.ROOT_OWNED)
