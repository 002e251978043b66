"""The connection: private from the first byte, all or nothing, and plain about what went wrong."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import apsw
import pytest

from bascule.core.errors import Tampered, Unavailable
from bascule.state import connection
from bascule.state.connection import Database


def opened(tmp_path: Path, **kind: object) -> Database:
    database = Database(tmp_path / "s.db", **kind)
    with database.transaction() as change:
        change.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, w TEXT) STRICT")
    return database


def test_every_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        database = opened(tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()
    assert modes == {"s.db": 0o600, "s.db-wal": 0o600, "s.db-shm": 0o600}


def test_what_is_committed_is_there_after_reopening(tmp_path: Path) -> None:
    database = opened(tmp_path)
    with database.transaction() as change:
        change.execute("INSERT INTO t VALUES (1, 'one')")
        assert change.changes() == 1
    database.write("INSERT INTO t VALUES (?, ?)", (2, "two"))
    database.close()
    database = Database(tmp_path / "s.db")
    assert database.read("SELECT w FROM t ORDER BY n") == [("one",), ("two",)]
    database.close()


def test_a_block_that_raises_leaves_nothing_and_tells_the_caches(tmp_path: Path) -> None:
    database, told = opened(tmp_path), []

    def interrupted() -> None:
        with database.transaction() as change:
            change.on_rollback(lambda: told.append("undone"))
            change.on_commit(lambda: told.append("done"))
            change.execute("INSERT INTO t VALUES (1, 'one')")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    assert (database.read("SELECT * FROM t"), told) == ([], ["undone"])
    with database.transaction() as change:
        change.on_commit(lambda: told.append("done"))
    assert told == ["undone", "done"]
    database.close()


def test_a_broken_constraint_is_the_callers_to_read(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.write("INSERT INTO t VALUES (1, 'one')")
    with pytest.raises(apsw.ConstraintError):
        database.write("INSERT INTO t VALUES (1, 'again')")

    def half() -> None:
        with database.transaction() as change:
            change.execute("INSERT INTO t VALUES (2, 'two')")
            change.execute("INSERT INTO t VALUES (1, 'again')")

    with pytest.raises(apsw.ConstraintError):
        half()
    assert database.read("SELECT n FROM t") == [(1,)]
    database.close()


def test_a_transaction_inside_a_transaction_is_refused(tmp_path: Path) -> None:
    database = opened(tmp_path)
    with database.transaction() as change:
        change.execute("INSERT INTO t VALUES (1, 'one')")
        with pytest.raises(RuntimeError), database.transaction():
            pass
        with pytest.raises(RuntimeError):
            database.write("INSERT INTO t VALUES (2, 'two')")
    assert database.read("SELECT n FROM t") == [(1,)]
    database.close()


def test_threads_take_turns(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.write("INSERT INTO t VALUES (1, '0')")

    def count() -> None:
        for _ in range(50):
            with database.transaction() as change:
                now = int(change.execute("SELECT w FROM t")[0][0])
                change.execute("UPDATE t SET w = ?", (str(now + 1),))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.read("SELECT w FROM t") == [("200",)]
    database.close()


def test_those_who_wait_together_share_a_sync(tmp_path: Path) -> None:
    points: list[str] = []
    database = opened(tmp_path, hook=points.append)

    async def durable(number: int) -> None:
        database.write("INSERT INTO t VALUES (?, 'x')", (number,))
        await database.sync()

    async def everybody() -> None:
        await asyncio.gather(*(durable(number) for number in range(40)))

    asyncio.run(everybody())
    syncs = points.count("synced")
    asyncio.run(database.sync())
    assert 1 <= points.count("synced") == syncs < 40
    database.close()


@pytest.mark.parametrize(("quick_seconds", "own_thread"), [(60.0, True), (-1.0, False)])
def test_only_a_disk_that_was_quick_is_waited_for_in_the_loops_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_seconds: float, *, own_thread: bool
) -> None:
    monkeypatch.setattr(connection, "QUICK_SECONDS", quick_seconds)
    where: list[bool] = []
    main = threading.current_thread()
    database = opened(
        tmp_path, hook=lambda point: where.append(threading.current_thread() is main) if point == "synced" else None
    )

    async def one_after_another() -> None:
        for number in range(connection.QUICK_SYNCS + 3):
            database.write("INSERT INTO t VALUES (?, 'x')", (number,))
            await database.sync()

    asyncio.run(one_after_another())
    assert where == [False] * connection.QUICK_SYNCS + [own_thread] * 3
    database.close()


def test_those_who_wait_together_share_a_quick_sync_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "QUICK_SECONDS", 60.0)
    points: list[str] = []
    database = opened(tmp_path, hook=points.append)

    async def durable(number: int) -> None:
        database.write("INSERT INTO t VALUES (?, 'x')", (number,))
        await database.sync()

    async def everybody() -> None:
        for number in range(connection.QUICK_SYNCS):
            await durable(-1 - number)
        points.clear()
        await asyncio.gather(*(durable(number) for number in range(40)))

    asyncio.run(everybody())
    assert points.count("synced") == 1
    database.close()


def test_after_a_failed_sync_nothing_is_promised_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = opened(tmp_path)

    def fails(_fd: int) -> None:
        raise OSError(5, "EIO")

    monkeypatch.setattr(connection.os, "fdatasync", fails)
    database.write("INSERT INTO t VALUES (1, 'one')")
    with pytest.raises(Unavailable, match="did not take") as caught:
        database.sync_now()
    monkeypatch.undo()
    for attempt in (
        lambda: database.write("INSERT INTO t VALUES (2, 'two')"),
        lambda: database.read("SELECT 1"),
        database.sync_now,
        lambda: asyncio.run(database.sync()),
        lambda: database.transaction().__enter__(),
    ):
        with pytest.raises(Unavailable) as again:
            attempt()
        assert (caught.value.code, again.value.code) == ("state_sync_failed", "state_sync_failed")
    database.close()


def test_a_long_log_is_folded_back_on_the_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CHECKPOINT_PAGES", 20)
    database, folded = opened(tmp_path), threading.Event()
    before = (tmp_path / "s.db").stat().st_size
    for number in range(60):
        database.write("INSERT INTO t VALUES (?, ?)", (number, "x" * 3000))
    database.background(folded.set)
    assert folded.wait(30)
    assert (tmp_path / "s.db").stat().st_size > before
    assert database.read("SELECT count(*) FROM t") == [(60,)]
    database.close()


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.close()
    database.close()
    database.background(lambda: None)
    with pytest.raises(Unavailable) as caught:
        database.read("SELECT 1")
    assert caught.value.code == "state_closed"


def link(path: Path) -> None:
    (path.parent / "other").write_bytes(b"")
    path.symlink_to(path.parent / "other")


def second_name(path: Path) -> None:
    path.touch(mode=0o600)
    path.with_name("other").hardlink_to(path)


def foreign(path: Path) -> None:
    path.touch(mode=0o600)
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (n)")
    other.close()


def garbage(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_bytes(b"not a database, but long enough to have a header" * 100)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (link, "state_link"),
        (second_name, "state_owner"),
        (lambda path: path.touch(mode=0o644), "state_mode"),
        (foreign, "state_foreign"),
        (garbage, "state_corrupt"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, make, code: str) -> None:
    path = tmp_path / "s.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(Tampered) as caught:
        Database(path)
    assert (caught.value.code, path.read_bytes()) == (code, before)


def test_a_missing_directory_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Database(tmp_path / "no" / "s.db")
    assert (caught.value.code, "\n" in str(caught.value)) == ("state_cannot_open", False)


def test_another_process_that_keeps_it_busy_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_MILLISECONDS", 10)
    database = opened(tmp_path)
    other = apsw.Connection(str(tmp_path / "s.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as caught, database.transaction():
        pass
    assert caught.value.code == "state_busy"
    other.execute("ROLLBACK")
    other.close()
    database.write("INSERT INTO t VALUES (1, 'one')")
    assert database.read("SELECT n FROM t") == [(1,)]
    database.close()
