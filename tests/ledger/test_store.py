"""Appending, linking and asking about records."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import apsw
import pytest
from tests.keeping import Keeping
from tests.simulators import Time

from bascule.core.errors import Malformed, Tampered, Unavailable
from bascule.ledger import store
from bascule.ledger.chain import GENESIS
from bascule.ledger.store import Ledger


def test_records_are_numbered_timed_and_linked(tmp_path: Path) -> None:
    with Keeping(tmp_path, Time(0.25)) as kept:

        async def both() -> list[int]:
            one = await kept.ledger.append("decided", {"agent": "a", "session": "s", "digest": "d"}, durable=False)
            return [one, await kept.ledger.append("started", {"parent": one, "x": [1, "é"]}, durable=True)]

        assert asyncio.run(both()) == [1, 2]
        first, second = kept.ledger.tail(10)
        assert (first.prev, first.hash) == (GENESIS, second.prev)
        assert (first.at, first.agent, first.session, first.digest) == ("1970-01-01T00:00:00.250000Z", "a", "s", "d")
        assert (second.parent, json.loads(second.body)) == (1, {"x": [1, "é"]})
        assert kept.ledger.end() == (2, second.hash.hex())


def test_the_chain_goes_on_after_reopening(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        assert kept.decided() == 1
    with Keeping(tmp_path) as kept:
        assert kept.decided() == 2
        assert kept.verified().ok


def test_a_record_shares_the_fate_of_its_transaction(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        kept.decided()

        def interrupted() -> None:
            with kept.database.transaction() as change:
                assert kept.ledger.record(change, "a", {}) == 2
                assert kept.ledger.record(change, "b", {"parent": 2}) == 3
                raise InterruptedError

        with pytest.raises(InterruptedError):
            interrupted()
        with kept.database.transaction() as change:
            assert kept.ledger.record(change, "c", {}) == 2
        assert [found.kind for found in kept.ledger.tail(9)] == ["decided", "c"]
        assert kept.verified().ok


@pytest.mark.parametrize("body", [{"x": 1.5}, {"agent": 7}, {"parent": 1}, {"parent": 99}])
def test_a_record_that_is_refused_leaves_nothing(tmp_path: Path, body: dict) -> None:
    with Keeping(tmp_path) as kept:
        with pytest.raises(Malformed):
            kept.ledger.append_now("decided", body, durable=True)
        assert (kept.ledger.tail(9), kept.decided()) == ([], 1)


def test_a_second_writer_is_noticed(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        other = Ledger(kept.database, kept.time, kept.anchor)
        kept.decided()
        with pytest.raises(Tampered) as caught:
            other.append_now("decided", {}, durable=False)
        other._tail = (0, GENESIS)
        with kept.database.transaction() as change, pytest.raises(Tampered):
            other.record(change, "decided", {})
        assert (caught.value.code, len(kept.ledger.tail(9))) == ("ledger_moved", 1)


@pytest.mark.parametrize(
    "sql", ["UPDATE ledger SET kind = 'x'", "DELETE FROM ledger", "REPLACE INTO ledger SELECT * FROM ledger"]
)
def test_our_own_code_cannot_change_a_record(tmp_path: Path, sql: str) -> None:
    with Keeping(tmp_path) as kept:
        kept.decided()
        with pytest.raises(apsw.ConstraintError):
            kept.database.write(sql)
        assert kept.verified().ok


def family(kept: Keeping) -> None:
    for kind, parent in (("page", None), ("message", 1), ("other", None), ("decided", 2), ("started", 4), ("note", 1)):
        body = {"agent": "a" if parent else "b"} | ({"parent": parent} if parent else {})
        kept.ledger.append_now(kind, body, durable=False)


def test_lineage_goes_up_and_down(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        family(kept)
        assert [found.kind for found in kept.ledger.lineage(5)] == ["page", "message", "decided", "started"]
        assert [found.seq for found in kept.ledger.descent(1)] == [2, 4, 5, 6]
        assert (kept.ledger.lineage(99), kept.ledger.descent(5), kept.ledger.show(99)) == ([], [], None)


def test_the_tail_can_be_narrowed(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        family(kept)
        assert [found.seq for found in kept.ledger.tail(2)] == [5, 6]
        assert [found.seq for found in kept.ledger.tail(9, agent="a")] == [2, 4, 5, 6]
        assert [found.seq for found in kept.ledger.tail(9, agent="b", kind="other")] == [3]
        assert [found.seq for found in kept.ledger.tail(9, after=4)] == [5, 6]


def test_what_began_and_did_not_end_is_named(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        begun = [kept.ledger.append_now("started", {}, durable=True) for _ in range(3)]
        kept.ledger.append_now("finished", {"parent": begun[0]}, durable=False)
        kept.ledger.append_now("unknown", {"parent": begun[1]}, durable=False)
        assert [found.seq for found in kept.ledger.unfinished()] == [begun[2]]


def test_heads_are_signed_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ANCHOR_EVERY", 5)
    with Keeping(tmp_path) as kept:
        for _ in range(12):
            kept.decided()
        kept.close()
        assert len(kept.heads()) == 1
    with Keeping(tmp_path) as kept:
        kept.time.at += store.ANCHOR_SECONDS
        for _ in range(5):
            kept.decided()
    assert len(kept.heads()) == 2


def test_a_head_that_cannot_be_copied_is_a_problem_and_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ANCHOR_EVERY", 3)
    with Keeping(tmp_path) as kept:
        kept.anchor.copy = tmp_path / "missing" / "heads.jsonl"
        for _ in range(3):
            kept.decided()
        kept.close()
    assert "heads" in kept.ledger.anchor_problem
    with Keeping(tmp_path) as kept:
        assert len(kept.heads()) == 1
        assert kept.verified().ok


def test_an_empty_or_signed_ledger_is_not_signed_again(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        assert kept.ledger.anchor() is None
        kept.decided()
        head = kept.ledger.anchor()
        assert head is not None
        assert (head.seq, head.number, kept.ledger.anchor()) == (1, 1, None)


def test_a_closed_database_takes_no_record(tmp_path: Path) -> None:
    kept = Keeping(tmp_path)
    kept.close()
    with pytest.raises(Unavailable):
        kept.decided()
