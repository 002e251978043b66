"""Schemas only go forward, whole step by whole step, and never under an older program."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from bascule.core.errors import Tampered, Unavailable
from bascule.state.connection import Database
from bascule.state.migrations import Schema, migrate

ONE = "CREATE TABLE room_a (n INTEGER) STRICT;"
TWO = "ALTER TABLE room_a ADD COLUMN w TEXT; INSERT INTO room_a VALUES (1, 'x');"


def columns(database: Database) -> list[str]:
    return [row[1] for row in database.read("PRAGMA table_info(room_a)")]


def test_steps_are_taken_once_and_in_order(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db")
    assert migrate(database, [Schema("room", (ONE,))]) == {"room": 1}
    assert migrate(database, [Schema("room", (ONE, TWO))]) == {"room": 1}
    assert migrate(database, [Schema("room", (ONE, TWO))]) == {"room": 0}
    assert (columns(database), database.read("SELECT count(*) FROM room_a")) == (["n", "w"], [(1,)])
    database.close()


def test_rooms_do_not_wait_for_each_other(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db")
    migrate(database, [Schema("room", (ONE, TWO))])
    assert migrate(database, [Schema("room", (ONE, TWO)), Schema("b", ("CREATE TABLE b (n);",))]) == {"room": 0, "b": 1}
    database.close()


def test_a_newer_file_is_refused_and_not_touched(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db")
    migrate(database, [Schema("room", (ONE, TWO))])
    with pytest.raises(Unavailable) as caught:
        migrate(database, [Schema("b", ("CREATE TABLE b (n);",)), Schema("room", (ONE,))])
    assert caught.value.code == "state_newer"
    assert database.read("SELECT count(*) FROM sqlite_schema WHERE name = 'b'") == [(0,)]
    database.close()


def test_an_edited_step_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db")
    migrate(database, [Schema("room", (ONE,))])
    with pytest.raises(Tampered) as caught:
        migrate(database, [Schema("room", (ONE.replace("INTEGER", "TEXT"), TWO))])
    assert (caught.value.code, columns(database)) == ("migration_changed", ["n"])
    database.close()


def test_a_step_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db")
    with pytest.raises(apsw.SQLError):
        migrate(database, [Schema("room", (ONE, "CREATE TABLE half (n); CREATE TABLE room_a (n);"))])
    assert (columns(database), database.read("SELECT name FROM sqlite_schema WHERE name = 'half'")) == (["n"], [])
    assert migrate(database, [Schema("room", (ONE, TWO))]) == {"room": 1}
    database.close()
