"""One process owns a home: an exclusive lock on ``state/lock`` that names its holder.

Stops: two gateways deciding over one home, and a verb opening the database beside a running gateway. The kernel
drops the lock when the last descriptor closes, so a killed holder never has to be cleaned up after. Does not stop a
process that ignores locks; the state directory's mode is for that.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType

from bascule.core.errors import Tampered, Unavailable


class HomeLock:
    """The lock of one home, held from construction until :meth:`release`. Also a context manager.

    A child made by ``fork`` without ``exec`` shares the lock, so whoever forks helpers does so before taking it; a
    program started by ``exec`` does not, for the descriptor closes on exec.
    """

    def __init__(self, state: Path) -> None:
        """Take the lock of the state directory ``state``, without waiting.

        Raises:
            Unavailable: ``home_locked`` if another process holds it, ``state_cannot_open`` if there is no such file.
        """
        self._path = state / "lock"
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = os.strerror(error.errno or errno.EIO)
            raise Unavailable("state_cannot_open", f"{self._path} cannot be opened: {reason}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 20, 0).split(b"\n")[0].decode("ascii", "replace")
            os.close(self._fd)
            pid = holder if holder.isdecimal() else "unknown"
            raise Unavailable(
                "home_locked",
                f"another bascule process (pid {pid}) has {state.parent} open",
                "use it through that process, or stop it first",
            ) from None
        self._claim()

    def _claim(self) -> None:
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except OSError:
            # The lock itself is held; only its label could not be written (a full disk).
            return

    def release(self) -> None:
        """Let go. The file stays, for removing it would let two processes lock two files of one name."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> HomeLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()


def prepare(state: Path) -> None:
    """Make the state directory with mode 0700 if it is missing, and refuse one that others can enter.

    Raises:
        Unavailable: it cannot be made.
        Tampered: it is not a directory of ours, or its mode lets others in.
    """
    try:
        state.mkdir(mode=0o700, exist_ok=True)
        seen = state.lstat()
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        raise Unavailable("state_cannot_open", f"{state} cannot be used: {reason}") from None
    if not state.is_dir() or state.is_symlink() or seen.st_uid != os.geteuid():
        raise Tampered("state_owner", f"{state} is not a directory owned by uid {os.geteuid()}")
    if seen.st_mode & 0o077:
        raise Tampered("state_mode", f"{state} can be entered by others", f"chmod 700 {state}")
