"""Labels that only rise, transcripts that show everything, and a reset that leaves nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.runtime.world import AGENT, PAGE, SESSION, asks, denied, ran, says, world

from bascule.core.errors import Malformed, Unavailable
from bascule.core.ids import AgentId, SessionKey
from bascule.core.label import OPERATOR
from bascule.runtime.sessions import FRESH

OTHER = SessionKey("agent:bob:main")


def test_labels_join_and_never_fall(tmp_path: Path) -> None:
    w = world(tmp_path, [])
    assert w.sessions.rise(AGENT, SESSION, PAGE) == PAGE
    assert w.sessions.rise(AGENT, SESSION, OPERATOR) == PAGE.join(OPERATOR)
    assert w.sessions.rise(AGENT, SESSION, FRESH) == PAGE.join(OPERATOR)
    assert w.sessions.label(OTHER) == FRESH
    w.close()


def test_list_is_newest_first_and_of_one_agent_if_asked(tmp_path: Path) -> None:
    w = world(tmp_path, [says("hi")])
    w.sessions.rise(AgentId("bob"), OTHER, FRESH)
    asyncio.run(w.say("hello"))
    assert [info.key for info in w.sessions.list()] == [SESSION, OTHER]
    assert [info.key for info in w.sessions.list(AgentId("bob"))] == [OTHER]
    assert (w.sessions.get(SESSION).messages, w.sessions.get(SESSION).turn) == (2, "done")
    with pytest.raises(Malformed):
        w.sessions.get(SessionKey("agent:eve:main"))
    w.close()


def test_a_transcript_shows_words_calls_answers_and_ends_in_order(tmp_path: Path) -> None:
    answers = [says("let me see", ("read", "{}"), ("exec", "{bad")), says("", ("read", "{}"))]
    w = world(tmp_path, answers, [ran("x"), denied(), ran("y")])
    w.max_steps = 2
    asyncio.run(w.say("go"))
    lines = [(line.role, line.text.split("\n")[0]) for line in w.sessions.show(SESSION)]
    assert [role for role, _ in lines] == [
        "operator",
        "agent",
        "agent",
        "tool",
        "agent",
        "tool",
        "agent",
        "tool",
        "system",
    ]
    assert lines[0][1] == "go"
    assert lines[4:6] == [("agent", "calls exec {bad"), ("tool", "refused: not here (elsewhere)")]
    assert "2 steps" in lines[-1][1]
    w.close()


def test_reset_forgets_words_and_label(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("read", "{}")), says("x"), says("y")], [ran("secret", PAGE)])
    asyncio.run(w.say("go"))
    assert w.sessions.reset(SESSION) == OPERATOR.join(PAGE)
    assert w.sessions.label(SESSION) == FRESH
    assert w.sessions.show(SESSION) == ()
    assert w.history.asked(SESSION, "list:model") == 0
    asyncio.run(w.say("again"))
    assert len(w.provider.asks[-1].messages) == 1
    w.close()


def test_a_busy_session_is_not_reset(tmp_path: Path) -> None:
    w = world(tmp_path, [says("", ("exec", "{}"))], [asks(1)])

    async def story() -> None:
        turn = asyncio.create_task(w.say("go"))
        while not w.desk.asked:
            await asyncio.sleep(0)
        with pytest.raises(Unavailable) as busy:
            w.sessions.reset(SESSION)
        assert "approval" in busy.value.message
        w.turns.cancel(SESSION)
        await turn

    asyncio.run(story())
    assert w.sessions.show(SESSION)
    w.close()
