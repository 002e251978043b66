"""The daemon, one fault at a time: nothing is lost, nothing happens twice, and the status says what is wrong."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from demo.signal_daemon import SignalDaemon
from tests.channels.signal.acting_house import ANN, BEN, CAT, EVE, US, House, policy, settle_down, until

from bascule.channels.signal import bridge as bridge_module
from bascule.core.errors import Unavailable


def codes(house: House) -> list[str]:
    assert house.bridge is not None
    return [problem["code"] for problem in house.bridge.problems()]


def test_a_stream_that_drops_is_taken_up_where_it_ended(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.say(ANN, "one")
            await house.sent(1)
            house.daemon.drop()
            house.daemon.say(ANN, "two")
            await house.sent(2)
            house.daemon.drop()
            house.daemon.drop()
            house.daemon.say(ANN, "three")
            await house.sent(3)
            assert [each.text for each in house.channel.heard] == ["one", "two", "three"]

    asyncio.run(play())


def test_a_daemon_that_begins_anew_or_replays_repeats_nothing(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row = house.channel.ask()
            card = await house.card_for(ANN)
            await house.card_for(CAT)
            at = house.daemon.stamp()
            for _ in range(3):
                house.daemon.say(BEN, "once", at=at)
                house.daemon.react(ANN, "\U0001f44d", card.at, at=at + 1)
            await until(lambda: row["state"] == "approved")
            await house.sent(5)
            house.daemon.restart()
            house.daemon.say(BEN, "once", at=at)
            await settle_down(house)
            assert [each.text for each in house.channel.heard] == ["once"]
            assert len([caller for caller in house.channel.callers if caller.person == "ann"]) == 1

    asyncio.run(play())


def test_messages_out_of_order_are_each_understood_by_themselves(house: House) -> None:
    async def play() -> None:
        async with house.run():
            first, second = house.channel.ask(), house.channel.ask()
            await until(lambda: len(house.told(ANN)) == 2)
            cards = {each.text.split()[2]: each for each in house.daemon.sent if each.to == ANN.number}
            late, early = house.daemon.stamp(), house.daemon.stamp() - 5_000
            house.daemon.react(ANN, "\U0001f44e", cards[second["code"]].at, at=late)
            house.daemon.say(ANN, "yes", quote=house.daemon.quote(cards[first["code"]].at), at=early)
            await until(lambda: (first["state"], second["state"]) == ("approved", "denied"))

    asyncio.run(play())


@pytest.mark.parametrize(
    "content",
    [
        b"data:nope\n\n", b"data:{}\n\n", b"data:[1]\n\n", b"data:\xff\xfe\n\n", b"event:other\ndata:{}\n\n",
        b"\x00\x01\x02\n\n", b"id:\xff\ndata:{}\n\n", b"event:receive\n\n", b"data:" + b"[" * 60_000 + b"\n\n",
        b"data:" + json.dumps({"envelope": {"sourceNumber": "+491", "timestamp": -5}}).encode() + b"\n\n",
        b"data:" + b"x" * (3 << 20) + b"\n\n",
    ],
    ids=range(11),
)  # fmt: skip
def test_garbage_in_the_stream_is_left_out_and_the_rest_is_heard(house: House, content: bytes) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.raw(content)
            house.daemon.say(ANN, "after")
            await house.sent(1)
            assert [each.text for each in house.channel.heard] == ["after"]
            assert house.daemon.connected == 1, "no reason to connect again"

    asyncio.run(play())


def test_another_accounts_events_are_not_ours(house: House) -> None:
    async def play() -> None:
        async with house.run():
            at = house.daemon.stamp()
            envelope = {
                "sourceNumber": ANN.number,
                "timestamp": at,
                "dataMessage": {"timestamp": at, "message": "stop"},
            }
            house.daemon.emit(json.dumps({"envelope": envelope, "account": EVE.number}))
            await settle_down(house)
            assert house.channel.contained == {}

    asyncio.run(play())


def test_a_daemon_that_is_away_is_a_problem_and_messages_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_module, "QUIET_SECONDS", 0.0)

    async def play() -> None:
        async with house.run():
            house.daemon.stop()
            row = house.channel.ask()
            await until(lambda: codes(house) and "signal_unreachable" in codes(house))
            house.daemon.start()
            await house.card_for(ANN)
            await until(lambda: codes(house) == [])
            house.channel.settle(row, "denied", "root")
            await until(lambda: any("denied by root" in text for text in house.told(ANN)))

    asyncio.run(play())


@pytest.mark.parametrize("status", [500, 503, 404])
def test_answers_of_another_status_are_tried_again(house: House, status: int) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.faults.status = (3, status)
            house.daemon.faults.nonsense = 2
            house.channel.ask()
            await house.card_for(ANN)
            await house.card_for(CAT)
            assert len(house.daemon.sent) == 2

    asyncio.run(play())


def test_a_rate_limit_is_respected_and_told(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.faults.limited = (1, 3600)
            house.channel.ask()
            await until(lambda: "signal_rate_limited" in codes(house))
            attempts = len([1 for method, _ in house.daemon.calls if method == "send"])
            assert attempts == 1
            for word in ("a", "b"):
                house.daemon.say(BEN, word)
            await until(lambda: len(house.channel.heard) == 2)
            assert [method for method, _ in house.daemon.calls].count("send") == attempts, (
                "nothing is tried before the time"
            )
            house.clock.ahead += 3601
            house.channel.ask()
            await house.sent(6)
            assert "QUESTION" in house.daemon.sent[0].text, "ours first"
            assert "signal_rate_limited" not in codes(house)

    asyncio.run(play())


def test_a_changed_safety_number_holds_back_its_own_recipient_only(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.faults.untrusted.add(ANN.number or "")
            house.channel.ask()
            await house.card_for(CAT)
            await until(lambda: "signal_not_sent" in codes(house))
            assert house.bridge is not None
            assert "signal-cli trust" in house.bridge.problems()[0]["remedy"]
            assert house.told(ANN) == []
            house.daemon.faults.untrusted.clear()
            await house.card_for(ANN)

    asyncio.run(play())


def test_somebody_who_is_not_on_signal_is_given_up(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.faults.unregistered.add(ANN.number or "")
            house.channel.ask()
            await house.card_for(CAT)
            await until(lambda: any("not on Signal" in each["message"] for each in house.bridge.problems()))  # type: ignore[union-attr]
            sends = [params for method, params in house.daemon.calls if method == "send"]
            assert len(sends) == 2

    asyncio.run(play())


def test_a_lost_answer_sends_again_and_only_the_known_message_can_be_answered(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.faults.lost = 1
            row = house.channel.ask()
            await until(lambda: len(house.told(ANN)) == 2)
            lost, known = (each for each in house.daemon.sent if each.to == ANN.number)
            house.daemon.react(ANN, "\U0001f44d", lost.at)
            await settle_down(house)
            assert row["state"] == "pending"
            house.daemon.react(ANN, "\U0001f44d", known.at)
            await until(lambda: row["state"] == "approved")

    asyncio.run(play())


def test_slow_answers_hold_up_no_stop(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.daemon.faults.slow = 5.0
            house.channel.ask()
            house.daemon.say(ANN, "stop")
            await until(lambda: bool(house.channel.contained))
            assert house.daemon.sent == []

    asyncio.run(play())


@pytest.mark.parametrize(
    ("many", "account", "problem"), [(True, US, ""), (True, EVE, "signal_not_linked"), (False, EVE, "")]
)
def test_a_daemon_of_many_accounts_must_have_ours(
    house: House, many: bool, account: Any, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_module, "QUIET_SECONDS", 0.0)

    async def play() -> None:
        house.daemon.stop()
        house.daemon = SignalDaemon(account, many=many).start()
        try:
            async with house.run(connected=not problem):
                if problem:
                    await until(lambda: problem in codes(house))
                else:
                    await until(lambda: codes(house) == [])
                    house.channel.ask()
                    await house.card_for(ANN)
                assert all(params["account"] == US.number for method, params in house.daemon.calls)
        finally:
            house.daemon.stop()

    asyncio.run(play())


def test_an_older_daemon_that_keeps_no_events_is_served_too(house: House) -> None:
    async def play() -> None:
        house.daemon.resumes = False
        async with house.run():
            house.daemon.say(ANN, "one")
            await house.sent(1)
            before = house.daemon.connected
            house.daemon.drop()
            await until(lambda: house.daemon.connected > before)
            house.daemon.say(ANN, "two")
            await house.sent(2)

    asyncio.run(play())


def test_stop_is_obeyed_though_nothing_can_be_written(house: House) -> None:
    async def play() -> None:
        async with house.run() as bridge:

            async def full(*_: object) -> None:
                raise Unavailable("disk_full", "no space is left")

            bridge._to.inbox.take = full  # type: ignore[assignment, method-assign]
            house.daemon.say(ANN, "stop")
            await until(lambda: bool(house.channel.contained))

    asyncio.run(play())


def test_an_answer_that_cannot_be_written_is_said_not_to_count(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row = house.channel.ask()
            card = await house.card_for(ANN)
            house.channel.answering = Unavailable("disk_full", "no space is left", "free some")
            house.daemon.react(ANN, "\U0001f44d", card.at)
            await until(
                lambda: any(
                    "Not answered: no space is left (free some) [disk_full]" in text for text in house.told(ANN)
                )
            )
            assert row["state"] == "pending"

    asyncio.run(play())


def test_a_stop_that_fails_says_so(house: House) -> None:
    async def play() -> None:
        async with house.run():
            house.channel.stopping = Unavailable("disk_full", "no space is left")
            house.daemon.say(ANN, "stop")
            await until(lambda: any("no space is left [disk_full]" in text for text in house.told(ANN)))

    asyncio.run(play())


def test_a_desk_that_says_nothing_is_asked_again(house: House) -> None:
    async def play() -> None:
        house.channel.watching = False
        async with house.run():
            row = house.channel.ask()
            await house.card_for(ANN)
            house.channel.settle(row, "expired", "")
            await until(lambda: any("expired" in text for text in house.told(ANN)))

    asyncio.run(play())


def test_a_stranger_gets_one_code_and_the_next_ones_silence(house: House) -> None:
    async def play() -> None:
        async with house.run() as bridge:
            for text in ("hello", "hello?", "are you there"):
                house.daemon.say(EVE, text)
            await settle_down(house)
            [told] = house.told(EVE)
            code = told.split()[-1]
            assert [row["code"] for row in bridge.pairing.list()] == [code]
            await bridge.pairing.approve(code, "root")
            house.daemon.say(EVE, "hello again")
            await until(lambda: len(house.told(EVE)) == 2)
            [heard] = house.channel.heard
            assert (heard.text, heard.trusted, heard.origin) == ("hello again", False, "signal")

    asyncio.run(play())


def test_a_busy_session_is_waited_for_and_then_said_to_be_busy(house: House) -> None:
    async def play() -> None:
        house.policy = policy(chunk=500)
        async with house.run():
            house.daemon.say(ANN, "busy")
            await until(lambda: any("busy" in text for text in house.told(ANN)))
            assert len(house.channel.heard) > 1

    asyncio.run(play())
