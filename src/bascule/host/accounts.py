"""The table of kernel uids: which account is the gateway, which is which agent.

Stops: two agents sharing an account, an agent getting another's account after a change of policy, and an account that
is somebody's on this machine. The table only grows: a uid once given out is never given to another. Does not stop:
root; and two homes of one ordinary user share a slice of their subordinate uids if their paths hash to the same one.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from bascule.core.canonical import read_arguments
from bascule.core.errors import Malformed, Tampered, Unavailable
from bascule.core.ids import AgentId, parse_agent_id

TABLE = "accounts.json"

FIRST_UID = 1_900_000_000
"""Below it lie the ranges that distributions and systemd hand out (systemd's uid table, 2025)."""

PER_HOME = 1024
"""Uids of one home."""

FIRST_SUBORDINATE, SUBORDINATE = 100_000, 65_536
"""Where subordinate ids begin, and how many a user gets (``login.defs(5)``: ``SUB_UID_MIN``, ``SUB_UID_COUNT``)."""

HOMES = 200_000
"""How many homes have a range of their own; the last uid stays below 2^31."""

_LARGEST = 1 << 20
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Kernel uids as the host counts. ``count`` uids from ``base`` on are this home's to give out."""

    base: int
    count: int
    gateway: int
    agents: Mapping[AgentId, int]

    @property
    def single(self) -> bool:
        """There is nothing to give out: every agent has the gateway's account, which policy calls unsafe."""
        return self.count == 0


@dataclass(frozen=True, slots=True)
class Range:
    """Uids that may be given out: ``count`` from ``first`` on; and the gateway's own, which is not one of them.

    An ordinary user's come with as many gids, ``first_gid`` and on.
    """

    first: int
    count: int
    gateway: int
    first_gid: int = 0


def root_range(home: str) -> Range:
    """Return the range a home gets on a machine where we are root: derived from its path, so it stays the same.

    Raises:
        Unavailable: somebody's account lies in it.
    """
    place = _place(home, HOMES)
    first = FIRST_UID + place * PER_HOME
    inside = [entry for entry in pwd.getpwall() if first <= entry.pw_uid < first + PER_HOME]
    # An installed home's gateway has a name of its own in the table, and the home is that account's.
    taken = [entry.pw_name for entry in inside if (entry.pw_uid, entry.pw_dir) != (first, home)]
    if taken:
        raise Unavailable("uid_range_taken", f"uids from {first} are wanted and {taken[0]} has one", "move the home")
    return Range(first + 1, PER_HOME - 1, first)


def _place(home: str, places: int) -> int:
    return int.from_bytes(hashlib.sha256(home.encode()).digest()[:8], "big") % places


def subordinate_range(home: str, user: str, uid: int, subuid: str, subgid: str) -> Range:
    """Return the range a home of an ordinary user gets: one slice of the user's, or all of it if it holds not even one.

    Which slice is derived from the home's path, so it stays the same; the gids are those at the same offsets.

    Args:
        home: absolute path.
        user: account name.
        uid: its uid, which is the gateway's too.
        subuid: content of ``/etc/subuid`` (``subuid(5)``).
        subgid: content of ``/etc/subgid``, whose lines are named after users as well (``subgid(5)``).

    Raises:
        Unavailable: ``subuid_missing``.
    """
    uids, gids = (next(_lines(text, {user, str(uid)}), None) for text in (subuid, subgid))
    if uids is None or gids is None:
        free = max((first + count for text in (subuid, subgid) for first, count in _lines(text)), default=0)
        first = max(FIRST_SUBORDINATE, free)
        ids = f"{first}-{first + SUBORDINATE - 1}"
        raise Unavailable(
            "subuid_missing",
            f"{user} has no subordinate uids and gids, so agents cannot have accounts of their own",
            f"run as root: usermod --add-subuids {ids} --add-subgids {ids} {user}",
        )
    count = min(uids[1], gids[1])
    offset = _place(home, count // PER_HOME) * PER_HOME if count >= PER_HOME else 0
    return Range(uids[0] + offset, min(count, PER_HOME), uid, gids[0] + offset)


def _lines(text: str, names: AbstractSet[str] | None = None) -> Iterator[tuple[int, int]]:
    """First id and number of ids of every line, or of those that begin with one of ``names``."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if (names is None or name in names) and _NUMBER.fullmatch(first) and _NUMBER.fullmatch(count) and int(count):
            yield int(first), int(count)


def settle(home: Path, agents: Iterable[AgentId]) -> Accounts:
    """Return the home's table with an account for every agent, written if it grew.

    Raises:
        BasculeError: there are no uids to give out, or the table cannot be trusted or written.
    """
    return _settled(home, range_here(home), agents)


def settle_single(home: Path, agents: Iterable[AgentId]) -> Accounts:
    """Return and write a table in which every agent has this very account; no agent is isolated by it.

    Raises:
        Unavailable: ``uid_range_changed``: its agents have had accounts of their own, and their files still do.
        BasculeError: the table cannot be trusted or written.
    """
    uid = os.geteuid()
    known = load(home)
    had = extend(known, Range(uid, 0, uid), ())
    table = Accounts(uid, 0, uid, {**had.agents, **dict.fromkeys(agents, uid)})
    if table != known:
        store(home, table)
    return table


def range_here(home: Path) -> Range:
    """Return the range a home gets on this machine from this account.

    Raises:
        Unavailable: ``uid_range_taken`` as root, ``subuid_missing`` as an ordinary user.
    """
    if (uid := os.geteuid()) == 0:
        return root_range(str(home))
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return subordinate_range(str(home), user, uid, _text("/etc/subuid"), _text("/etc/subgid"))


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _settled(home: Path, given: Range, agents: Iterable[AgentId]) -> Accounts:
    known = load(home)
    if known is not None and known.single:
        known = None  # nothing of it was given out; the directories change hands when the home is prepared
    table = extend(known, given, agents)
    if table != known:
        store(home, table)
    return table


def load(home: Path) -> Accounts | None:
    """Return the home's table, None if there is none.

    Raises:
        Tampered: it belongs to a stranger, is a link, or others may write it.
        Malformed: it does not read as a table.
    """
    path = home / TABLE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Tampered("accounts_unsafe", f"{path}: {error.strerror}", "restore it from a backup") from None
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid not in {0, home.stat().st_uid} or seen.st_mode & 0o022:
            raise Tampered("accounts_unsafe", f"{path} could have been changed by a stranger", f"chmod go-w {path}")
        return parse(os.read(descriptor, _LARGEST).decode("utf-8", "replace"))
    finally:
        os.close(descriptor)


def parse(untrusted_text: str) -> Accounts:
    """Return the table a text spells.

    Raises:
        Malformed: a missing, foreign or repeated entry.
    """
    body = read_arguments(untrusted_text)
    del untrusted_text
    base, count, gateway, named = (body.get(key) for key in ("base", "count", "gateway", "agents"))
    if not (_is_id(base) and (count == 0 or _is_id(count)) and _is_id(gateway) and isinstance(named, Mapping)):
        raise Malformed("accounts_malformed", f"{TABLE} has no base, count, gateway and agents")
    agents = {parse_agent_id(name): uid for name, uid in named.items() if _is_id(uid)}
    if type(count) is int and count == 0 and len(agents) == len(named) and {base, *agents.values()} == {gateway}:
        return Accounts(base, 0, gateway, agents)
    if len(agents) != len(named) or len({gateway, *agents.values()}) != len(agents) + 1:
        raise Malformed("accounts_malformed", f"{TABLE} gives an account twice, or one that is no number")
    if not all(base <= uid < base + count for uid in agents.values()):
        raise Malformed("accounts_malformed", f"{TABLE} gives an account that is not one of its own")
    return Accounts(base, count, gateway, agents)


def _is_id(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 < value < 1 << 32


def extend(known: Accounts | None, given: Range, wanted: Iterable[AgentId]) -> Accounts:
    """Return the table with an account for every agent wanted; known ones keep theirs.

    Raises:
        Unavailable: ``uid_range_changed``: the home was set up under another account; ``uid_range_full``.
    """
    if known is None:
        known = Accounts(given.first, given.count, given.gateway, {})
    if (known.base, known.gateway) != (given.first, given.gateway):
        raise Unavailable(
            "uid_range_changed",
            f"this home was set up with uids from {known.base}, and here they would be from {given.first}",
            "use it as the account that made it, at the place where it was made",
        )
    agents = dict(known.agents)
    for agent in wanted:
        if agent not in agents:
            uid = max((known.base - 1, *agents.values())) + 1
            if uid >= known.base + known.count:
                raise Unavailable("uid_range_full", f"all {known.count} accounts of this home are given out")
            agents[agent] = uid
    return Accounts(known.base, known.count, known.gateway, agents)


def store(home: Path, accounts: Accounts) -> None:
    """Write the table in one step; readable by its owner, and by the gateway once the home is prepared.

    Raises:
        Unavailable: it cannot be written.
    """
    body = {
        "base": accounts.base,
        "count": accounts.count,
        "gateway": accounts.gateway,
        "agents": dict(sorted(accounts.agents.items())),
    }
    fresh = home / f".{TABLE}.{os.getpid()}"
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(json.dumps(body, indent=2) + "\n")
            file.flush()
            os.fchmod(file.fileno(), 0o640)
            os.fsync(file.fileno())
        fresh.replace(home / TABLE)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Unavailable(
            "accounts_unwritable", f"{home / TABLE}: {error.strerror}", "free space, or fix its owner"
        ) from None
