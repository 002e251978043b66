"""Carrying out an installation and undoing it: look at everything first, write down each step, then take it.

Stops: half an installation that cannot be undone, a step taken where something of somebody's stands, and an undoing
that takes more than was made. Runs as root, on root's word. Does not stop what root does meanwhile by hand.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from bascule.core.errors import NotPermitted, Unavailable
from bascule.host import tables
from bascule.host.accounts import TABLE
from bascule.host.install_plan import (
    Account,
    Action,
    Directory,
    File,
    Group,
    Member,
    Reload,
    Reserve,
    describe,
    digest,
    key,
)
from bascule.host.install_record import Record
from bascule.host.machine import Machine
from bascule.host.site import CONFIG
from bascule.host.standing import Standing, State, look
from bascule.host.tables import GROUP, GSHADOW, PASSWD, SHADOW, SUBGID, SUBUID

_NOT_OURS: Final = frozenset({"site-packages", "dist-packages"})

SYSTEMCTL: Final = ("/usr/bin/systemctl", "daemon-reload")


@dataclass(frozen=True, slots=True)
class Left:
    """What was undone, or why it stays."""

    action: Action
    why: str = ""


class Installer:
    """Installs on one machine, and uninstalls."""

    def __init__(self, machine: Machine) -> None:
        """Take a machine."""
        self._machine = machine

    def survey(self, wanted: Iterable[Action]) -> tuple[Standing, ...]:
        """Return how the machine stands towards everything wanted; changes nothing.

        Raises:
            BasculeError: a table or the record cannot be read.
        """
        recorded = Record(self._machine).made
        found = [look(action, self._machine, recorded) for action in wanted]
        idle = all(one.state not in {State.MAKE, State.REPLACE} for one in found if isinstance(one.action, File))
        # systemd has read what it is to read, unless a unit is about to change.
        return tuple(
            replace(one, state=State.SAME) if isinstance(one.action, Reload) and idle else one for one in found
        )

    def install(self, wanted: Iterable[Action]) -> tuple[Standing, ...]:
        """Make everything that is not there yet, and return how each thing stood.

        Raises:
            NotPermitted: ``host_conflict``: something is in the way; nothing was changed.
            BasculeError: a step failed; what was done before it is on record, to be undone or gone on with.
        """
        actions = tuple(wanted)
        with self._machine.locked():
            standings = self.survey(actions)
            refuse(standings)
            first = actions[0]
            if not isinstance(first, Directory) or first.path != CONFIG:
                raise ValueError("an installation begins with the directory its record is in")
            if all(one.state in {State.SAME, State.KEEP} for one in standings) and Record(self._machine).exists:
                return standings
            record = Record(self._machine)
            self._machine.reached("begin")
            record.begin(first)
            for one in standings:
                if one.state in {State.MAKE, State.REPLACE}:
                    self._step(record, one)
                elif self._was_ours(one.action) and key(one.action) not in record.made:
                    record.add(one.action)
            return standings

    def _step(self, record: Record, one: Standing) -> None:
        action, known = one.action, record.made.get(key(one.action))
        if isinstance(action, File) and isinstance(known, File):
            # Both texts are ours until the new one is in place.
            action = replace(action, digests=(*known.digests, *action.digests))
        if known is None or known != action:
            record.add(action)
        self._machine.reached(f"recorded {describe(action)}")
        self._make(action)
        self._machine.reached(f"made {describe(action)}")

    def _was_ours(self, action: Action) -> bool:
        """True for the data that an undone installation left, which is this one's to remove with everything."""
        return isinstance(action, Directory) and action.data and self._machine.path(action.path + "/" + TABLE).is_file()

    def _make(self, action: Action) -> None:
        match action:
            case Directory():
                self._make_directory(action)
            case File():
                self._machine.write(action.path, action.text.encode("utf-8"), 0o644)
            case Group():
                self._edit(GROUP, lambda text: _added(text, action.name, f"{action.name}:x:{action.gid}:"))
                self._edit(GSHADOW, lambda text: _added(text, action.name, f"{action.name}:!::"))
            case Account():
                line = f"{action.name}:x:{action.uid}:{action.uid}:Bascule gateway:{action.directory}:{tables.NOLOGIN}"
                self._edit(PASSWD, lambda text: _added(text, action.name, line))
                self._edit(SHADOW, lambda text: _added(text, action.name, f"{action.name}:!*:::::::"))
            case Reserve():
                for table in (SUBUID, SUBGID):
                    line = f"{action.name}:{action.first}:{action.count}"
                    self._edit(table, partial(tables.with_line, line=line))
            case Member():
                self._enlist(action, present=True)
            case Reload():
                self._reload()

    def _make_directory(self, action: Directory) -> None:
        path = self._machine.path(action.path)
        with suppress(FileExistsError):
            path.mkdir(0o700)
        if self._machine.owner == 0:
            os.chown(path, 0, action.gid, follow_symlinks=False)
        path.chmod(action.mode)

    def _edit(self, table: str, change: Callable[[str], str]) -> None:
        """Change one account table, if there is one."""
        name = f"/etc/{table}"
        self._machine.tidy(name)
        before = self._machine.text(name)
        if before is None or (after := change(before)) == before:
            return
        self._machine.write(name, after.encode("utf-8", "surrogateescape"), 0o644)

    def _enlist(self, action: Member, *, present: bool) -> None:
        for table in (GROUP, GSHADOW):

            def change(text: str, table: str = table) -> str:
                others = tuple(name for name in tables.members(text, action.group, table) if name != action.user)
                wanted = (*others, action.user) if present else others
                return (
                    text
                    if not present and len(others) == len(tables.members(text, action.group, table))
                    else (tables.with_members(text, action.group, wanted, table))
                )

            self._edit(table, change)

    def _reload(self) -> None:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(SYSTEMCTL, check=False, capture_output=True, timeout=60)  # noqa: S603 -- fixed words

    # -- and back

    def leftovers(self, *, purge: bool) -> tuple[Left, ...]:
        """Return what uninstalling would undo, and what would stay and why; changes nothing.

        Raises:
            BasculeError: the record cannot be read.
        """
        made = tuple(Record(self._machine).made.values())
        return tuple(Left(action, self._stays(action, purge=purge)) for action in reversed(made))

    def uninstall(self, *, purge: bool) -> tuple[Left, ...]:
        """Undo what is on record, last first; return what was undone and what stays.

        Raises:
            BasculeError: a step failed; the rest is still on record.
        """
        with self._machine.locked():
            record = Record(self._machine)
            if not record.exists:
                record.sweep()
                return ()
            found = []
            made = tuple(record.made.values())
            for action in reversed(made):
                if isinstance(action, Directory) and action.path == CONFIG:
                    continue
                found.append(Left(action, self._undo(action, purge=purge)))
                self._machine.reached(f"undone {describe(action)}")
                record.drop(action)
                self._machine.reached(f"dropped {describe(action)}")
            if Reload() in made:
                self._reload()
            config = next((one for one in made if isinstance(one, Directory) and one.path == CONFIG), None)
            kept = record.end(with_directory=config is not None)
            if config is not None:
                found.append(Left(config, f"it holds {', '.join(kept)}" if kept else ""))
            return tuple(found)

    def _stays(self, action: Action, *, purge: bool) -> str:
        if isinstance(action, File) and not purge:
            content = self._machine.read(action.path)
            return "" if content is None or digest(content) in action.digests else "it was changed by hand"
        if isinstance(action, Directory) and action.path != CONFIG and not (action.data and purge):
            names = self._foreign(action)
            return f"it holds {', '.join(names[:3])}" if names and action.data else ""
        return ""

    def _foreign(self, action: Directory) -> tuple[str, ...]:
        try:
            names = sorted(entry.name for entry in self._machine.path(action.path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(name for name in names if not any(fnmatch.fnmatchcase(name, rule) for rule in action.leavings))

    def _undo(self, action: Action, *, purge: bool) -> str:
        """Undo one thing, none of it if it is gone already; return why it stays, empty if it does not."""
        match action:
            case Directory():
                return self._undo_directory(action, purge=purge)
            case File():
                return self._undo_file(action, purge=purge)
            case Group():
                self._edit(GSHADOW, lambda text: tables.without_name(text, action.name))
                self._edit(GROUP, lambda text: tables.without_name(text, action.name))
            case Account():
                self._edit(SHADOW, lambda text: tables.without_name(text, action.name))
                self._edit(PASSWD, lambda text: tables.without_name(text, action.name))
            case Reserve():
                for table in (SUBUID, SUBGID):
                    line = f"{action.name}:{action.first}:{action.count}"
                    self._edit(table, partial(tables.without_line, line=line))
            case Member():
                self._enlist(action, present=False)
            case Reload():
                pass  # once everything else is undone
        return ""

    def _undo_directory(self, action: Directory, *, purge: bool) -> str:
        path = self._machine.path(action.path)
        if not path.is_dir() or path.is_symlink():
            return ""
        if action.data and purge:
            shutil.rmtree(path)
            return ""
        foreign = self._foreign(action)
        if not foreign or not action.data:
            for entry in path.iterdir():
                if entry.name not in foreign:
                    entry.unlink()
        if foreign:
            return f"it holds {', '.join(foreign[:3])}"
        path.rmdir()
        return ""

    def _undo_file(self, action: File, *, purge: bool) -> str:
        self._machine.tidy(action.path)
        if why := self._stays(action, purge=purge):
            return why
        for link in action.links:
            there = self._machine.path(link)
            if there.is_symlink() and os.readlink(there) == action.path:  # noqa: PTH115 -- as it is spelt
                there.unlink()
        with suppress(FileNotFoundError):
            self._machine.path(action.path).unlink()
        return ""


def refuse(standings: Iterable[Standing]) -> None:
    """Raise if anything is in the way.

    Raises:
        NotPermitted: ``host_conflict``, naming everything.
    """
    wrong = [one for one in standings if one.state is State.REFUSE]
    if wrong:
        said = "; ".join(f"{describe(one.action).split(':')[0]}: {one.why}" for one in wrong)
        raise NotPermitted("host_conflict", f"nothing was changed: {said}", "put that right, then run it again")


def refuse_unsafe_code(paths: Iterable[str]) -> None:
    """Raise if somebody besides root may change a program that root is to run.

    Args:
        paths: absolute: the program, its Python, its code; trees are looked at wholly, and what leads to each.

    Raises:
        Unavailable: ``code_unsafe``.
    """
    for path in paths:
        real = os.path.realpath(path)
        for name, above in (*((str(one), True) for one in Path(real).parents), *((one, False) for one in _below(real))):
            seen = os.lstat(name)
            # Nobody can rename what is root's in a sticky directory, but anybody can add to it.
            closed = not seen.st_mode & 0o022 or stat.S_ISLNK(seen.st_mode) or (above and seen.st_mode & stat.S_ISVTX)
            if seen.st_uid != 0 or not closed:
                raise Unavailable(
                    "code_unsafe",
                    f"root is to run {path}, and {name} can be changed by another account",
                    "install Bascule as root, such as below /opt, and run host install from there",
                )


def _below(path: str) -> Iterator[str]:
    """Yield a path and what is in it, but another Python's packages, which ours does not look at."""
    yield path
    for folder, folders, files in os.walk(path):
        if Path(path).name.startswith("python"):
            folders[:] = [name for name in folders if name not in _NOT_OURS]
        for name in (*folders, *files):
            yield f"{folder}/{name}"


def _added(text: str, name: str, line: str) -> str:
    return text if tables.row(text, name) is not None else tables.with_line(text, line)
