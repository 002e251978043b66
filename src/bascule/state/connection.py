"""The one SQLite file of a home, through one connection that every room shares.

Stops: half-written changes (every change is a transaction), a change that was reported as durable being lost with the
power (one grouped sync of the write-ahead log before the report), and others reading the file (mode 0600 from its
first byte). Does not stop the owner of the file, or root, from changing it; the ledger makes that show.

A transaction that returns is *committed*: it survives ``kill -9``. After :meth:`Database.sync` it is *durable*: it
survives a power cut. ``synchronous=NORMAL`` makes commits cheap; the sync is what ``FULL`` would do after each one,
done once for everybody who waits.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from bascule.core.errors import Tampered, Unavailable
from bascule.state.faults import fault

Value: TypeAlias = "int | float | str | bytes | None"
Row: TypeAlias = tuple[Any, ...]
Hook: TypeAlias = Callable[[str], None]

DATABASE_FILE = "bascule.db"
"""The database's name in a home's ``state`` directory."""

BUSY_MILLISECONDS = 2_000
"""How long a statement waits for another process (a copy being made, the verifier) before ``state_busy``."""

CHECKPOINT_PAGES = 2_000
"""The write-ahead log is folded back, on the side, beyond about 8 MB."""

QUICK_SECONDS = 0.001
"""A sync that took no longer may be done in the event loop's own thread: going to another and back costs as much."""

QUICK_SYNCS = 4
"""How many in a row must have been quick before one is; the first that is not ends it."""

APPLICATION_ID = 0x42534355
"""``PRAGMA application_id``: "BSCU", so that another program's file is never taken for ours."""


def _nothing(_point: str) -> None:
    """What happens at a named point unless a test wants something to."""


class Transaction:
    """Statements that become true together. Made by :meth:`Database.transaction`; never kept, never awaited in."""

    __slots__ = ("_connection", "_done", "_hook", "_undo", "_where")

    def __init__(self, connection: apsw.Connection, where: str, hook: Hook) -> None:
        self._connection = connection
        self._where = where
        self._hook = hook
        self._undo: list[Callable[[], None]] = []
        self._done: list[Callable[[], None]] = []

    def execute(self, sql: str, bindings: Sequence[Value] = ()) -> list[Row]:
        """Run one statement and return its rows.

        Raises:
            Unavailable: the disk is full, busy, read-only or failing; the transaction will not commit.
            Tampered: the file is damaged.
            apsw.ConstraintError: a constraint that the caller declared does not hold.
        """
        self._hook("statement")
        try:
            return self._connection.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise fault(error, self._where) from error

    def script(self, sql: str) -> None:
        """Run several statements that take no values (a migration step); raises as :meth:`execute`."""
        self.execute(sql)

    def changes(self) -> int:
        """Rows changed by the last statement."""
        return self._connection.changes()

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Call ``undo`` if this transaction does not commit: for values cached in memory."""
        self._undo.append(undo)

    def on_commit(self, done: Callable[[], None]) -> None:
        """Call ``done`` once it has committed, outside the database's lock."""
        self._done.append(done)


