"""What SQLite and the disk say, in our words: two exceptions, one line each, with something the reader can do.

Stops: a full disk, a busy file or a torn page reaching a person as a stack trace, or a caller as success. Does not
stop damage that SQLite cannot see; the ledger's verifier is for that.
"""

from __future__ import annotations

import apsw

from bascule.core.errors import BasculeError, Tampered, Unavailable

_SHARED_MEMORY_FULL = apsw.SQLITE_IOERR_SHMSIZE
"""The wal-index could not grow: on every file system that is a full disk, though SQLite files it under I/O."""


def fault(error: apsw.Error, path: str) -> BasculeError | apsw.Error:
    """Translate an error of SQLite about the file ``path``.

    Returns ``error`` itself for mistakes in SQL and broken constraints: those are bugs or races that the owner of the
    SQL knows how to read, not states of the machine.
    """
    extended = getattr(error, "extendedresult", 0)
    if isinstance(error, apsw.FullError) or extended == _SHARED_MEMORY_FULL:
        return disk_full(path)
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Unavailable("state_busy", f"another process keeps {path} busy", "end it, or try again")
    if isinstance(error, apsw.ReadOnlyError):
        return Unavailable("state_read_only", f"{path} cannot be written", "check its owner, mode and file system")
    if isinstance(error, apsw.CantOpenError | apsw.PermissionsError | apsw.AuthError):
        return Unavailable("state_cannot_open", f"{path} cannot be opened", "check its owner, mode and directory")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.FormatError):
        return Tampered("state_corrupt", f"{path} is damaged or no database", "restore it from a copy")
    if isinstance(error, apsw.IOError):
        return Unavailable("state_io", f"reading or writing {path} failed in the operating system", "check the disk")
    if isinstance(error, apsw.NoMemError | apsw.TooBigError):
        return Unavailable("state_memory", f"not enough memory for what was asked of {path}")
    return error


def disk_full(path: str) -> Unavailable:
    """The error for a write that found no room."""
    return Unavailable("disk_full", f"no space is left for {path}", "free some space; nothing was half-written")
