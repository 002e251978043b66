"""Where the gateway of a home is found: the run directory, its socket, its lock, and who holds them.

Stops: root following a link that somebody put into a user's home (the run directory is opened without following
links, and used through its descriptor), two gateways on one home, and a pid that has come to mean another process
(a process is named by pid and start time). Does not stop: the home's owner from removing the directory.
"""

from __future__ import annotations

import fcntl
import grp
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bascule.core.errors import NotPermitted, Tampered, Unavailable
from bascule.host.site import Site, site_of

RUN: Final = "run"
SOCKET: Final = "control.sock"
LOCK: Final = "lock"


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it can be recognised later: pid and start time in clock ticks since boot (``proc(5)``)."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """True if this very process still runs; a zombie has ended."""
        return process(self.pid) == self


def process(pid: int) -> Process | None:
    """Return the running process with this pid, None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if len(fields) < 20 or fields[0] in {"Z", "X"} else Process(pid, int(fields[19]))


@contextmanager
def run_directory(home: Path, *, create: bool) -> Iterator[int]:
    """Open the home's run directory and yield its descriptor.

    Args:
        home: absolute path of the home, which must exist.
        create: make it if it is missing: 0700 and owned by the home's owner; of an installed home 0750, root's, and
            open to the group of operators.

    Raises:
        Unavailable: ``home_missing``, ``run_missing`` or ``operators_missing``.
        NotPermitted: ``run_denied``.
        Tampered: ``run_unsafe``: it is a link, no directory, a stranger's, or writable by others.
    """
    site = site_of(home)
    run = _enter_installed(site, create=create) if site.installed else _enter_home(home, create=create)
    try:
        yield run
    finally:
        os.close(run)


def _enter_installed(site: Site, *, create: bool) -> int:
    """Open the run directory of an installed home, which lies apart: the home itself is shut to operators."""
    if create:
        with suppress(FileExistsError, PermissionError):
            site.run.mkdir(0o750)
    group = _group(site.operators) if create and os.geteuid() == 0 else None
    run = _open_run(str(site.run), site.run)
    if group is not None:
        os.fchown(run, 0, group)
        os.fchmod(run, 0o750)
    found = os.fstat(run)
    if found.st_uid != 0 or found.st_mode & 0o027:
        os.close(run)
        raise Tampered("run_unsafe", f"{site.run} is not root's and its operators' alone", "remove it")
    return run


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Unavailable("operators_missing", f"there is no group {name}", "run: bascule host install") from None


def _enter_home(home: Path, *, create: bool) -> int:
    try:
        base = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise Unavailable(
            "home_missing", f"there is no Bascule home at {home}", "make one with: bascule init"
        ) from None
    except PermissionError:
        raise NotPermitted("run_denied", f"you may not enter {home}", "ask as the home's owner") from None
    try:
        return _enter(base, home, create=create)
    finally:
        os.close(base)


def _enter(base: int, home: Path, *, create: bool) -> int:
    owner = os.fstat(base)
    if create:
        with suppress(FileExistsError):
            os.mkdir(RUN, 0o700, dir_fd=base)
            if os.geteuid() == 0:
                os.chown(RUN, owner.st_uid, owner.st_gid, dir_fd=base, follow_symlinks=False)
    run = _open_run(RUN, home / RUN, base)
    found = os.fstat(run)
    if found.st_uid not in {0, os.geteuid(), owner.st_uid} or found.st_mode & 0o022:
        os.close(run)
        raise Tampered("run_unsafe", f"{home / RUN} is not its owner's alone", "remove it; it will be made again")
    return run


def _open_run(name: str, shown: Path, base: int | None = None) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=base)
    except FileNotFoundError:
        raise Unavailable("run_missing", f"no gateway ever ran with {shown}") from None
    except PermissionError:
        remedy = "ask as the home's owner, or as one of its operators"
        raise NotPermitted("run_denied", f"you may not enter {shown}", remedy) from None
    except OSError:
        raise Tampered("run_unsafe", f"{shown} is not a plain directory", "remove it") from None


