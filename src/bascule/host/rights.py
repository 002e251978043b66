"""What the machine grants the agents' accounts, looked up for every call and read anew when a table changed.

Stops: a group that somebody gave an agent's account an hour ago going unnoticed until the next start. Sudo's rules are
read once, before the gateway gives up its rights, for they are root's to read. Does not see: groups from a directory
service.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from bascule.core.errors import BasculeError
from bascule.core.ids import AgentId
from bascule.core.rights import Account
from bascule.host.people import Tables, read_tables
from bascule.host.sudoers import Item, Rule, Sudoers

TABLES = ("/etc/passwd", "/etc/group")

_Seen = tuple[tuple[int, ...], ...]


def describe(uid: int, tables: Tables, sudoers: Sudoers) -> Account:
    """Return what the tables grant a uid."""
    people, groups = tables.people_of(uid), tables.groups_of(uid)
    gids = {group.gid for group in groups} | {person.gid for person in people}
    names = sorted({"root" if gid == 0 else _name(tables, gid) for gid in gids})
    rules = sudoers.naming(uid, [person.name for person in people], [group.name for group in groups], gids)
    where = tuple(f"{rule.where} (NOPASSWD)" if rule.free else rule.where for rule in rules)
    return Account(uid, people[0].name if people else "", tuple(names), where)


def _name(tables: Tables, gid: int) -> str:
    return next((group.name for group in tables.groups if group.gid == gid), str(gid))


class Rights:
    """Answers what an agent's account is granted.

    Args:
        uids: every agent's.
        sudoers: sudo's rules, as whoever started the gateway could read them.
    """

    def __init__(self, uids: Mapping[AgentId, int], sudoers: Sudoers) -> None:
        self._uids = uids
        self._sudoers = sudoers
        self._seen: _Seen | None = None
        self._known: dict[AgentId, Account] = {}

    def of(self, agent: AgentId) -> Account | None:
        """Return what an agent's account is granted, None for an agent without one."""
        if agent not in self._uids:
            return None
        # Looked at before they are read: what changes in between is read again the next time.
        seen = _look()
        if seen is None or seen != self._seen:
            self._known, self._seen = self._read(), seen
        return self._known[agent]

    def _read(self) -> dict[AgentId, Account]:
        try:
            tables = read_tables()
        except BasculeError as error:
            return {agent: Account(uid, unread=error.message) for agent, uid in self._uids.items()}
        return {agent: describe(uid, tables, self._sudoers) for agent, uid in self._uids.items()}


def _look() -> _Seen | None:
    """Which files the tables are, and when they were changed; None if that cannot be told."""
    seen: list[tuple[int, ...]] = []
    for path in TABLES:
        try:
            found = os.stat(path)  # noqa: PTH116 -- once a call: a Path costs more than the system call
        except FileNotFoundError:
            seen.append((0,))
            continue
        except OSError:
            return None
        seen.append((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return tuple(seen)


def to_json(sudoers: Sudoers) -> bytes:
    """Write sudo's rules down for another process."""
    body = {
        "rules": [[rule.where, _items(rule.users), rule.free] for rule in sudoers.rules],
        "aliases": [[name, _items(items)] for name, items in sudoers.aliases],
        "unread": list(sudoers.unread),
    }
    return json.dumps(body).encode("ascii")


def from_json(text: bytes) -> Sudoers:
    """Return what :func:`to_json` wrote down, in a process that trusts the writer.

    Raises:
        ValueError, KeyError, TypeError: something else.
    """
    body = json.loads(text)
    rules = tuple(Rule(str(where), _read_items(users), bool(free)) for where, users, free in body["rules"])
    aliases = tuple((str(name), _read_items(items)) for name, items in body["aliases"])
    return Sudoers(rules, aliases, tuple(map(str, body["unread"])))


def _items(items: tuple[Item, ...]) -> list[list[object]]:
    return [[item.name, item.negated] for item in items]


def _read_items(items: list[list[object]]) -> tuple[Item, ...]:
    return tuple(Item(str(name), bool(negated)) for name, negated in items)