class Database:
    """One file, one writing connection, shared by every room and thread of the process that owns the home.

    Use :meth:`transaction` for changes, :meth:`read` for queries, then ``await`` :meth:`sync` where the caller is
    promised durability. Never ``await`` inside a transaction: everybody else waits for it.
    """

    def __init__(self, path: Path, hook: Hook = _nothing) -> None:
        """Open the file, making it with mode 0600 if it is missing.

        Args:
            path: the file; its directory exists.
            hook: called with ``begin``, ``statement``, ``before_commit``, ``committed``, ``synced``; tests that kill
                the process at a named point hand one in.

        Raises:
            Unavailable: it cannot be opened or written.
            Tampered: it is damaged, foreign, a link, not ours, or open to others.
        """
        self.path = path
        self._where = str(path)
        self._hook = hook
        self._lock = threading.RLock()
        self._sync_lock = threading.Lock()
        self._current: Transaction | None = None
        self._broken = ""
        self._written = 0
        self._synced = 0
        self._quick = 0
        self._fold_at = CHECKPOINT_PAGES
        _create_privately(path)
        try:
            self._connection = _connect(self._where)
            self._connection.set_wal_hook(self._wal_grew)
            self._writer = self._connection.cursor().execute
        except apsw.Error as error:
            raise fault(error, self._where) from error
        self._log = self._open_log()
        self._pool = ThreadPoolExecutor(1, "bascule-state")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a change; commit when the block ends, undo everything if it raises.

        Raises:
            Unavailable: nothing was written.
            Tampered: the file is damaged.
            RuntimeError: this thread already has a transaction open.
        """
        with self._lock:
            change = self._begin()
            try:
                yield change
                self._hook("before_commit")
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back(change)
                if isinstance(error, apsw.Error):
                    raise fault(error, self._where) from error
                raise
            self._current = None
            self._written += 1
            self._hook("committed")
        for done in change._done:  # noqa: SLF001 - the two classes are one thing
            done()

    def _begin(self) -> Transaction:
        self._check()
        if self._current is not None:
            raise RuntimeError("a transaction is already open in this thread")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise fault(error, self._where) from error
        self._current = Transaction(self._connection, self._where, self._hook)
        self._hook("begin")
        return self._current

    def _roll_back(self, change: Transaction) -> None:
        self._current = None
        for undo in change._undo:  # noqa: SLF001 - the two classes are one thing
            undo()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def write(self, sql: str, bindings: Sequence[Value] = ()) -> None:
        """Run one statement as a transaction of its own: the cheap way to add a row.

        Raises:
            Unavailable: nothing was written.
            Tampered: the file is damaged.
            apsw.ConstraintError: a constraint that the caller declared does not hold.
        """
        with self._lock:
            self._check()
            if self._current is not None:
                raise RuntimeError("a transaction is already open in this thread")
            try:
                self._writer(sql, bindings)
            except apsw.Error as error:
                raise fault(error, self._where) from error
            self._written += 1
            self._hook("committed")

    def read(self, sql: str, bindings: Sequence[Value] = ()) -> list[Row]:
        """Return the rows of one query, as of now.

        Raises:
            Unavailable: the file cannot be read.
            Tampered: the file is damaged.
        """
        with self._lock:
            self._check()
            try:
                return self._connection.execute(sql, bindings).fetchall()
            except apsw.Error as error:
                raise fault(error, self._where) from error

    @property
    def lock(self) -> threading.RLock:
        """Hold it to keep a value in memory and a row in step; never across an ``await``."""
        return self._lock

    async def sync(self) -> None:
        """Return once everything committed so far is on disk; those who wait at once share one sync.

        Raises:
            Unavailable: the disk did not take it. The database refuses everything from then on, for after a failed
                sync nobody can say which pages are on disk.
        """
        target = self._written
        if self._quick >= QUICK_SYNCS:
            # Whoever else is about to commit does so first, and shares this sync.
            await asyncio.sleep(0)
        if self._synced >= target and not self._broken:
            return
        if self._quick >= QUICK_SYNCS and not self._sync_lock.locked():
            self.sync_now()
        else:
            await asyncio.get_running_loop().run_in_executor(self._pool, self.sync_now)

    def sync_now(self) -> None:
        """Do what :meth:`sync` does, waiting in this thread."""
        target = self._written
        with self._sync_lock:
            self._check()
            if self._synced >= target:
                return
            mark = self._written
            began = time.monotonic()
            try:
                os.fdatasync(self._log)
            except OSError as error:
                self._broken = os.strerror(error.errno or 0)
                self._check()
            self._quick = self._quick + 1 if time.monotonic() - began <= QUICK_SECONDS else 0
            self._synced = mark
        self._hook("synced")

    def background(self, work: Callable[[], None]) -> None:
        """Run ``work`` soon in the database's own thread; it must not raise. Does nothing once closing began."""
        try:
            self._pool.submit(work)
        except RuntimeError:
            return

    def close(self) -> None:
        """Fold the log back and close. Further use raises :class:`Unavailable`."""
        self._pool.shutdown(wait=True)
        with self._lock:
            if self._broken == "closed":
                return
            self._broken = "closed"
            self._connection.close()
            os.close(self._log)

    def _check(self) -> None:
        if self._broken == "closed":
            raise Unavailable("state_closed", f"{self._where} is closed")
        if self._broken:
            raise Unavailable(
                "state_sync_failed",
                f"the disk did not take a write of {self._where}: {self._broken}",
                "check the disk, then start again",
            )

    def _open_log(self) -> int:
        """A descriptor of the write-ahead log, which exists from the first write until the last close."""
        try:
            log = os.open(f"{self._where}-wal", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable("state_cannot_open", f"{self._where}-wal: {os.strerror(error.errno or 0)}") from None
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return log

    def _wal_grew(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages >= self._fold_at:
            # Should folding fail (a full disk), the log keeps every row, and grows this much before the next attempt.
            self._fold_at = pages + CHECKPOINT_PAGES
            self.background(self._fold)
        return apsw.SQLITE_OK

    def _fold(self) -> None:
        """Copy the log back into the file through a second connection.

        The bulk is copied while others write. Then, with writers held off for the last few pages, the rest: only a
        log that is copied whole starts again from its beginning.
        """
        try:
            side = apsw.Connection(self._where, flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                side.execute("PRAGMA synchronous=NORMAL")
                side.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                with self._lock:
                    side.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                    self._fold_at = CHECKPOINT_PAGES
            finally:
                side.close()
        except apsw.Error:
            return


def _create_privately(path: Path) -> None:
    """Make the file before SQLite does, so that its mode is ours; SQLite gives the log and index the same mode."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if path.is_symlink():
            raise Tampered("state_link", f"{path} is a symbolic link") from None
        reason = os.strerror(error.errno or 0)
        raise Unavailable("state_cannot_open", f"{path} cannot be opened: {reason}", "check owner and mode") from None
    try:
        seen = os.fstat(fd)
    finally:
        os.close(fd)
    if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1 or seen.st_uid != os.geteuid():
        raise Tampered("state_owner", f"{path} is not a plain file owned by uid {os.geteuid()}")
    if seen.st_mode & 0o077:
        raise Tampered("state_mode", f"{path} is open to others (mode {seen.st_mode & 0o777:o})", f"chmod 600 {path}")


def _connect(where: str) -> apsw.Connection:
    connection = apsw.Connection(where, flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    found = connection.execute("PRAGMA application_id").fetchall()[0][0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0][0]
    if found != APPLICATION_ID and (found or tables):
        connection.close()
        raise Tampered("state_foreign", f"{where} is another program's database")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA cell_size_check=ON")
    # Else REPLACE deletes rows without asking the triggers that keep them.
    connection.execute("PRAGMA recursive_triggers=ON")
    # A write of no consequence: it makes the log exist, so that its descriptor can be held.
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("PRAGMA user_version=1")
    return connection
