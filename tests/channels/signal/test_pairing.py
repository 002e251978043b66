"""Who is let in, and how little a stranger can make us do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.channels.signal.acting_house import open_database

from bascule.channels.signal.pairing import MOST_AN_HOUR, MOST_WAITING, Pairing
from bascule.core.errors import Malformed
from bascule.policy.senders import Sender

UUID = "00000000-0000-4000-8000-00000000000{}"


class Time:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pairing(tmp_path: Path, time: Time) -> Iterator[Pairing]:
    database = open_database(tmp_path)
    yield Pairing(database, time)
    database.close()


def number(which: int) -> Sender:
    return Sender(f"+4915{which:08d}")


def approve(pairing: Pairing, code: str, by: str = "root") -> dict[str, str]:
    return dict(asyncio.run(pairing.approve(code, by)))  # type: ignore[arg-type]


def test_a_sender_asks_once_and_is_let_in_by_its_code(pairing: Pairing, time: Time) -> None:
    eve = Sender("+491521", UUID.format(1))
    code = pairing.ask(eve)
    assert code is not None
    assert len(code) == 8
    assert not pairing.admitted(eve)
    assert [pairing.ask(eve), pairing.ask(Sender("", eve.uuid)), pairing.ask(Sender(eve.number))] == [None] * 3
    [row] = pairing.list()
    assert (row["code"], row["state"]) == (code, "waiting")
    assert eve.number in row["sender"]
    assert approve(pairing, f"{code[:4]}-{code[4:].lower()}")["state"] == "approved"
    assert pairing.admitted(eve)
    assert pairing.admitted(Sender("", eve.uuid))
    assert not pairing.admitted(Sender(eve.number, UUID.format(2))), "the number is somebody else's now"
    assert not pairing.admitted(Sender("+491529"))
    time.at += 10 * 86_400
    assert pairing.admitted(eve)
    with pytest.raises(Malformed):
        approve(pairing, code)


@pytest.mark.parametrize("code", ["", "00000000", "nonsense", "apr_0000000000000000", "x" * 100])
def test_no_other_code_lets_anybody_in(pairing: Pairing, code: str) -> None:
    pairing.ask(number(1))
    with pytest.raises(Malformed) as refused:
        approve(pairing, code)
    assert refused.value.code == "pairing_unknown"
    assert not pairing.admitted(number(1))


def test_a_code_ends_after_an_hour_and_the_sender_may_ask_again(pairing: Pairing, time: Time) -> None:
    code = pairing.ask(number(1))
    assert code is not None
    time.at += 3_599
    assert pairing.ask(number(1)) is None
    time.at += 1
    assert [row["state"] for row in pairing.list()] == ["expired"]
    with pytest.raises(Malformed):
        approve(pairing, code)
    assert pairing.ask(number(1)) not in {None, code}


def test_few_wait_at_once_and_few_are_answered_in_an_hour(pairing: Pairing, time: Time) -> None:
    codes = [pairing.ask(number(each)) for each in range(MOST_WAITING + 5)]
    assert [code is not None for code in codes] == [True] * MOST_WAITING + [False] * 5
    answered = MOST_WAITING
    for each in range(100, 140):
        waiting = next((row for row in pairing.list() if row["state"] == "waiting"), None)
        if waiting is not None:
            approve(pairing, waiting["code"])
        answered += pairing.ask(number(each)) is not None
    assert answered == MOST_AN_HOUR
    time.at += 3_600
    assert pairing.ask(number(200)) is not None


def test_a_clock_set_back_gives_no_code_more_time(pairing: Pairing, time: Time) -> None:
    code = pairing.ask(number(1))
    assert code is not None
    time.at -= 5_000
    with pytest.raises(Malformed):
        approve(pairing, code)


def test_who_was_let_in_stays_so_over_a_restart(tmp_path: Path, time: Time) -> None:
    database = open_database(tmp_path)
    code = Pairing(database, time).ask(number(1))
    assert code is not None
    approve(Pairing(database, time), code)
    database.close()
    again = open_database(tmp_path)
    assert Pairing(again, time).admitted(number(1))
    again.close()
