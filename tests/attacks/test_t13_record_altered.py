"""T13: the record is altered, cut short or rolled back behind the gateway's back, with root's rights on the file.

Every attack first succeeds against a reader that only looks at the rows: the trace it wants gone is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.living import Living, living, verb

pytestmark = pytest.mark.live

SECRET = "workspace/evidence.md"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """A home with a history, and in ``early`` a copy of its database from before the end of that history."""
    with living(tmp_path_factory.mktemp("t13") / "home") as made:
        made.call("write", {"path": "workspace/before.md", "content": "x"})
        made.stop()
        early = made.home.with_name("early")
        shutil.copy(made.home / "state" / "bascule.db", early)
        made.start()
        made.call("write", {"path": SECRET, "content": "x"})
        made.run("ls workspace")
        made.stop()
        yield made


def rows(database: Path) -> str:
    """What a naive reader sees."""
    connection = sqlite3.connect(database)
    try:
        return "\n".join(map(str, connection.execute("SELECT seq, kind, body FROM ledger ORDER BY seq").fetchall()))
    finally:
        connection.close()


def change(database: Path, *statements: str, again: bool = True) -> None:
    connection = sqlite3.connect(database)
    try:
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall():
            # The triggers that keep rows are no wall against root, who makes them again so that nobody wonders.
            connection.execute(f'DROP TRIGGER "{name}"')
            statements = (*statements, sql) if again else statements
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


def numbers(database: Path) -> tuple[int, int]:
    """Sequence numbers of the record about the evidence, and of the last one."""
    connection = sqlite3.connect(database)
    try:
        about = "SELECT min(seq) FROM ledger WHERE kind = 'decided' AND body LIKE '%evidence%'"
        return connection.execute(about).fetchone()[0], connection.execute("SELECT max(seq) FROM ledger").fetchone()[0]
    finally:
        connection.close()


def altered(database: Path, _early: Path) -> None:
    change(database, "UPDATE ledger SET body = replace(body, 'evidence', 'innocent')")


def removed(database: Path, _early: Path) -> None:
    change(database, "DELETE FROM ledger WHERE body LIKE '%evidence%'")


def closed_up(database: Path, _early: Path) -> None:
    seq, _ = numbers(database)
    change(
        database,
        "DELETE FROM ledger WHERE body LIKE '%evidence%'",
        f"UPDATE ledger SET seq = -(seq - 1) WHERE seq > {seq}",
        "UPDATE ledger SET seq = -seq WHERE seq < 0",
    )


def reordered(database: Path, _early: Path) -> None:
    seq, last = numbers(database)
    change(
        database,
        f"UPDATE ledger SET seq = -1 WHERE seq = {seq}",
        f"UPDATE ledger SET seq = {seq} WHERE seq = {last}",
        f"UPDATE ledger SET seq = {last} WHERE seq = -1",
    )


def inserted(database: Path, _early: Path) -> None:
    _, last = numbers(database)
    columns = "at, kind, agent, session, digest, parent, body, prev, hash"
    change(database, f"INSERT INTO ledger (seq, {columns}) SELECT {last} + 1, {columns} FROM ledger WHERE seq = 2")


def tail_cut(database: Path, _early: Path) -> None:
    seq, _ = numbers(database)
    change(database, f"DELETE FROM ledger WHERE seq >= {seq}")


def tail_and_heads_cut(database: Path, _early: Path) -> None:
    seq, _ = numbers(database)
    change(database, f"DELETE FROM ledger WHERE seq >= {seq}", f"DELETE FROM ledger_heads WHERE seq >= {seq}")


def rolled_back(database: Path, early: Path) -> None:
    shutil.copyfile(early, database)


def viewed(database: Path, _early: Path) -> None:
    hidden = "CREATE VIEW ledger AS SELECT * FROM kept WHERE body NOT LIKE '%evidence%'"
    change(database, "ALTER TABLE ledger RENAME TO kept", hidden, again=False)


ATTACKS: dict[Callable[[Path, Path], None], set[str]] = {
    altered: {"altered"},
    removed: {"removed"},
    closed_up: {"altered", "removed", "reordered", "inserted"},
    reordered: {"reordered", "altered"},
    inserted: {"inserted", "reordered", "altered"},
    tail_cut: {"tail_cut"},
    tail_and_heads_cut: {"rolled_back"},
    rolled_back: {"rolled_back"},
    viewed: {"definition_changed"},
}


def verified(home: Path, *more: str) -> tuple[int, dict[str, Any]]:
    done = verb(home, "ledger", "verify", "--json", *more)
    return done.returncode, json.loads(done.stdout)


def test_a_ledger_that_nobody_touched_holds(stopped: Living) -> None:
    status, report = verified(stopped.home)
    assert (status, report["ok"], report["problems"]) == (0, True, [])
    assert report["anchored"] == report["records"] == numbers(stopped.home / "state" / "bascule.db")[1]


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_shows(stopped: Living, tmp_path: Path, attack: Callable[[Path, Path], None]) -> None:
    database = tmp_path / "bascule.db"
    shutil.copyfile(stopped.home / "state" / "bascule.db", database)
    before = rows(database)
    attack(database, stopped.home.with_name("early"))
    assert rows(database) != before
    if attack not in {reordered, inserted}:
        assert SECRET not in rows(database)
    status, report = verified(stopped.home, "--file", str(database))
    assert (status, report["ok"]) == (1, False)
    assert {problem["code"] for problem in report["problems"]} <= ATTACKS[attack]
    told = verb(stopped.home, "ledger", "verify", "--file", str(database))
    assert told.returncode == 1
    assert f"[{report['problems'][0]['code']}]" in told.stdout


def test_a_gateway_on_an_old_copy_says_so_for_as_long_as_it_is_there(stopped: Living) -> None:
    state = stopped.home / "state"
    kept = stopped.home.with_name("kept")
    shutil.copytree(state, kept)
    owner = state.stat()
    try:
        shutil.copyfile(stopped.home.with_name("early"), state / "bascule.db")
        for _ in range(2):
            told = json.loads(verb(stopped.home, "status", "--json").stdout)
            assert [found["code"] for found in told["problems"] if found["code"] == "ledger_tampered"]
            assert "rolled_back" in verb(stopped.home, "ledger", "verify").stdout
    finally:
        shutil.rmtree(state)
        shutil.copytree(kept, state)
        for path in (state, *state.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid)
    assert verified(stopped.home)[0] == 0
    assert json.loads(verb(stopped.home, "status", "--json").stdout)["problems"] == []


def test_another_key_is_not_believed(stopped: Living, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 -- one test's need
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 -- as above

    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "other.pub").write_bytes(pem)
    status, report = verified(stopped.home, "--key", str(tmp_path / "other.pub"))
    assert status == 1
    assert {problem["code"] for problem in report["problems"]} == {"head_signature"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--file", "/nonexistent/bascule.db"), "ledger_missing"),
        (("--heads", "/nonexistent/heads"), "ledger_unreadable"),
        (("--key", "/nonexistent/key"), "ledger_unreadable"),
    ],
)
def test_what_cannot_be_read_is_said_and_never_passes(stopped: Living, words: tuple[str, ...], code: str) -> None:
    done = verb(stopped.home, "ledger", "verify", "--json", *words)
    assert done.returncode not in {0, None}
    assert json.loads(done.stderr)["error"]["code"] == code
