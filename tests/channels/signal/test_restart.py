"""Ended in the middle, and begun again: nothing is lost, no turn runs twice, answers still find their questions."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.channels.signal.acting_house import ANN, CAT, EVE, House, open_database, settle_down, until

from bascule.channels.signal.outbox import Outbox

ROOT = Path(__file__).resolve().parents[3]


def test_a_question_asked_before_is_answered_after(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row = house.channel.ask()
            card = await house.card_for(ANN)
            await house.card_for(CAT)
            await settle_down(house)
        async with house.run():
            await settle_down(house)
            assert len([each for each in house.daemon.sent if "QUESTION" in each.text]) == 2, "asked once"
            house.daemon.react(ANN, "\U0001f44d", card.at)
            await until(lambda: row["state"] == "approved")

    asyncio.run(play())


def test_what_was_answered_meanwhile_is_told(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row, gone = house.channel.ask(), house.channel.ask()
            await house.sent(4)
        house.channel.settle(row, "consumed", "root")
        del house.channel.questions[gone["id"]]
        async with house.run():
            await until(lambda: any("approved by root" in text for text in house.told(CAT)))
            await until(lambda: any("is gone" in text for text in house.told(CAT)))

    asyncio.run(play())


def test_a_turn_that_had_begun_is_not_begun_again_and_its_sender_is_told(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.say(ANN, "hang")
            await until(lambda: len(house.channel.heard) == 1)
            house.daemon.say(ANN, "after it")
            await settle_down(house)
        async with house.run():
            await until(lambda: any("was restarted" in text for text in house.told(ANN)))
            await until(lambda: any("you said after it" in text for text in house.told(ANN)))
            assert [each.text for each in house.channel.heard] == ["hang", "after it"]

    asyncio.run(play())


def test_messages_that_came_while_nobody_listened_are_heard(house: House) -> None:
    async def play() -> None:
        house.daemon.say(ANN, "before we ever listened")
        async with house.run():
            house.daemon.say(ANN, "one")
            await house.sent(1)
        house.daemon.say(ANN, "two")
        async with house.run():
            await until(lambda: any("two" in text for text in house.told(ANN)))
            assert [each.text for each in house.channel.heard] == ["one", "two"]

    asyncio.run(play())


def test_what_was_not_sent_is_sent(house: House) -> None:
    async def play() -> None:
        async with house.run():
            await settle_down(house)
            before = len(house.daemon.sent)
            house.daemon.faults.status = (10_000, 500)
            house.daemon.say(ANN, "one")
            await until(lambda: len(house.channel.heard) == 1)
            await asyncio.sleep(0.05)
        house.daemon.faults.status = (0, 0)
        async with house.run():
            await house.sent(before + 1)
            assert house.told(ANN)[before:] == ["bruba-main:\nyou said one"]
            assert len(house.channel.heard) == 1

    asyncio.run(play())


def test_pairing_and_codes_are_remembered(house: House) -> None:
    async def play() -> None:
        async with house.run() as bridge:
            row = house.channel.ask()
            await house.card_for(ANN)
            house.daemon.say(EVE, "hello")
            await until(lambda: bool(house.told(EVE)))
            await bridge.pairing.approve(house.told(EVE)[0].split()[-1], "root")
            house.channel.settle(row, "denied", "root")
            await until(lambda: any("denied" in text for text in house.told(ANN)))
        async with house.run():
            house.daemon.say(EVE, f"I saw {row['code']}")
            house.daemon.say(EVE, "now I may talk")
            await until(lambda: bool(house.channel.heard))
            assert [each.text for each in house.channel.heard] == ["now I may talk"]

    asyncio.run(play())


@pytest.mark.live
def test_killed_again_and_again_nothing_is_lost_and_no_turn_runs_twice(house: House) -> None:
    said = 0
    for round_ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.channels.signal.killed", str(house.path), house.daemon.url], cwd=ROOT
        )
        try:
            before = house.daemon.connected
            deadline = time.monotonic() + 30
            while house.daemon.connected == before and time.monotonic() < deadline:
                time.sleep(0.01)
            if round_ == 0:
                cards = [each for each in house.daemon.wait_for(2, 20) if "QUESTION" in each.text]
                mine = next(each for each in cards if each.to == ANN.number)
                # From the first event on the place in the stream is kept; before it there is none to go back to.
                house.daemon.say(ANN, "first of all")
                house.daemon.wait_for(3, 20)
            for _ in range(5):
                house.daemon.say(ANN, f"message {said}")
                said += 1
                time.sleep(0.004 * round_)
            if round_ == 1:
                house.daemon.react(ANN, "\U0001f44d", mine.at)
            if round_ == 3:
                wanted = {f"message {number}" for number in range(said)}
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline and not settled(house, wanted):
                    time.sleep(0.02)
                time.sleep(0.3)
        finally:
            process.kill()
            process.wait()
    turns = (house.path / "turns").read_text().splitlines()
    assert len(turns) == len(set(turns)), "no turn ran twice"
    assert settled(house, {f"message {number}" for number in range(said)})
    assert (house.path / "answered").read_text() == "ann (signal)"
    database = open_database(house.path)
    assert Outbox(database, house.clock).soonest() is None
    assert database.read("SELECT count(*) FROM signal_inbox WHERE state != 'done'") == [(0,)]
    database.close()


def settled(house: House, wanted: set[str]) -> bool:
    """Every message was answered, or its sender was told that nobody knows how far it got."""
    told = house.told(ANN)
    answered = {text.removeprefix("bruba-main:\nyou said ") for text in told if text.startswith("bruba-main")}
    unknown = len([text for text in told if "was restarted" in text])
    return len(wanted - answered) <= unknown


def test_a_stored_message_that_cannot_be_read_is_left_out_once(house: House) -> None:
    database = open_database(house.path)
    database.write("INSERT INTO signal_inbox (key, event, received, state) VALUES ('k', 'nonsense', 0, 'new')")
    database.close()

    async def play() -> None:
        async with house.run():
            house.daemon.say(ANN, "hello")
            await house.sent(1)
            assert any("a stored message is left out" in each for each in house.log)

    asyncio.run(play())
    database = open_database(house.path)
    assert database.read("SELECT state FROM signal_inbox WHERE key = 'k'") in ([], [("done",)])
    database.close()
