"""What goes out: once, in order, ours first; and what is remembered of questions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channels.signal.acting_house import open_database
from tests.channels.simulated_channel import approval

from bascule.channels.signal.inbox import WRONG_CODES, Inbox
from bascule.channels.signal.outbox import Outbox, Post
from bascule.state.connection import Database


class Time:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at


TIME = Time


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def outbox(database: Database, time: Time) -> Outbox:
    return Outbox(database, time)


def words(once: str, to: str = "+491", kind: str = "words") -> Post:
    return Post(once, to, kind, once)


def put(outbox: Outbox, database: Database, *posts: Post) -> None:
    with database.transaction() as change:
        outbox.post(posts, change)


def drain(outbox: Outbox) -> list[str]:
    found = []
    while (waiting := outbox.next()) is not None:
        found.append(waiting.body)
        asyncio.run(outbox.sent(waiting.seq, 1000 + len(found)))
    return found


def question(number: int = 7) -> Any:
    return approval(number)


def card(person: str, to: str, number: int = 7, kind: str = "card") -> Post:
    row = question(number)
    return Post(f"card {row['id']} {to}", to, kind, "card", person, row["id"])


def test_each_goes_out_once_in_order_and_ours_before_an_agents(outbox: Outbox, database: Database) -> None:
    put(outbox, database, words("1"), words("2"), words("2"), words("n", kind="notice"), words("3", "+492"))
    assert drain(outbox) == ["n", "1", "2", "3"]
    put(outbox, database, words("1"))
    assert outbox.next() is None


def test_one_that_fails_holds_up_its_own_recipient_only(outbox: Outbox, database: Database, time: Time) -> None:
    put(outbox, database, words("a1"), words("a2"), words("b1", "+492"))
    first = outbox.next()
    assert first is not None
    outbox.later(first.seq, time.at + 50, "why")
    assert drain(outbox) == ["b1"]
    assert outbox.soonest() is not None
    assert outbox.troubles() == [("+491", "why")]
    time.at += 50
    assert drain(outbox) == ["a1", "a2"]
    assert outbox.troubles() == []


def test_a_question_is_found_by_whom_it_went_to_and_when(outbox: Outbox, time: Time, database: Database) -> None:
    outbox.asked(question(), [card("ann", "+491"), card("cat", "+492", kind="pointer")])
    outbox.asked(question(), [card("ann", "+491"), card("cat", "+492", kind="pointer")])
    assert outbox.codes == {"CODE0007"}
    assert outbox.card_at("ann", 0) is None, "what has not gone out has no time stamp"
    assert drain(outbox) == ["card", "card"]
    found = [outbox.card_at(person, at) for person in ("ann", "cat", "eve") for at in (1001, 1002)]
    assert [each and each.whole for each in found] == [True, None, None, False, None, None]
    assert outbox.waits_for("ann")
    assert Outbox(database, time).codes == {"CODE0007"}


def test_an_answer_is_told_once_to_those_who_saw_the_question(outbox: Outbox, time: Time) -> None:
    outbox.asked(question(), [card("ann", "+491"), card("cat", "+492"), card("dan", "+493")])
    first = outbox.next()
    assert first is not None
    asyncio.run(outbox.sent(first.seq, 1001))
    second = outbox.next()
    assert second is not None
    outbox.trying(second.seq)
    for _ in range(2):
        outbox.settle(question()["id"], "settled")
    told = []
    while (waiting := outbox.next()) is not None:
        told.append((waiting.recipient, waiting.body))
        asyncio.run(outbox.sent(waiting.seq, 2000 + len(told)))
    assert told == [("+491", "settled"), ("+492", "settled")], "the third never saw it; the second may have"
    assert not outbox.open_questions()
    assert not outbox.waits_for("ann")
    assert outbox.card_at("ann", 1001) is not None, "an answer that comes late is still known to be one"
    assert outbox.codes == {"CODE0007"}, "nor does its code reach a model later"
    time.at += 31 * 86_400
    outbox.forget()
    assert outbox.codes == frozenset()
    assert outbox.card_at("ann", 1001) is None


def test_wrong_codes_run_out_for_a_while_and_for_one_person(database: Database, time: Time) -> None:
    inbox = Inbox(database, time)
    for _ in range(WRONG_CODES):
        assert inbox.may_try("ann")
        inbox.wrong_code("ann")
    assert not inbox.may_try("ann")
    assert inbox.may_try("cat")
    time.at += 899
    assert not inbox.may_try("ann")
    time.at += 1
    assert inbox.may_try("ann")
    inbox.wrong_code("ann")
    assert inbox.may_try("ann"), "the count begins anew"


def test_the_place_in_the_stream_is_kept(database: Database, time: Time) -> None:
    inbox = Inbox(database, time)
    assert inbox.place() == ""
    inbox.passed("1-5")
    inbox.passed("")
    assert Inbox(database, time).place() == "1-5"
