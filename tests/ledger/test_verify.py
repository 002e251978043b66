"""The verifier: needs the file, the key and heads; writes nothing; names the first bad record and what is wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest
from tests.builders import NOW
from tests.keeping import Keeping
from tests.simulators import Time

from bascule.core.errors import Unavailable
from bascule.ledger.chain import head_line, head_statement
from bascule.ledger.keys import load_or_create
from bascule.ledger.verify import Report, verify, verify_recent
from bascule.state.connection import DATABASE_FILE


class Evidence:
    """A ledger of ten records, heads at 4 and 8, closed; to be spoiled with plain SQL."""

    def __init__(self, state: Path, after: int = 2) -> None:
        with Keeping(state) as kept:
            for count in range(1, 9):
                kept.ledger.append_now("decided", {"agent": "a", "n": count}, durable=False)
                if count % 4 == 0:
                    kept.ledger.anchor()
            for _ in range(after):
                kept.decided()
            self.heads, self.signer, self.path = kept.heads(), kept.signer, kept.path

    def spoil(self, *statements: str) -> None:
        connection = apsw.Connection(str(self.path))
        connection.execute("DROP TRIGGER IF EXISTS ledger_append_only; DROP TRIGGER IF EXISTS ledger_keeps_all")
        for statement in statements:
            connection.execute(statement)
        connection.close()

    def verified(self, lines: list[str] | None = None) -> Report:
        return verify(self.path, self.signer.public, self.heads if lines is None else lines)

    def first(self, lines: list[str] | None = None) -> tuple[str, int]:
        report = self.verified(lines)
        assert not report.ok
        return (report.problems[0].code, report.problems[0].seq)


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path)


def test_a_whole_ledger_holds_and_says_how_far_it_is_signed(evidence: Evidence) -> None:
    report = evidence.verified()
    assert (report.ok, report.records, report.seq, report.heads, report.anchored) == (True, 10, 10, 2, 8)
    assert evidence.verified([]).ok


COLUMNS = {
    "at": "at || ' '", "kind": "'other'", "agent": "'b'", "session": "'s'", "digest": "'d'", "parent": "1",
    "body": "body || ' '", "prev": "zeroblob(32)", "hash": "zeroblob(32)",
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("seq", [1, 6, 10])
def test_every_column_counts(evidence: Evidence, column: str, seq: int) -> None:
    evidence.spoil(f"UPDATE ledger SET {column} = {COLUMNS[column]} WHERE seq = {seq}")
    assert evidence.first() == ("altered", seq)


@pytest.mark.parametrize(("gone", "found"), [("seq = 1", 1), ("seq = 5", 5), ("seq BETWEEN 3 AND 6", 3)])
def test_a_gap_is_named(evidence: Evidence, gone: str, found: int) -> None:
    evidence.spoil(f"DELETE FROM ledger WHERE {gone}")
    assert evidence.first() == ("removed", found)


def test_a_record_taken_out_and_the_rest_renumbered_is_seen(evidence: Evidence) -> None:
    evidence.spoil("DELETE FROM ledger WHERE seq = 5", "UPDATE ledger SET seq = seq - 1 WHERE seq > 5")
    assert evidence.first() == ("reordered", 5)


def test_two_records_in_each_others_place_are_named(evidence: Evidence) -> None:
    evidence.spoil(
        "UPDATE ledger SET seq = -1 WHERE seq = 3", "UPDATE ledger SET seq = 3 WHERE seq = 7",
        "UPDATE ledger SET seq = 7 WHERE seq = -1",
    )  # fmt: skip
    report = evidence.verified()
    assert (report.problems[0].code, report.problems[0].seq) == ("reordered", 3)
    assert "record 7" in report.problems[0].detail


def test_a_record_put_before_the_first_is_seen(evidence: Evidence) -> None:
    evidence.spoil(
        "INSERT INTO ledger SELECT 0, at, kind, agent, session, digest, parent, body, prev, hash FROM ledger WHERE seq = 1"
    )
    assert evidence.first() == ("inserted", 1)


def test_a_cut_end_shows_by_the_heads_in_the_database(evidence: Evidence) -> None:
    evidence.spoil("DELETE FROM ledger WHERE seq > 6")
    assert evidence.first() == ("tail_cut", 7)
    assert evidence.first([]) == ("tail_cut", 7)


def test_a_cut_end_with_its_heads_shows_by_the_copy(evidence: Evidence) -> None:
    evidence.spoil("DELETE FROM ledger WHERE seq > 6", "DELETE FROM ledger_heads WHERE seq > 6")
    assert evidence.first() == ("rolled_back", 7)
    assert evidence.verified([]).ok  # what no copy can show, and why there is one


def test_an_older_copy_put_back_shows(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    old = tmp_path / "old.db"
    shutil.copy(evidence.path, old)
    with Keeping(tmp_path) as kept:
        kept.decided()
        kept.ledger.anchor()
        lines = kept.heads()
    old.rename(evidence.path)
    assert evidence.first(lines) == ("rolled_back", 11)
    with Keeping(tmp_path, Time(NOW + 60)) as kept:
        for _ in range(3):
            kept.decided()
        kept.ledger.anchor()
        assert kept.verified().problems[0].code == "rolled_back"


def test_an_empty_database_in_its_place_shows(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.path.unlink()
    with Keeping(tmp_path):
        pass
    assert evidence.first() == ("rolled_back", 1)


def test_a_chain_recomputed_without_the_key_shows(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.spoil("DELETE FROM ledger WHERE seq > 6")
    with Keeping(tmp_path) as kept:
        for _ in range(4):
            kept.decided()
        assert kept.verified().problems[0].code == "rewritten"


def test_a_head_somebody_else_signed_is_named(evidence: Evidence, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = load_or_create(tmp_path / "other")
    report = evidence.verified()
    for key in (other.name, evidence.signer.name):
        signature = other.sign(head_statement(3, 10, report.hash, "t", key))
        line = f'{{"number":3,"seq":10,"hash":"{report.hash}","at":"t","key":"{key}","signature":"{signature}"}}'
        assert evidence.first([*evidence.heads, line]) == ("head_signature", 10)
    evidence.spoil("UPDATE ledger_heads SET hash = 'ff' WHERE seq = 4")
    assert evidence.first()[0] == "head_signature"
    assert head_line  # the shape above is the shape that is written
    assert verify(evidence.path, other.public, []).problems[0].code == "head_signature"


def test_lines_that_are_no_heads_and_heads_that_are_nowhere_show(evidence: Evidence) -> None:
    assert evidence.first(["rubbish"])[0] == "head_malformed"
    evidence.spoil("DELETE FROM ledger_heads WHERE number = 1")
    assert evidence.first(evidence.heads[1:])[0] == "head_removed"
    assert evidence.verified().ok


@pytest.mark.parametrize(
    "statements",
    [
        ("ALTER TABLE ledger RENAME TO x", "CREATE VIEW ledger AS SELECT * FROM x"),
        ("DROP TABLE ledger",),
        ("ALTER TABLE ledger ADD COLUMN more TEXT",),
        ("ALTER TABLE ledger_heads RENAME COLUMN at TO time",),
    ],
)
def test_another_table_of_that_name_is_not_believed(evidence: Evidence, statements: tuple[str, ...]) -> None:
    evidence.spoil(*statements)
    assert evidence.first() == ("definition_changed", 0)


@pytest.mark.parametrize(
    "change", ["agent = CAST(x'61ff' AS TEXT)", "body = CAST(x'ff' AS TEXT)", "kind = 'a' || char(31) || 'b'"]
)
def test_bytes_that_are_no_text_are_seen(evidence: Evidence, change: str) -> None:
    evidence.spoil(f"UPDATE ledger SET {change} WHERE seq = 3")
    assert evidence.first() == ("altered", 3)


def test_a_separator_moved_between_columns_is_seen(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        kept.ledger.append_now("decided", {"agent": "a", "session": "s"}, durable=False)
    evidence = Evidence.__new__(Evidence)
    evidence.path, evidence.signer, evidence.heads = kept.path, kept.signer, []
    evidence.spoil("UPDATE ledger SET agent = 'a' || char(31) || 's', session = '', digest = ''")
    assert evidence.first() == ("altered", 1)


def test_a_damaged_file_is_a_finding(evidence: Evidence) -> None:
    content = bytearray(evidence.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    evidence.path.write_bytes(content)
    assert not evidence.verified().ok
    evidence.path.write_bytes(b"x" * 8192)
    assert evidence.first()[0] == "corrupt"


def test_the_verifier_leaves_nothing_behind(evidence: Evidence) -> None:
    names, content = sorted(path.name for path in evidence.path.parent.iterdir()), evidence.path.read_bytes()
    assert evidence.verified().ok
    assert sorted(path.name for path in evidence.path.parent.iterdir()) == names
    assert evidence.path.read_bytes() == content


def test_a_ledger_in_use_can_be_verified(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        for _ in range(5):
            kept.decided()
        assert (kept.verified().ok, kept.verified().records) == (True, 5)
        kept.decided()
        assert kept.verified().records == 6


def test_a_file_that_is_not_there_is_unavailable(evidence: Evidence, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        verify(tmp_path / "no.db", evidence.signer.public, [])
    assert caught.value.code == "ledger_missing"


def test_the_quick_look_reads_what_no_head_covers(evidence: Evidence) -> None:
    report = verify_recent(evidence.path, evidence.signer.public, evidence.heads)
    assert (report.ok, report.records, report.seq, report.anchored) == (True, 2, 10, 8)
    evidence.spoil("UPDATE ledger SET kind = 'x' WHERE seq = 9")
    report = verify_recent(evidence.path, evidence.signer.public, evidence.heads)
    assert (report.problems[0].code, report.problems[0].seq) == ("altered", 9)


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        (("DELETE FROM ledger WHERE seq > 6",), "tail_cut"),
        (("DELETE FROM ledger WHERE seq > 6", "DELETE FROM ledger_heads WHERE seq > 6"), "rolled_back"),
        (("DELETE FROM ledger", "DELETE FROM ledger_heads"), "rolled_back"),
        (("UPDATE ledger SET hash = zeroblob(32) WHERE seq = 8",), "altered"),
        (("UPDATE ledger_heads SET seq = 7 WHERE seq = 8",), "head_signature"),
        (("DROP TABLE ledger",), "definition_changed"),
    ],
)
def test_the_quick_look_sees_the_end_as_the_long_one_does(evidence: Evidence, statements, code: str) -> None:
    evidence.spoil(*statements)
    report = verify_recent(evidence.path, evidence.signer.public, evidence.heads)
    assert next(problem.code for problem in report.problems) == code
    assert evidence.path.name == DATABASE_FILE
