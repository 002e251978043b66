"""Questions: durable before shown, answered once, used once, in time, for this very call."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import AGENT
from tests.keeping import ASKS, CARD, CLEAN, DIRTY, Keeping, call, rules
from tests.simulators import Time

from bascule.core.answer import State
from bascule.core.errors import Malformed, NotPermitted, Unavailable
from bascule.core.verdict import Decision, allow, deny

OPERATORS = ("operator", "second")


def run(coroutine):
    return asyncio.run(coroutine)


def yes(kept: Keeping, reference: str, by: str = "operator", answer: State = State.APPROVED):
    return run(kept.desk.answer(reference, answer, by=by, approvers=OPERATORS))


def kinds(kept: Keeping) -> list[str]:
    return [found.kind for found in kept.ledger.tail(99)]


def test_a_question_asked_answered_and_used(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        assert (asked.state, asked.card, asked.tool, asked.seq) == (State.PENDING, CARD, "write", 1)
        assert asked.expires - asked.created == rules().approval_seconds
        assert run(kept.desk.take(call(), rules())) is None
        said = yes(kept, asked.code.lower())
        assert (said.won, said.approval.state, said.approval.answered_by) == (True, State.APPROVED, "operator")
        taken = run(kept.desk.take(call(), rules()))
        assert (taken.id, taken.state, taken.answered_by) == (asked.id, State.CONSUMED, "operator")
        assert run(kept.desk.take(call(), rules())) is None
        assert kinds(kept) == ["decided", "asked", "approved", "consumed"]
        assert [found.parent for found in kept.ledger.tail(3)] == [1, 1, 1]
        assert kept.verified().ok


def test_one_call_has_one_card(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        first, again, other = run(kept.asked()), run(kept.asked()), run(kept.asked("other.md"))
        assert (first, first.id == other.id) == (again, False)
        yes(kept, first.id)
        assert run(kept.asked()).state is State.APPROVED
        assert [found.id for found in run(kept.desk.list())] == [first.id, other.id]


@pytest.mark.parametrize("decision", [Decision((allow("x"),)), Decision((deny("x", "y", "z"),)), Decision(())])
def test_only_ask_is_a_question(tmp_path: Path, decision: Decision) -> None:
    with Keeping(tmp_path) as kept:
        with pytest.raises(NotPermitted):
            run(kept.desk.open(call(), decision, CARD, kept.decided(), rules()))
        assert run(kept.desk.list()) == []


def test_the_first_answer_wins_and_the_second_is_told(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        yes(kept, asked.id, "second", State.DENIED)
        late = yes(kept, asked.id)
        assert (late.won, late.approval.state, late.approval.answered_by) == (False, State.DENIED, "second")
        assert (run(kept.desk.take(call(), rules())), kinds(kept)) == (None, ["decided", "asked", "denied"])


@pytest.mark.parametrize("answer", [State.PENDING, State.CONSUMED, State.EXPIRED])
def test_some_words_are_no_answer(tmp_path: Path, answer: State) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        with pytest.raises(Malformed):
            yes(kept, asked.id, answer=answer)
        assert run(kept.desk.show(asked.id)).state is State.PENDING


def test_only_those_named_may_answer(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        with pytest.raises(NotPermitted):
            yes(kept, asked.id, "stranger")
        with pytest.raises(NotPermitted):
            run(kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=()))
        with pytest.raises(Malformed):
            yes(kept, "apr_" + "0" * 16)
        assert run(kept.desk.show(asked.code)).state is State.PENDING


OTHERS = {
    "another file": lambda: (call("other.md"), rules()),
    "another session": lambda: (replace(call(), session="agent:bruba-main:other"), rules()),
    "another agent": lambda: (replace(call(), agent="bruba-web"), rules()),
    "another policy": lambda: (call(), rules(version="w" * 64)),
    "less trusted": lambda: (call(label=replace(CLEAN, integrity=DIRTY.integrity)), rules()),
    "more private": lambda: (call(label=replace(CLEAN, confidentiality=DIRTY.confidentiality)), rules()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_yes_is_for_this_very_call(tmp_path: Path, name: str) -> None:
    with Keeping(tmp_path) as kept:
        yes(kept, run(kept.asked()).id)
        other, under = OTHERS[name]()
        assert run(kept.desk.matching(other, under)) is None
        assert run(kept.desk.take(other, under)) is None
        assert run(kept.desk.take(call(), rules())) is not None


def test_a_lower_label_is_within_the_cards(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        yes(kept, run(kept.asked(label=DIRTY)).id)
        assert run(kept.desk.take(call(label=CLEAN), rules())) is not None


def test_a_question_that_can_match_no_more_gives_way(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        clean, dirty = run(kept.asked()), run(kept.asked(label=DIRTY))
        newer = run(kept.asked(label=DIRTY, under=rules(version="w" * 64)))
        assert [found.id for found in run(kept.desk.list())] == [newer.id]
        states = [run(kept.desk.show(found.id)).state for found in (clean, dirty)]
        assert states == [State.CANCELLED, State.CANCELLED]


def test_an_agent_cannot_bury_the_operator(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        run(kept.asked("1.md", under=rules(2)))
        second = run(kept.asked("2.md", under=rules(2)))
        with pytest.raises(Unavailable) as caught:
            run(kept.asked("3.md", under=rules(2)))
        assert (caught.value.code, kept.desk.pending_count(AGENT)) == ("approvals_full", 2)
        assert run(kept.asked("2.md", under=rules(2))) == second
        yes(kept, second.id, answer=State.DENIED)
        assert run(kept.asked("3.md", under=rules(2))).state is State.PENDING


def test_silence_is_no_and_so_is_a_yes_too_late(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked, other = run(kept.asked()), run(kept.asked("other.md"))
        yes(kept, other.id)
        kept.time.at += rules().approval_seconds
        late = yes(kept, asked.id)
        assert (late.won, late.approval.state) == (False, State.EXPIRED)
        assert run(kept.desk.take(call("other.md"), rules())) is None
        assert run(kept.desk.show(other.id)).answered_by == "operator"
        assert kinds(kept).count("expired") == 2


def test_an_approval_holds_until_the_last_moment(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        kept.time.at = asked.expires - 0.001
        yes(kept, asked.id)
        assert run(kept.desk.take(call(), rules())) is not None


@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_set_back_gives_no_time(tmp_path: Path, restart: bool) -> None:
    kept = Keeping(tmp_path)
    asked = run(kept.asked())
    yes(kept, asked.id)
    kept.time.at += 500
    run(kept.desk.tick())
    kept.time.at -= 5000
    if restart:
        kept.close()
        kept = Keeping(tmp_path, kept.time)
    assert run(kept.desk.show(asked.id)).expires - kept.time.at == pytest.approx(100)
    kept.time.at += 101
    assert run(kept.desk.take(call(), rules())) is None
    later = run(kept.asked("later.md"))
    assert (later.created, later.expires) == (kept.time.at, kept.time.at + rules().approval_seconds)
    kept.close()


def test_everything_open_survives_a_restart(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked, other = run(kept.asked()), run(kept.asked("other.md"))
        yes(kept, other.id)
    with Keeping(tmp_path) as kept:
        assert run(kept.asked()) == asked
        assert run(kept.desk.take(call("other.md"), rules())).id == other.id


def test_what_is_cancelled_is_of_one_agent_or_session(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        assert run(kept.desk.cancel_all("reset", session="agent:other:main")) == 0
        assert run(kept.desk.cancel_all("contained", agent=AGENT)) == 1
        assert run(kept.desk.show(asked.id)).answered_by == "contained"
        run(kept.asked("2.md"))
        run(kept.asked("3.md"))
        assert (run(kept.desk.cancel_all("stop")), run(kept.desk.list())) == (2, [])


def test_lists_are_by_state_and_agent(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        first = run(kept.asked("1.md"))
        kept.time.at += 1
        second = run(kept.asked("2.md"))
        yes(kept, first.id, answer=State.DENIED)
        assert [found.id for found in run(kept.desk.list((State.PENDING,)))] == [second.id]
        assert [found.id for found in run(kept.desk.list(tuple(State), agent=AGENT))] == [first.id, second.id]
        assert run(kept.desk.list(tuple(State), agent="other")) == []


def test_one_who_waits_hears_the_answer_from_another_thread(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())

        async def waits() -> State:
            thread = threading.Thread(target=yes, args=(kept, asked.id))
            thread.start()
            state = await kept.desk.wait(asked.id, 30)
            thread.join()
            return state

        assert run(waits()) is State.APPROVED


def test_one_who_waits_too_little_hears_pending(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        assert run(kept.desk.wait(asked.id, 0.0)) is State.PENDING
        assert run(kept.desk.wait(asked.id, 0.01)) is State.PENDING
        with pytest.raises(Malformed):
            run(kept.desk.wait("apr_" + "0" * 16, 1))


def test_one_who_waits_hears_silence_even_if_the_clock_stands_still(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.asked())
        kept.time.at = asked.expires - 0.02
        assert run(kept.desk.wait(asked.id, 30)) is State.EXPIRED


def test_surfaces_hear_of_every_move_once_it_is_on_disk(tmp_path: Path) -> None:
    points: list[str] = []
    with Keeping(tmp_path, hook=points.append) as kept:
        told: list[tuple[State, str]] = []
        stop = kept.desk.listen(lambda found: told.append((found.state, points[-1])))
        asked = run(kept.asked())
        yes(kept, asked.id)
        kept.time.at += 600
        run(kept.desk.tick())
        stop()
        run(kept.asked("other.md"))
        assert told == [(State.PENDING, "synced"), (State.APPROVED, "synced"), (State.EXPIRED, "synced")]


def test_ids_codes_and_nonces_are_not_repeated(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        kept.desk._entropy = bytes
        run(kept.asked())
        with pytest.raises(Unavailable):
            run(kept.asked("other.md"))
        assert (len(run(kept.desk.list())), kinds(kept)) == (1, ["decided", "asked", "decided"])
        assert kept.verified().ok


def test_a_yes_nobody_used_is_withdrawn_with_the_agents_questions(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        said, used = run(kept.asked()), run(kept.asked("used.md"))
        for asked in (said, used):
            yes(kept, asked.id)
        assert run(kept.desk.take(call("used.md"), rules())) is not None
        assert run(kept.desk.cancel_all("contained", agent=AGENT)) == 1
        assert run(kept.desk.take(call(), rules())) is None
        assert [run(kept.desk.show(asked.id)).state for asked in (said, used)] == [State.CANCELLED, State.CONSUMED]
        assert kept.verified().ok


def test_moves_that_the_table_lacks_are_refused(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.desk.open(call(), ASKS, CARD, kept.decided(), rules()))
        yes(kept, asked.id)
        late = yes(kept, asked.id, answer=State.CANCELLED)
        assert late.won is False
        assert isinstance(kept.time, Time)
        assert run(kept.desk.matching(call(), rules())).state is State.APPROVED
