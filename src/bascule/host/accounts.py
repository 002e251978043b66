"""The table of kernel uids: which account is the gateway, which is which agent.

Stops: two agents sharing an account, an agent getting another's account after a change of policy, and an account that
is somebody's on this machine. The table only grows: a uid once given out is never given to another. Does not stop:
root.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bascule.core.canonical import read_arguments
from bascule.core.errors import Malformed, Tampered, Unavailable
from bascule.core.ids import AgentId, parse_agent_id

TABLE = "accounts.json"

FIRST_UID = 1_900_000_000
"""Below it lie the ranges that distributions and systemd hand out (systemd's uid table, 2025)."""

PER_HOME = 1024
"""Uids of one home."""

HOMES = 200_000
"""How many homes have a range of their own; the last uid stays below 2^31."""

_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Accounts:
    """Kernel uids as the host counts. ``count`` uids from ``base`` on are this home's to give out."""

    base: int
    count: int
    gateway: int
    agents: Mapping[AgentId, int]


@dataclass(frozen=True, slots=True)
class Range:
    """Uids that may be given out: ``count`` from ``first`` on; the gateway's own account if it is not one of them."""

    first: int
    count: int
    gateway: int


def root_range(home: str) -> Range:
    """Return the range a home gets on a machine where we are root: derived from its path, so it stays the same.

    Raises:
        Unavailable: somebody's account lies in it.
    """
    place = int.from_bytes(hashlib.sha256(home.encode()).digest()[:8], "big") % HOMES
    first = FIRST_UID + place * PER_HOME
    taken = [entry.pw_name for entry in pwd.getpwall() if first <= entry.pw_uid < first + PER_HOME]
    if taken:
        raise Unavailable("uid_range_taken", f"uids from {first} are wanted and {taken[0]} has one", "move the home")
    return Range(first + 1, PER_HOME - 1, first)


def subordinate_range(user: str, uid: int, text: str) -> Range:
    """Return the range of an ordinary user from ``/etc/subuid`` (``subuid(5)``).

    Args:
        user: account name.
        uid: its uid, which is the gateway's too.
        text: content of the file.

    Raises:
        Unavailable: ``subuid_missing``.
    """
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if name in {user, str(uid)} and first.isdecimal() and count.isdecimal() and int(count) > 0:
            return Range(int(first), min(int(count), PER_HOME), uid)
    raise Unavailable(
        "subuid_missing",
        f"{user} has no subordinate uids, so agents cannot have accounts of their own",
        f"run as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
    )


def settle(home: Path, agents: Iterable[AgentId]) -> Accounts:
    """Return the home's table with an account for every agent, written if it grew.

    Raises:
        BasculeError: there are no uids to give out, or the table cannot be trusted or written.
    """
    known = load(home)
    table = extend(
        known, root_range(str(home)) if os.geteuid() == 0 else _own_range("/etc/subuid", os.geteuid()), agents
    )
    if table != known:
        store(home, table)
    return table


def subordinate_groups() -> Range:
    """Return our subordinate gids.

    Raises:
        Unavailable: ``subuid_missing``.
    """
    return _own_range("/etc/subgid", os.getegid())


def _own_range(path: str, own: int) -> Range:
    try:
        text = Path(path).read_text("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    return subordinate_range(pwd.getpwuid(os.geteuid()).pw_name, own, text)


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
    with os.fdopen(descriptor, "rb") as file:
        seen = os.fstat(file.fileno())
        if seen.st_uid not in {0, home.stat().st_uid} or seen.st_mode & 0o022:
            raise Tampered("accounts_unsafe", f"{path} could have been changed by a stranger", f"chmod go-w {path}")
        return parse(file.read(_LARGEST).decode("utf-8", "replace"))


def parse(untrusted_text: str) -> Accounts:
    """Return the table a text spells.

    Raises:
        Malformed: a missing, foreign or repeated entry.
    """
    body = read_arguments(untrusted_text)
    del untrusted_text
    base, count, gateway, named = (body.get(key) for key in ("base", "count", "gateway", "agents"))
    if not (
        isinstance(base, int) and isinstance(count, int) and isinstance(gateway, int) and isinstance(named, Mapping)
    ):
        raise Malformed("accounts_malformed", f"{TABLE} has no base, count, gateway and agents")
    agents = {parse_agent_id(name): uid for name, uid in named.items() if isinstance(uid, int)}
    distinct = {gateway, *agents.values()}
    if len(agents) != len(named) or len(distinct) != len(agents) + 1 or 0 in agents.values():
        raise Malformed("accounts_malformed", f"{TABLE} gives an account twice, or one that is no number")
    return Accounts(base, count, gateway, agents)


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
        raise Unavailable(
            "accounts_unwritable", f"{home / TABLE}: {error.strerror}", "free space, or fix its owner"
        ) from None
