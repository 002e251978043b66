"""Grants: bounded in what, whose, how long, how often and how trusted; counted, and taken back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.builders import AGENT, LAYOUT, agent_policy, exec_call, file_call
from tests.desk.test_extent import PYTHON, WC, line
from tests.keeping import ASKS, CLEAN, DIRTY, Keeping, rules
from tests.simulators import Time

from bascule.core.answer import Grant, Standing, State
from bascule.core.call import Call
from bascule.core.errors import Malformed, NotPermitted
from bascule.core.ids import SessionKey
from bascule.core.paths import Access
from bascule.core.policy import ExecAsk, ExecEntry, ExecPolicy, ExecSecurity
from bascule.core.toolspec import ActionClass
from bascule.desk.grants import MAX_SECONDS, MAX_USES, Terms
from bascule.desk.widening import Pattern

PEOPLE = ("operator",)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def count(path: str, **changes: Any) -> Call:
    made = replace(line(WC, "-l", path, paths=(path,)), **{"label": CLEAN, **changes})
    return replace(made, digest=f"{path} {changes}")


def terms(extent: str = "exact", **more: Any) -> Terms:
    return Terms(extent, LAYOUT, **more)


async def granted(kept: Keeping, call: Call, wanted: Terms, under: Any = None) -> Grant:
    policy = under or rules()
    asked = await kept.desk.open(call, ASKS, ("card",), kept.decided(), policy)
    said = await kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=PEOPLE, wider=wanted)
    assert said.grant is not None
    assert (await kept.desk.take(call, policy)).id == asked.id  # the question's own yes is used first
    return said.grant


def take(kept: Keeping, call: Call, under: Any = None) -> Any:
    return run(kept.desk.take(call, under or rules()))


def kinds(kept: Keeping) -> list[str]:
    return [found.kind for found in kept.ledger.tail(99)]


def test_a_grant_lets_the_same_call_go_until_it_is_used_up(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        made = run(granted(kept, count("a"), terms(uses=2)))
        assert [take(kept, count("a")).id for _ in range(2)] == [made.id, made.id]
        assert take(kept, count("a")) is None
        (found,) = run(kept.desk.grants.list(everything=True))
        assert (found.state, found.used, found.uses_left) == (Standing.USED_UP, 2, 0)
        assert run(kept.desk.grants.list()) == []
        assert kinds(kept)[-2:] == ["grant_used", "grant_used"]
        assert "granted" in kinds(kept)
        assert kept.verified().ok


@pytest.mark.parametrize(
    "other",
    [
        count("b"),
        count("a", agent="bruba-web"),
        count("a", label=DIRTY),
        count("a", label=replace(CLEAN, confidentiality=DIRTY.confidentiality)),
        replace(count("a"), tool="read"),
        replace(count("a"), plan=exec_call().plan),
        replace(count("a"), action=ActionClass.EXTERNAL),
    ],
)
def test_a_grant_covers_no_other_call(tmp_path: Path, other: Call) -> None:
    with Keeping(tmp_path) as kept:
        run(granted(kept, count("a"), terms()))
        policy = rules()
        both = replace(policy, agents={AGENT: policy.agents[AGENT], other.agent: policy.agents[AGENT]})
        assert take(kept, other, both) is None
        assert take(kept, count("a")) is not None


def test_a_grant_is_of_one_policy(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        run(granted(kept, count("a"), terms()))
        assert take(kept, count("a"), rules(version="w" * 64)) is None


def test_a_grant_of_a_session_stays_in_it(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        run(granted(kept, count("a"), terms(this_session=True)))
        assert take(kept, count("a", session=SessionKey(f"agent:{AGENT}:other"))) is None
        assert take(kept, count("a")) is not None
        run(kept.desk.cancel_all("the session was reset", session=count("a").session))
        assert take(kept, count("a")) is None
        assert kinds(kept)[-1] == "grant_revoked"


def test_containment_ends_an_agents_grants(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        run(granted(kept, count("a"), terms()))
        run(kept.desk.cancel_all("contained", agent=AGENT))
        assert take(kept, count("a")) is None


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("back", [0, 5000])
def test_a_grant_runs_out_also_when_the_clock_is_set_back(tmp_path: Path, restart: bool, back: int) -> None:
    time = Time()
    with Keeping(tmp_path, time) as kept:
        run(granted(kept, count("a"), terms(minutes=10)))
        time.at += 300
        assert take(kept, count("a")) is not None
        time.at -= back
        assert take(kept, count("a")) is not None
    if not restart:
        return
    with Keeping(tmp_path, time) as kept:
        time.at += 290
        assert take(kept, count("a")) is not None
        time.at += 20
        assert take(kept, count("a")) is None
        run(kept.desk.tick())
        assert kinds(kept)[-1] == "grant_expired"
        assert [found.state for found in run(kept.desk.grants.list(everything=True))] == [Standing.EXPIRED]


def test_a_grant_lasts_a_day_at_most(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        made = run(granted(kept, count("a"), terms()))
        assert made.expires - made.created == MAX_SECONDS


@pytest.mark.parametrize(
    "wanted",
    [
        terms(minutes=0), terms(minutes=MAX_SECONDS), terms(uses=0), terms(uses=MAX_USES + 1), terms("everything"),
        terms("pattern"),
    ],
)  # fmt: skip
def test_terms_that_make_no_sense_answer_nothing(tmp_path: Path, wanted: Terms) -> None:
    with Keeping(tmp_path) as kept:
        with pytest.raises(Malformed):
            run(granted(kept, count("a"), wanted))
        assert [found.state for found in run(kept.desk.list())] == [State.PENDING]
        assert kept.verified().ok


@pytest.mark.parametrize(
    "call",
    [
        replace(count("a"), action=ActionClass.EXTERNAL),
        replace(count("a"), action=ActionClass.ADMIN),
        replace(count("a"), action=ActionClass.WEB, label=DIRTY),
        replace(line(PYTHON, "x.py"), label=CLEAN),
    ],
)
def test_some_calls_are_never_granted(tmp_path: Path, call: Call) -> None:
    with Keeping(tmp_path) as kept:
        with pytest.raises(NotPermitted) as caught:
            run(granted(kept, call, terms()))
        assert caught.value.code == "grant_never"
        (asked,) = run(kept.desk.list())
        assert (asked.state, bool(asked.ungrantable)) == (State.PENDING, True)


def test_an_entry_of_a_worse_class_makes_the_call_one(tmp_path: Path) -> None:
    entry = ExecEntry("/usr/bin/wc", "/usr/bin/wc", action=ActionClass.EXTERNAL)
    listed = ExecPolicy(ExecSecurity.ALLOWLIST, ExecAsk.ALWAYS, (entry,))
    policy = replace(rules(), agents={AGENT: agent_policy(exec=listed)})
    with Keeping(tmp_path) as kept:
        with pytest.raises(NotPermitted):
            run(granted(kept, count("a"), terms(), policy))
        assert [found.action for found in run(kept.desk.list())] == ["external"]


def test_who_does_not_approve_grants_and_revokes_nothing(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.desk.open(count("a"), ASKS, ("card",), kept.decided(), rules()))
        with pytest.raises(NotPermitted):
            run(kept.desk.answer(asked.id, State.APPROVED, by="x", approvers=PEOPLE, wider=terms()))
        made = run(granted(kept, count("b"), terms()))
        with pytest.raises(NotPermitted):
            run(kept.desk.grants.revoke(made.id, by="x", approvers=PEOPLE))
        assert take(kept, count("b")) is not None


def test_a_revoked_grant_covers_nothing_and_is_revoked_once(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        made = run(granted(kept, count("a"), terms()))
        assert run(kept.desk.grants.revoke(made.id.upper(), by="operator", approvers=PEOPLE)).state is Standing.REVOKED
        assert take(kept, count("a")) is None
        with pytest.raises(NotPermitted) as caught:
            run(kept.desk.grants.revoke(made.id, by="operator", approvers=PEOPLE))
        assert caught.value.code == "grant_ended"
        with pytest.raises(Malformed):
            run(kept.desk.grants.revoke("gra_0", by="operator", approvers=PEOPLE))


def test_a_second_answer_makes_no_grant(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = run(kept.desk.open(count("a"), ASKS, ("card",), kept.decided(), rules()))
        run(kept.desk.answer(asked.id, State.DENIED, by="operator", approvers=PEOPLE))
        late = run(kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=PEOPLE, wider=terms()))
        assert (late.won, late.grant, late.approval.state) == (False, None, State.DENIED)
        assert run(kept.desk.grants.list(everything=True)) == []


def test_the_third_like_question_proposes_what_covers_them(tmp_path: Path) -> None:
    async def yes(kept: Keeping, path: str) -> Any:
        asked = await kept.desk.open(count(path), ASKS, ("card",), kept.decided(), rules())
        await kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=PEOPLE)
        await kept.desk.take(count(path), rules())
        return asked

    with Keeping(tmp_path) as kept:
        assert run(yes(kept, "workspace/n/a")).proposal == ""
        assert run(yes(kept, "workspace/n/b")).proposal != ""
        run(granted(kept, count("workspace/n/c"), terms("similar")))
        assert take(kept, count("workspace/n/d")) is not None
        assert take(kept, count("workspace/x/d")) is None


def test_a_no_is_nothing_to_go_by(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        first = run(kept.desk.open(count("n/a"), ASKS, ("card",), kept.decided(), rules()))
        run(kept.desk.answer(first.id, State.DENIED, by="operator", approvers=PEOPLE))
        assert run(kept.desk.open(count("n/b"), ASKS, ("card",), kept.decided(), rules())).proposal == ""


def test_a_pattern_by_hand_is_what_counts(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        run(granted(kept, count("workspace/n/a"), terms("pattern", pattern=Pattern("-l *", "workspace/n"))))
        assert take(kept, count("workspace/n/z")) is not None
        assert take(kept, count("workspace/z")) is None


def test_a_write_is_granted_for_its_content_alone(tmp_path: Path) -> None:
    def write(content: str) -> Call:
        call = file_call("/srv/x/a", Access.WRITE, "write", args={"path": "/srv/x/a", "content": content}, label=CLEAN)
        return replace(call, digest=content)

    with Keeping(tmp_path) as kept:
        run(granted(kept, write("one"), terms()))
        assert take(kept, write("two")) is None
        assert take(kept, write("one")) is not None


def test_a_new_policy_ends_what_was_granted_under_the_old_one(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        run(granted(kept, count("a"), terms()))
        assert run(kept.desk.grants.begin(rules())) == 0
        assert take(kept, count("a")) is not None
        assert run(kept.desk.grants.begin(rules(version="w" * 64))) == 1
        assert [found.state for found in run(kept.desk.grants.list(everything=True))] == [Standing.REVOKED]
        assert take(kept, count("a")) is None
        assert kinds(kept)[-1] == "grant_revoked"
