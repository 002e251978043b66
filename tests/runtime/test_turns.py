"""The loop: every call raw to the gate, in order; refusals, questions, budgets; and nothing left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.runtime.world import AGENT, PAGE, SESSION, Crossed, asks, denied, ran, says, world

from bascule.core.answer import State
from bascule.core.call import Proposal
from bascule.core.errors import Unavailable
from bascule.core.label import OPERATOR
from bascule.runtime.asking import Asker
from bascule.runtime.events import ApprovalAwaited, TextDelta, ToolRefused, TurnStatus
from bascule.runtime.history import PendingCall, Turn
from bascule.runtime.messages import ModelSaid, Told, ToolsAnswered, UserSaid
from bascule.runtime.providers.port import Fault
from bascule.runtime.sessions import FRESH
from bascule.runtime.turns import Turns, Words


def test_words_in_words_out(tmp_path: Path) -> None:
    w = world(tmp_path, [says("hello there")])
    ended = asyncio.run(w.say("hi"))
    assert (ended.status, ended.text, ended.seq) == (TurnStatus.DONE, "hello there", 2)
    assert [kind for kind, _ in w.records.rows] == ["reply_opened", "reply_closed"]
    assert w.history.messages(SESSION) == (UserSaid("hi"), ModelSaid("hello there", provider="list:model"))
    assert w.kinds() == ["TurnBegan", "TextDelta", "TurnEnded"]
    w.close()


def test_every_call_goes_raw_to_the_gate_in_order(tmp_path: Path) -> None:
    calls = (
        ("read", '{"path":"a"}'),
        ("no such tool\n", '{"a":1,"a":2} x'),
        ("", "\ud800 not json"),
        ("exec", ""),
    )
    w = world(tmp_path, [says("", *calls), says("done")])
    asyncio.run(w.say("go"))
    assert [(p.untrusted_tool, p.untrusted_args) for p in w.gate.proposals] == list(calls)
    assert {p.parent for p in w.gate.proposals} == {2}
    answered = w.history.messages(SESSION)[2]
    assert isinstance(answered, ToolsAnswered)
    assert len(answered.answers) == len(calls)
    w.close()


def test_the_label_rises_before_the_next_call_and_is_what_the_gate_sees(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("read", "{}"), ("read", "{}")), says("done")], [ran("x", PAGE), ran("y", OPERATOR)])
    assert w.sessions.label(SESSION) == FRESH
    asyncio.run(w.say("go"))
    assert [p.label for p in w.gate.proposals] == [OPERATOR, OPERATOR.join(PAGE)]
    assert w.sessions.label(SESSION) == OPERATOR.join(PAGE)
    w.close()


def test_a_refusal_is_one_line_without_the_questions_id_or_code(tmp_path: Path) -> None:
    steps = [denied("outside\nyour home", "ask CODE1 apr_0000000000000001")]
    w = world(tmp_path, [says("", ("read", "{}")), says("ok")], steps)
    asyncio.run(w.say("go"))
    told = [event.told for event in w.events if isinstance(event, ToolRefused)]
    assert told == ["refused: outside your home (ask CODE1 the question)"]
    w.close()


def test_a_yes_is_waited_for_and_then_crossed_again_with_the_same_proposal(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("exec", '{"command":"ls"}')), says("ok")], [asks(7), ran("list")])

    async def story() -> None:
        turn = asyncio.create_task(w.say("go"))
        while not w.desk.asked:
            await asyncio.sleep(0)
        assert w.history.open_turns()[0].status is TurnStatus.WAITING
        with pytest.raises(Unavailable) as busy:
            await w.say("and?")
        assert busy.value.code == "session_busy"
        w.desk.settle("apr_0000000000000007", State.APPROVED)
        assert (await turn).status is TurnStatus.DONE

    asyncio.run(story())
    first, second = w.gate.proposals
    assert first == second
    kinds = w.kinds()
    order = ["ToolProposed", "ToolDecided", "ApprovalAwaited", "ApprovalAnswered", "ToolDecided", "ToolFinished"]
    assert [kind for kind in kinds if kind in order] == order
    assert "list" in w.history.messages(SESSION)[2].answers[0].text
    w.close()


@pytest.mark.parametrize("state", [State.DENIED, State.EXPIRED, State.CANCELLED, State.CONSUMED])
def test_without_a_yes_the_gate_is_not_asked_again(tmp_path: Path, state: State) -> None:
    w = world(tmp_path, [says("", ("exec", "{}")), says("ok")], [asks(3)])
    w.desk.settle("apr_0000000000000003", state)
    assert asyncio.run(w.say("go")).status is TurnStatus.DONE
    assert len(w.gate.proposals) == 1
    answer = w.history.messages(SESSION)[2].answers[0]
    assert answer.told is Told.REFUSED
    assert "apr_" not in answer.text
    assert "CODE" not in answer.text
    w.close()


def test_a_call_whose_question_changes_for_ever_is_refused(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("exec", "{}")), says("ok")], [asks(n) for n in range(1, 9)])
    for number in range(1, 9):
        w.desk.settle(f"apr_{number:016x}", State.APPROVED)
    asyncio.run(w.say("go"))
    assert 1 < len(w.gate.proposals) < 8
    assert w.history.messages(SESSION)[2].answers[0].told is Told.REFUSED
    w.close()


def test_the_step_budget_ends_the_turn_and_leaves_no_call_open(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("read", "{}")) for _ in range(9)])
    w.max_steps = 3
    ended = asyncio.run(w.say("go"))
    assert (ended.status, ended.code) == (TurnStatus.FAILED, "turn_budget")
    assert len(w.gate.proposals) == 3
    assert w.history.open_turns() == ()
    w.close()


class Witness:
    def __init__(self, answer: bool) -> None:
        self.answer = answer

    async def begun(self, turn: Turn, call: PendingCall) -> bool:
        assert call.crossed is None or call.crossed > 0
        return self.answer

    async def question(self, turn: Turn, call: PendingCall) -> str:
        return ""


@pytest.mark.parametrize(("witness", "told"), [(None, Told.UNKNOWN), (True, Told.UNKNOWN), (False, Told.REFUSED)])
def test_a_gate_that_cannot_record_is_told_and_the_turn_goes_on(
    tmp_path: Path, witness: bool | None, told: Told
) -> None:
    w = world(tmp_path, [says("", ("read", "{}")), says("ok")], [Unavailable("disk_full", "no space", "free some")])
    if witness is not None:
        w.turns = Turns(w.gate, w.desk, w.history, Asker(w.history, w.records), Witness(witness))
    assert asyncio.run(w.say("go")).status is TurnStatus.DONE
    answer = w.history.messages(SESSION)[2].answers[0]
    assert answer.told is told
    assert "no space (free some)" in answer.text
    w.close()


def test_a_bug_in_the_gate_ends_the_turn_as_unknown_and_is_not_hidden(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("read", "{}"), ("read", "{}"))], [ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        asyncio.run(w.say("go"))
    assert [answer.told for answer in w.history.messages(SESSION)[2].answers] == [Told.UNKNOWN, Told.CANCELLED]
    assert w.history.open_turns() == ()
    w.close()


def test_words_that_cannot_be_recorded_are_not_shown(tmp_path: Path) -> None:
    w = world(tmp_path, [says("secret words")])
    w.records.broken = Unavailable("disk_full", "no space")
    ended = asyncio.run(w.say("go"))
    assert (ended.status, ended.code) == (TurnStatus.FAILED, "disk_full")
    assert not [event for event in w.events if isinstance(event, TextDelta)]
    w.close()


def test_faults_are_asked_again_with_the_services_own_pause(tmp_path: Path) -> None:
    again = Fault("model_down", "down", again=True)
    answers = [Fault("model_rate_limited", "slow", again=True, wait=7.0), again, again, says("back")]
    w = world(tmp_path, answers)
    assert asyncio.run(w.say("go")).status is TurnStatus.DONE
    assert w.pauses == [7.0, 2.0, 4.0]
    assert [ask.number for ask in w.provider.asks] == [0, 1, 2, 3]
    w.close()


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        (Fault("model_key_refused", "bad key"), 1),
        (Fault("model_rate_limited", "come back tomorrow", again=True, wait=86_400.0), 1),
        (Fault("model_down", "down", again=True), 5),
    ],
)
def test_a_fault_that_stays_ends_the_turn_in_one_line(tmp_path: Path, fault: Fault, asked: int) -> None:
    w = world(tmp_path, [fault] * 9)
    ended = asyncio.run(w.say("go"))
    assert (ended.status, ended.code, len(w.provider.asks)) == (TurnStatus.FAILED, fault.code, asked)
    assert w.kinds()[-2:] == ["ModelFailed", "TurnEnded"]
    w.close()


def test_cancel_in_the_middle_of_a_call_leaves_a_complete_history(tmp_path: Path) -> None:
    async def hang(_: Proposal) -> Crossed:
        await asyncio.Event().wait()
        raise AssertionError

    w = world(tmp_path, [says("", ("read", "{}"), ("exec", "{}"), ("exec", "{}")), says("again")], [ran(), hang])

    async def story() -> None:
        turn = asyncio.create_task(w.say("go"))
        while len(w.gate.proposals) < 2:
            await asyncio.sleep(0)
        assert w.turns.cancel(SESSION)
        assert (await turn).status is TurnStatus.CANCELLED
        assert not w.turns.cancel(SESSION)
        assert (await w.say("go on")).status is TurnStatus.DONE

    asyncio.run(story())
    answers = w.history.messages(SESSION)[2].answers
    assert [answer.told for answer in answers] == [Told.DONE, Told.UNKNOWN, Told.CANCELLED]
    w.close()


def test_cancelling_the_caller_while_it_waits_withdraws_the_question(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("exec", "{}"))], [asks(9)])

    async def story() -> None:
        turn = asyncio.create_task(w.say("go"))
        while not w.desk.asked:
            await asyncio.sleep(0)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

    asyncio.run(story())
    assert w.desk.withdrawn == [SESSION]
    assert w.history.messages(SESSION)[2].answers[0].told is Told.CANCELLED
    assert w.sessions.get(SESSION).turn == "cancelled"
    w.close()


def test_cancel_mid_stream_keeps_what_was_said_and_proposes_nothing(tmp_path: Path) -> None:
    async def half(_ask: object, on_text: object) -> None:
        await on_text("half a sen")
        await asyncio.Event().wait()

    w = world(tmp_path, [half])

    async def story() -> None:
        turn = asyncio.create_task(w.say("go"))
        while "TextDelta" not in w.kinds():
            await asyncio.sleep(0)
        w.turns.cancel(SESSION)
        assert (await turn).status is TurnStatus.CANCELLED

    asyncio.run(story())
    assert w.history.messages(SESSION)[1] == ModelSaid("half a sen", provider="list:model")
    assert w.gate.proposals == []
    assert w.records.rows[-1][1]["ending"] == "cancelled"
    w.close()


def test_stop_leaves_a_waiting_turn_waiting_and_the_next_process_goes_on(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("read", "{}"), ("exec", "{}"), ("read", "{}"))], [ran("one"), asks(5)])

    async def first() -> None:
        turn = asyncio.create_task(w.say("go"))
        while not w.desk.asked:
            await asyncio.sleep(0)
        await w.turns.stop()
        with pytest.raises(asyncio.CancelledError):
            await turn

    asyncio.run(first())
    assert w.desk.withdrawn == []
    w.close()
    later = world(tmp_path, [says("all done")], [ran("two"), ran("three")])
    later.desk.settle("apr_0000000000000005", State.APPROVED)

    async def second() -> None:
        found = await later.turns.recover()
        assert found.interrupted == ()
        ended = await later.turns.resume(found.waiting[0], later.setting, later.events.append)
        assert (ended.status, ended.text) == (TurnStatus.DONE, "all done")

    asyncio.run(second())
    assert [p.untrusted_tool for p in later.gate.proposals] == ["exec", "read"]
    texts = [answer.text for answer in later.history.messages(SESSION)[2].answers]
    assert ["one" in texts[0], "two" in texts[1], "three" in texts[2]] == [True] * 3
    later.close()


def test_approval_events_carry_what_a_surface_needs(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("exec", "{}")), says("ok")], [asks(3), denied()])
    w.desk.settle("apr_0000000000000003", State.APPROVED)
    asyncio.run(w.say("go"))
    awaited = [event for event in w.events if isinstance(event, ApprovalAwaited)]
    assert [event.approval.id for event in awaited] == ["apr_0000000000000003"]
    assert w.history.messages(SESSION)[2].answers[0].text == "refused: not here (elsewhere)"
    w.close()


def test_a_stopping_gateway_begins_nothing(tmp_path: Path) -> None:
    w = world(tmp_path, [])

    async def story() -> None:
        await w.turns.stop()
        with pytest.raises(Unavailable):
            await w.turns.run(Words(AGENT, SESSION, "x", OPERATOR, "operator"), w.setting, w.events.append)

    asyncio.run(story())
    assert w.sessions.list() == ()
    w.close()
