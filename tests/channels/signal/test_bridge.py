"""The bridge between a simulated gateway and a simulated daemon: questions, answers, words, stop."""

from __future__ import annotations

import asyncio

import pytest
from tests.channels.signal.acting_house import ANN, BEN, CAT, EVE, GROUP, US, House, policy, settle_down, until


def test_a_question_reaches_every_approver_and_a_thumb_answers_it(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row = house.channel.ask()
            card = await house.card_for(ANN)
            other = await house.card_for(CAT)
            assert row["code"] in card.text
            assert "path: a.txt" in card.text
            assert not house.told(BEN)
            assert not house.told(EVE)
            house.daemon.react(ANN, "\U0001f44d\U0001f3fd", card.at)
            await until(lambda: row["state"] == "approved")
            assert row["answered_by"] == "ann (signal)"
            assert house.channel.callers[-1].person == "ann"
            await until(lambda: len(house.told(ANN)) == 2 and len(house.told(CAT)) == 2)
            assert "approved by ann (signal)" in house.told(CAT)[1]
            assert other.at != card.at

    asyncio.run(play())


def test_a_reply_answers_it_and_the_second_is_told_who_was_first(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row = house.channel.ask()
            card, other = await house.card_for(ANN), await house.card_for(CAT)
            house.daemon.say(CAT, " No ", quote=house.daemon.quote(other.at))
            await until(lambda: row["state"] == "denied")
            house.daemon.say(ANN, "yes", quote=house.daemon.quote(card.at))
            await until(lambda: any("already denied by cat (signal)" in text for text in house.told(ANN)))
            assert house.channel.heard == []

    asyncio.run(play())


def test_codes_answer_and_wrong_ones_run_out(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row, second = house.channel.ask(), house.channel.ask()
            await house.card_for(ANN)
            house.daemon.say(ANN, f"YES {row['code'].lower()}")
            await until(lambda: row["state"] == "approved")
            for number in range(6):
                house.daemon.say(ANN, f"no 1111111{number}")
            await until(lambda: any("Too many wrong codes" in text for text in house.told(ANN)))
            house.daemon.say(ANN, f"yes {second['code']}")
            await settle_down(house)
            assert second["state"] == "pending"
            house.daemon.say(CAT, f"no {second['code'][:4]}-{second['code'][4:]}")
            await until(lambda: second["state"] == "denied")
            house.clock.ahead += 1000
            third = house.channel.ask()
            house.daemon.say(ANN, f"yes {third['code']}")
            await until(lambda: third["state"] == "approved")
            assert house.channel.heard == []

    asyncio.run(play())


def test_what_decides_nothing_decides_nothing_and_reaches_no_model(house: House) -> None:
    async def play() -> None:
        async with house.run():
            row = house.channel.ask()
            card = await house.card_for(ANN)
            quote = house.daemon.quote(card.at)
            code = row["code"]
            house.daemon.say(ANN, code)
            house.daemon.say(ANN, f"I think {code[:4]} {code[4:].lower()} is fine")
            house.daemon.say(ANN, card.text)
            house.daemon.say(ANN, "yes please", quote=quote)
            house.daemon.say(ANN, f"yes {row['id']}")
            house.daemon.say(BEN, "yes", quote=quote)
            house.daemon.say(BEN, f"yes {code}")
            house.daemon.say(EVE, "yes", quote=quote)
            house.daemon.say(EVE, f"yes {code}")
            house.daemon.say(CAT, "yes", quote=quote)
            house.daemon.say(ANN, "yes", quote=house.daemon.quote(card.at, EVE))
            house.daemon.react(BEN, "\U0001f44d", card.at)
            house.daemon.react(CAT, "\U0001f44d", card.at)
            house.daemon.react(ANN, "\U0001f44d", card.at + 1)
            house.daemon.react(ANN, "\U0001f44d", card.at, EVE)
            house.daemon.react(ANN, "\u2764", card.at)
            house.daemon.react(ANN, "\U0001f44d", card.at, removed=True)
            house.daemon.react(ANN, "\U0001f44d", card.at, group=GROUP)
            house.daemon.say(ANN, f"yes {code}", group=GROUP)
            at = house.daemon.stamp()
            data = {"timestamp": at, "message": f"yes {code}", "expiresInSeconds": 0}
            house.daemon.deliver(ANN, at, editMessage={"targetSentTimestamp": card.at, "dataMessage": data})
            house.daemon.deliver(US, at, syncMessage={"sentMessage": {"destination": ANN.number, **data}})
            house.daemon.say(US, f"yes {code}")
            await settle_down(house)
            assert row["state"] == "pending"
            assert {caller.person for caller in house.channel.callers} <= {"ann", "ben"}
            heard = [each.text for each in house.channel.heard]
            assert heard == ["yes", "yes"], "a bare yes of those who chat, quoting what was no question to them"
            assert not any(code in text for text in heard)

    asyncio.run(play())


def test_stop_comes_before_words_that_wait(house: House) -> None:
    async def play() -> None:
        house.channel.gate = asyncio.Event()
        async with house.run():
            house.daemon.say(ANN, "first")
            await until(lambda: len(house.channel.heard) == 1)
            house.daemon.say(ANN, "second")
            house.daemon.say(EVE, "STOP")
            house.daemon.say(ANN, " Stop ALL ")
            await until(lambda: bool(house.channel.contained))
            house.channel.gate.set()
            await until(lambda: any("Stopped: " in text for text in house.told(ANN)))
            await until(lambda: any("not passed on" in text for text in house.told(ANN)))
            assert [each.text for each in house.channel.heard if each.text == "second"] == []
            assert set(house.channel.contained.values()) == {"stop over Signal"}

    asyncio.run(play())


def test_a_bare_yes_is_told_at_once_that_it_answers_nothing(house: House) -> None:
    async def play() -> None:
        house.channel.gate = asyncio.Event()
        async with house.run():
            house.daemon.say(ANN, "do it")
            await until(lambda: len(house.channel.heard) == 1)
            row = house.channel.ask()
            await house.card_for(ANN)
            house.daemon.say(ANN, "yes")
            await until(lambda: any("answers no question" in text for text in house.told(ANN)))
            assert (row["state"], [each.text for each in house.channel.heard]) == ("pending", ["do it"])
            house.channel.gate.set()
            await until(lambda: house.channel.heard[-1].text == "yes")
            await settle_down(house)
            assert sum("answers no question" in text for text in house.told(ANN)) == 1

    asyncio.run(play())


def test_words_and_answers_go_in_order_to_their_sessions(house: House) -> None:
    async def play() -> None:
        house.policy = policy(allow_from=(EVE.number,), dm_policy="allowlist")
        async with house.run():
            for word in ("one", "two", "three"):
                house.daemon.say(ANN, word)
            house.daemon.say(EVE, "hello")
            house.daemon.say(EVE, "hi all", group=GROUP, mentions=[{"number": US.number, "uuid": US.uuid}])
            house.daemon.say(EVE, "not for us", group=GROUP)
            house.daemon.say(BEN, "not listed there", group=GROUP, mentions=[{"number": US.number, "uuid": US.uuid}])
            await house.sent(5)
            assert house.told(ANN) == [f"bruba-main:\nyou said {word}" for word in ("one", "two", "three")]
            assert house.told(EVE) == ["bruba-main:\nyou said hello"]
            group = [each for each in house.daemon.sent if each.to == f"group:{GROUP}"]
            assert len(group) == 1
            assert "hi all" in group[0].text
            by = {each.text.rpartition(": ")[2]: each for each in house.channel.heard}
            assert by["one"].trusted
            assert by["one"].session is None
            assert by["one"].origin == "operator"
            stranger, grouped = by["hello"], by["hi all"]
            assert not stranger.trusted
            assert stranger.session == f"agent:bruba-main:signal:direct:{EVE.number}"
            assert not grouped.trusted
            assert grouped.origin == "group"
            assert grouped.session is not None
            assert grouped.session.startswith("agent:bruba-main:signal:group:")
            assert len(grouped.session.rpartition(":")[2]) == 16

    asyncio.run(play())


@pytest.mark.parametrize("text", ["down", "break"])
def test_no_answer_is_said_plainly_to_operators_and_shortly_to_strangers(house: House, text: str) -> None:
    async def play() -> None:
        house.policy = policy(allow_from=(EVE.number,))
        async with house.run():
            house.daemon.say(ANN, text)
            house.daemon.say(EVE, text)
            await house.sent(2)
            [ours], [theirs] = house.told(ANN), house.told(EVE)
            assert "did not answer" in ours
            assert "secret" not in ours
            assert theirs == "\U0001f510 There is no answer at the moment."

    asyncio.run(play())
