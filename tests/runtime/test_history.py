"""Conversations read back whole, windows that cut between turns, and recovery by what was written before a crash."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.world import AGENT, SESSION, ran, says, world

from bascule.core.errors import Unavailable
from bascule.core.label import OPERATOR
from bascule.runtime.events import TurnStatus
from bascule.runtime.history import window
from bascule.runtime.messages import Message, ModelSaid, Told, ToolAnswer, ToolRequest, ToolsAnswered, UserSaid

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800 alone", "\u202eflip", "üñ"])
def test_any_string_of_a_model_survives_the_database(tmp_path: Path, text: str) -> None:
    w = world(
        tmp_path, [says(text, (text, text)), says("end")], [ran(text.encode("utf-8", "backslashreplace").decode())]
    )
    asyncio.run(w.say(text))
    user, model, _, _ = w.history.messages(SESSION)
    assert user == UserSaid(text)
    assert isinstance(model, ModelSaid)
    assert (model.text, model.calls) == (text, (ToolRequest(text, text),))
    w.close()


def test_only_one_turn_is_open_in_a_session(tmp_path: Path) -> None:
    w = world(tmp_path, [])
    w.history.begin(AGENT, SESSION, "one", OPERATOR, "operator")
    with pytest.raises(Unavailable) as busy:
        w.history.begin(AGENT, SESSION, "two", OPERATOR, "operator")
    assert busy.value.code == "session_busy"
    assert w.history.messages(SESSION) == (UserSaid("one"),)
    w.close()


def test_what_a_crash_left_is_told_by_how_far_it_had_come(tmp_path: Path) -> None:
    w = world(tmp_path, [])
    turn = w.history.begin(AGENT, SESSION, "go", OPERATOR, "operator")
    said = ModelSaid("", tuple(ToolRequest("read", str(n)) for n in range(3)), provider="p")
    w.history.add_reply(turn, said, 7)
    first, second, _ = w.history.open_calls(turn)
    w.history.crossing(first)
    w.history.answer(turn, first, ToolAnswer("fine", Told.DONE), None)
    w.history.crossing(second)
    w.close()
    later = world(tmp_path, [says("on")])
    found = asyncio.run(later.turns.recover())
    assert [ended.status for ended in found.interrupted] == [TurnStatus.INTERRUPTED]
    assert "outcome unknown: read" in found.interrupted[0].message
    answers = later.history.messages(SESSION)[2]
    assert isinstance(answers, ToolsAnswered)
    assert [answer.told for answer in answers.answers] == [Told.DONE, Told.UNKNOWN, Told.CANCELLED]
    assert asyncio.run(later.turns.recover()).interrupted == ()
    assert later.gate.proposals == []
    assert asyncio.run(later.say("go on")).status is TurnStatus.DONE
    later.close()


def test_an_answer_is_stored_once(tmp_path: Path) -> None:
    w = world(tmp_path, [])
    turn = w.history.begin(AGENT, SESSION, "go", OPERATOR, "operator")
    w.history.add_reply(turn, ModelSaid("", (ToolRequest("read", ""),)), None)
    (call,) = w.history.open_calls(turn)
    w.history.answer(turn, call, ToolAnswer("first", Told.DONE), None)
    w.history.answer(turn, call, ToolAnswer("second", Told.DONE), None)
    assert w.history.messages(SESSION)[2] == ToolsAnswered((ToolAnswer("first", Told.DONE),))
    w.close()


TURN = st.builds(
    lambda words, replies: [
        UserSaid(words),
        *(
            message
            for text in replies
            for message in (
                ModelSaid(text, (ToolRequest("t", text),)),
                ToolsAnswered((ToolAnswer(text, Told.DONE),)),
            )
        ),
    ],
    ANY_TEXT,
    st.lists(ANY_TEXT, max_size=3),
)


@given(st.lists(TURN, max_size=5), st.integers(0, 200))
def test_a_window_is_a_tail_that_begins_with_words(turns: list[list[Message]], size: int) -> None:
    messages = tuple(message for turn in turns for message in turn)
    cut = window(messages, size)
    assert cut == messages[len(messages) - len(cut) :]
    if messages:
        assert isinstance(cut[0], UserSaid)
        assert cut[-len(turns[-1]) :] == tuple(turns[-1])
