"""Reading ``/etc/passwd`` and ``/etc/group`` as text.

Stops: a table of any size or content doing more than being read; what is no row is counted and left out, as the C
library leaves it out. Does not see: accounts and groups that a directory service adds (``nsswitch.conf(5)``).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

from bascule.core.errors import Unavailable

LARGEST = 4 << 20
"""Bytes of a table; that of a large site has some hundred thousand."""

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Person:
    """A row of ``/etc/passwd`` (``passwd(5)``)."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Group:
    """A row of ``/etc/group`` (``group(5)``)."""

    name: str
    gid: int
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tables:
    """Both tables; ``unread`` counts lines that are no rows."""

    people: tuple[Person, ...] = ()
    groups: tuple[Group, ...] = ()
    unread: int = 0

    def people_of(self, uid: int) -> tuple[Person, ...]:
        """Return every row of an account; there may be several."""
        return tuple(person for person in self.people if person.uid == uid)

    def groups_of(self, uid: int) -> tuple[Group, ...]:
        """Return the groups an account is in: as their member, or because its row names their gid."""
        rows = self.people_of(uid)
        names, gids = {row.name for row in rows}, {row.gid for row in rows}
        return tuple(group for group in self.groups if group.gid in gids or group.members & names)

    def members_of(self, gid: int) -> tuple[str, ...]:
        """Return the names of everybody in a group, sorted."""
        named = {name for group in self.groups if group.gid == gid for name in group.members}
        return tuple(sorted(named | {person.name for person in self.people if person.gid == gid}))

    def uids_in(self, gid: int) -> frozenset[int]:
        """Return the uids of everybody in a group, as far as they have any."""
        names = set(self.members_of(gid))
        return frozenset(person.uid for person in self.people if person.name in names)

    def called(self, uid: int) -> str:
        """Return an account's name and number for a person."""
        rows = self.people_of(uid)
        return f"{rows[0].name} (uid {uid})" if rows else f"uid {uid}"


def parse(untrusted_passwd: str, untrusted_group: str) -> Tables:
    """Return what two texts say; lines that are no rows are counted, and comments and blanks are nothing."""
    unread, people, groups = 0, [], []
    for line in _lines(untrusted_passwd):
        person = _person(line)
        unread += person is None
        people += [person] if person is not None else []
    for line in _lines(untrusted_group):
        group = _group(line)
        unread += group is None
        groups += [group] if group is not None else []
    del untrusted_passwd, untrusted_group
    return Tables(tuple(people), tuple(groups), unread)


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip() and not line.startswith("#")]


def _person(line: str) -> Person | None:
    fields = line.split(":")
    if len(fields) != 7 or not fields[0] or not _NUMBER.fullmatch(fields[2]) or not _NUMBER.fullmatch(fields[3]):
        return None
    return Person(fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6])


def _group(line: str) -> Group | None:
    fields = line.split(":")
    if len(fields) != 4 or not fields[0] or not _NUMBER.fullmatch(fields[2]):
        return None
    return Group(fields[0], int(fields[2]), frozenset(name.strip() for name in fields[3].split(",") if name.strip()))


def read_text(path: str, largest: int = LARGEST) -> str | None:
    """Return a plain file's text, None if there is no such file; bytes that are no UTF-8 become U+FFFD.

    Args:
        path: a file of the system, never one an agent could have put there.
        largest: bytes it may have.

    Raises:
        Unavailable: ``table_unreadable``: it cannot be opened, is no plain file, or is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be opened") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(path, "it is no plain file")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be read") from None
    finally:
        os.close(descriptor)
    if len(content) > largest:
        raise _unreadable(path, f"it is larger than {largest} bytes")
    return content.decode("utf-8", "replace")


def _unreadable(path: str, why: str) -> Unavailable:
    return Unavailable("table_unreadable", f"{path} cannot be read: {why}", "look at it as root")


def read_tables(root: str = "") -> Tables:
    """Return the machine's tables; one that is not there is empty.

    Args:
        root: put before ``/etc``, for a machine that lies elsewhere.

    Raises:
        Unavailable: ``table_unreadable``.
    """
    people, groups = (read_text(f"{root}/etc/{name}") for name in ("passwd", "group"))
    return parse("" if people is None else people, "" if groups is None else groups)
