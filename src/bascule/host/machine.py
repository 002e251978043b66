"""Root's files on this machine, or below a directory that stands for it: read, replaced in one step, removed.

Stops: a half-written account table, a file written through a link, and two account tools at once (the lock is the one
``lckpwdf(3)`` takes). Does not stop root's other programs.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bascule.core.errors import Tampered, Unavailable
from bascule.host import site

BESIDE: Final = ".bascule-new"
"""Ends the name of a file that is about to take another's place; a crash may leave one, the next run removes it."""

LOCK: Final = "/etc/.pwd.lock"
LOCK_SECONDS: Final = 15.0
"""How long ``lckpwdf(3)`` waits, too."""

MAX_BYTES: Final = 16 << 20
"""Bytes of one file here; account tables of a large site have some megabytes."""


def _pass_by(_point: str) -> None:
    """Nobody listens to ordinary work."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine; owners are changed by root only.

    Attributes:
        root: its root directory.
        reached: told the name of every point at which work may be cut short.
    """

    root: Path = Path("/")
    reached: Callable[[str], None] = _pass_by

    def path(self, name: str) -> Path:
        """Return where an absolute path lies."""
        return site.beneath(self.root, name)

    @property
    def owner(self) -> int:
        """Whom root's files belong to: 0, and below a directory of somebody else's whoever runs this."""
        return os.geteuid()

    def read(self, name: str) -> bytes | None:
        """Return a plain file's content, None if there is none.

        Raises:
            Tampered: ``host_file_unsafe``: a link, no plain file, or too large.
            Unavailable: ``host_unreadable``.
        """
        path = self.path(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable("host_unreadable", f"{path}: {error.strerror}", "run it as root") from None
        with os.fdopen(descriptor, "rb") as file:
            seen = os.fstat(descriptor)
            if not stat.S_ISREG(seen.st_mode) or seen.st_size > MAX_BYTES:
                raise Tampered("host_file_unsafe", f"{path} is no plain file of sensible size", "look at it yourself")
            return file.read(MAX_BYTES)

    def text(self, name: str) -> str | None:
        """Return a file's content byte for byte as text; None and errors as :meth:`read`."""
        content = self.read(name)
        return None if content is None else content.decode("utf-8", "surrogateescape")

    def write(self, name: str, content: bytes, mode: int) -> None:
        """Put content in place in one step, synced; an existing file's owner, mode and attributes are kept.

        Raises:
            Unavailable: ``host_unwritable``.
        """
        path = self.path(name)
        beside = path.with_name(path.name + BESIDE)
        try:
            with suppress(FileNotFoundError):
                beside.unlink()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                self._resemble(path, file.fileno(), mode)
                os.fsync(file.fileno())
            self.reached(f"written beside {name}")
            beside.replace(path)
            self.reached(f"replaced {name}")
            self._sync(path.parent)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise Unavailable("host_unwritable", f"{path}: {error.strerror}", "see to the disk, then again") from None

    def _resemble(self, path: Path, descriptor: int, mode: int) -> None:
        """Give a new file the owner, mode and attributes of the one it replaces; root's and ``mode`` if there is none.

        Attributes hold a security label on machines that have them.
        """
        try:
            seen = path.lstat()
        except FileNotFoundError:
            os.fchmod(descriptor, mode)
            if os.geteuid() == 0:
                os.fchown(descriptor, 0, 0)
            return
        if os.geteuid() == 0:
            os.fchown(descriptor, seen.st_uid, seen.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(seen.st_mode))
        for attribute in os.listxattr(path, follow_symlinks=False):
            with suppress(OSError):
                os.setxattr(descriptor, attribute, os.getxattr(path, attribute, follow_symlinks=False))

    @staticmethod
    def _sync(directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def tidy(self, name: str) -> None:
        """Remove what a crash may have left beside a file."""
        path = self.path(name)
        with suppress(FileNotFoundError, NotADirectoryError):
            path.with_name(path.name + BESIDE).unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the machine's account tools.

        Raises:
            Unavailable: ``accounts_busy``: another tool holds it for more than 15 s, or it cannot be opened.
        """
        path = self.path(LOCK)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable("accounts_busy", f"{path}: {error.strerror}", "run it as root") from None
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _take(descriptor):
                if time.monotonic() > deadline:
                    raise Unavailable("accounts_busy", f"another program holds {path}", "wait for it, then again")
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