def _address(run: int) -> str:
    # A socket's path holds 107 bytes (unix(7)), a home's may be longer; the descriptor's name in /proc is short.
    return f"/proc/self/fd/{run}/{SOCKET}"


def dial(home: Path) -> socket.socket | None:
    """Connect to the home's gateway; None if none listens.

    Raises:
        Unavailable, NotPermitted, Tampered: as :func:`run_directory`, or the socket may not be opened.
    """
    try:
        with run_directory(home, create=False) as run:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(_address(run))
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                return None
            except OSError as error:
                connection.close()
                raise NotPermitted("run_denied", f"the gateway's socket cannot be opened: {error.strerror}") from None
            return connection
    except Unavailable as error:
        if error.code == "run_missing":
            return None
        raise


def listen(home: Path) -> socket.socket:
    """Return a listening socket, a stale one replaced; call it while holding the lock, before giving up any right.

    The file is 0600 and the home's owner's: root and the owner reach it, nobody else does. Of an installed home it is
    0660 and the operators' too; who they are is asked again at every connection.

    Raises:
        Unavailable, NotPermitted, Tampered: as :func:`run_directory`.
    """
    with run_directory(home, create=True) as run:
        _unlink_socket(run)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o117 if site_of(home).operators else 0o177)
        try:
            listener.bind(_address(run))
        except OSError as error:
            listener.close()
            raise Unavailable("socket_failed", f"cannot listen in {home / RUN}: {error.strerror}") from None
        finally:
            os.umask(umask)
        if os.geteuid() == 0:
            owner = os.fstat(run)
            os.chown(SOCKET, owner.st_uid, owner.st_gid, dir_fd=run, follow_symlinks=False)
        listener.listen(64)
        listener.settimeout(0)
        return listener


def _unlink_socket(run: int) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(SOCKET, dir_fd=run, follow_symlinks=False).st_mode):
            raise Tampered("run_unsafe", f"{RUN}/{SOCKET} is not a socket", "remove it")
        os.unlink(SOCKET, dir_fd=run)


@dataclass(frozen=True, slots=True)
class Lock:
    """The home's lock, held as long as any process holds ``descriptor``."""

    descriptor: int

    def name_holder(self, kind: str) -> None:
        """Write this process down as the holder; ``kind`` is ``gateway`` or ``ephemeral``."""
        found = process(os.getpid())
        record = {"kind": kind, "pid": os.getpid(), "started": found.started if found else 0}
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(record).encode("ascii"), 0)

    def release(self) -> None:
        """Give up this process's hold."""
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who last took the home's lock, and as what."""

    kind: str
    process: Process


def take_lock(home: Path) -> Lock | None:
    """Take the home's lock without waiting; None if another process holds it.

    Raises:
        Unavailable, NotPermitted, Tampered: as :func:`run_directory`, or the file may not be opened.
    """
    with run_directory(home, create=True) as run:
        try:
            fresh = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=run)
        except OSError as error:
            raise NotPermitted("run_denied", f"cannot lock {home / RUN}: {error.strerror}") from None
        try:
            fcntl.flock(fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fresh)
            return None
        if os.geteuid() == 0:
            owner = os.fstat(run)
            os.fchown(fresh, owner.st_uid, owner.st_gid)
        return Lock(fresh)


def holder(home: Path) -> Holder | None:
    """Return who last took the lock, None if nobody did or the note cannot be read."""
    try:
        with run_directory(home, create=False) as run:
            note = os.open(LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=run)
            try:
                record = json.loads(os.read(note, 4096))
            finally:
                os.close(note)
        return Holder(str(record["kind"]), Process(int(record["pid"]), int(record["started"])))
    except (OSError, ValueError, KeyError, TypeError, Unavailable):
        return None


def withdraw(home: Path) -> None:
    """Remove the socket of a gateway that has ended; call it while holding the lock."""
    with suppress(OSError, Unavailable, NotPermitted, Tampered), run_directory(home, create=False) as run:
        _unlink_socket(run)
