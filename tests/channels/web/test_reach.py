"""What a principal sees and does: all of its own, nothing of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.channels.simulated_channel import AGENTS, SimulatedChannel, digest

from bascule.channels.web.reach import Reach
from bascule.core.errors import BasculeError, Malformed, NotPermitted
from bascule.service.port import Principal, Wider

ALL = frozenset({"read", "approve", "chat", "admin"})
EXACT = Wider("exact", this_session=True, minutes=5, uses=None, args=None, under=None)
OTHER = "apr_0000000000000001"
OWN = "apr_0000000000000002"


def reach(channel: SimulatedChannel, *agents: str, scopes: frozenset[str] = ALL, **more: Any) -> Reach:
    allowed = frozenset(agents) if agents else None
    return Reach(channel, Principal("phone", "tok_1", "pat", scopes, allowed, **more), "api")


async def drained(stream: Any, count: int) -> list[Any]:
    found = []
    async for item in stream:
        found.append(item)
        if len(found) == count:
            await stream.aclose()
            break
    return found


ACTIONS: dict[str, tuple[frozenset[str], Callable[[Reach], Any]]] = {
    "status": (frozenset({"read"}), lambda who: who.status()),
    "approvals": (frozenset({"read", "approve"}), lambda who: who.approvals(everything=True)),
    "approval": (frozenset({"read", "approve"}), lambda who: who.approval(OWN)),
    "approve": (frozenset({"approve"}), lambda who: who.approve(OWN, digest(2))),
    "deny": (frozenset({"approve"}), lambda who: who.deny(OWN, digest(2))),
    "grant": (frozenset({"approve"}), lambda who: who.grant(OWN, digest(2), EXACT)),
    "decide": (frozenset({"approve"}), lambda who: who.decide("deny", [(OWN, digest(2))])),
    "grants": (frozenset({"read", "approve"}), lambda who: who.grants(everything=True)),
    "revoke": (frozenset({"approve"}), lambda who: who.revoke("gra_0000000000000002")),
    "agents": (frozenset({"read"}), lambda who: who.agents()),
    "agent": (frozenset({"read"}), lambda who: who.agent("bruba-web")),
    "sessions": (frozenset({"read"}), lambda who: who.sessions(None)),
    "session": (frozenset({"read"}), lambda who: who.session("agent:bruba-web:main")),
    "reset": (frozenset({"admin"}), lambda who: who.reset("agent:bruba-web:main")),
    "stop": (frozenset({"approve", "admin"}), lambda who: who.stop(None, "why")),
    "release": (frozenset({"admin"}), lambda who: who.release("bruba-web")),
    "contained": (frozenset({"read", "approve", "admin"}), lambda who: who.contained()),
    "tail": (frozenset({"read"}), lambda who: who.tail(10, None)),
    "after": (frozenset({"read"}), lambda who: who.after(0, 10, None)),
    "record": (frozenset({"read"}), lambda who: who.record(2)),
    "lineage": (frozenset({"read"}), lambda who: who.lineage(2)),
    "follow": (frozenset({"read"}), lambda who: drained(who.follow(0), 1)),
    "partners": (frozenset({"chat"}), lambda who: who.partners()),
}


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("scope", sorted(ALL))
def test_every_action_needs_one_of_its_scopes(name: str, scope: str) -> None:
    needed, act = ACTIONS[name]

    async def run() -> str:
        channel = SimulatedChannel()
        try:
            await act(reach(channel, scopes=frozenset({scope})))
        except NotPermitted as refused:
            assert not channel.callers
            return refused.code
        return "done"

    assert asyncio.run(run()) == ("done" if scope in needed else "scope_missing")


def test_every_action_of_reach_is_in_the_table() -> None:
    plain = {"sees", "name", "talk", "caller", "principal"}
    assert {name for name in dir(Reach) if not name.startswith("_")} - plain == set(ACTIONS)


@pytest.mark.parametrize("name", [name for name in ACTIONS if name not in ("status", "partners")])
def test_rows_are_those_of_the_own_agents_alone(name: str) -> None:
    async def run() -> Any:
        return await ACTIONS[name][1](reach(SimulatedChannel(), "bruba-web"))

    found = asyncio.run(run())
    rows = found[0] if name == "after" else found if isinstance(found, list) else [found]
    assert rows
    assert {row.get("agent", row["id"]) for row in rows} == {"bruba-web"}
    assert "bruba-main" not in str(rows).replace("main'", "")


ABSENT: list[tuple[str, Callable[[Reach, Any], Any], Any, Any]] = [
    ("approval_unknown", lambda who, ref: who.approval(ref), OTHER, "apr_ffffffffffffffff"),
    ("approval_unknown", lambda who, ref: who.approval(ref), "CODE0001", "CODE9999"),
    ("approval_unknown", lambda who, ref: who.approve(ref, digest(1)), OTHER, "apr_ffffffffffffffff"),
    ("approval_unknown", lambda who, ref: who.deny(ref, digest(1)), OTHER, "apr_ffffffffffffffff"),
    ("approval_unknown", lambda who, ref: who.grant(ref, digest(1), EXACT), OTHER, "apr_ffffffffffffffff"),
    ("approval_unknown", lambda who, ref: who.decide("approve", [(OWN, digest(2)), (ref, digest(1))]), OTHER, "apr_f"),
    ("grant_unknown", lambda who, ref: who.revoke(ref), "gra_0000000000000001", "gra_ffffffffffffffff"),
    ("session_unknown", lambda who, ref: who.session(ref), "agent:bruba-main:main", "agent:nobody:main"),
    ("session_unknown", lambda who, ref: who.reset(ref), "agent:bruba-main:main", "agent:nobody:main"),
    ("record_unknown", lambda who, ref: who.record(ref), 1, 999),
    ("record_unknown", lambda who, ref: who.lineage(ref), 1, 999),
]


@pytest.mark.parametrize(("code", "act", "other", "none"), ABSENT)
def test_what_is_anothers_is_absent_in_the_very_words_of_what_is_not_there(
    code: str, act: Callable[[Reach, Any], Any], other: Any, none: Any
) -> None:
    async def told(ref: Any) -> tuple[str, str, str]:
        channel = SimulatedChannel()
        with pytest.raises(Malformed) as refused:
            await act(reach(channel, "bruba-web"), ref)
        assert not channel.callers
        assert not channel.resets
        return refused.value.code, refused.value.message, refused.value.remedy

    found = asyncio.run(told(other))
    assert found == asyncio.run(told(none))
    assert found[0] == code


@pytest.mark.parametrize("name", ["agent", "sessions", "stop", "release", "tail", "after", "talk"])
def test_another_agent_is_no_agent(name: str) -> None:
    async def talk(who: Reach, agent: str) -> None:
        who.talk(agent, "hi")

    acts: dict[str, Callable[[Reach, str], Any]] = {
        "agent": lambda who, agent: who.agent(agent),
        "sessions": lambda who, agent: who.sessions(agent),
        "stop": lambda who, agent: who.stop(agent, "why"),
        "release": lambda who, agent: who.release(agent),
        "tail": lambda who, agent: who.tail(5, agent),
        "after": lambda who, agent: who.after(0, 5, agent),
        "talk": talk,
    }

    async def told(agent: str) -> str:
        with pytest.raises(Malformed) as refused:
            await acts[name](reach(SimulatedChannel(), "bruba-web"), agent)
        assert refused.value.code == "agent_unknown"
        return refused.value.message.replace(agent, "")

    assert asyncio.run(told("bruba-main")) == asyncio.run(told("nobody"))


def test_status_counts_and_tells_of_the_own_agents_alone() -> None:
    channel = SimulatedChannel()
    told = {"code": "x", "message": "bruba-main cannot start", "remedy": ""}
    channel.problems = [told, {"code": "disk", "message": "the disk is full", "remedy": ""}]

    async def run() -> tuple[Any, Any]:
        return await reach(channel).status(), await reach(channel, "bruba-web").status()

    whole, part = asyncio.run(run())
    assert (whole["agents"], whole["pending_approvals"], len(whole["problems"])) == (3, 3, 2)
    assert (part["agents"], part["pending_approvals"], part["sessions"]) == (1, 1, 1)
    assert [one["code"] for one in part["problems"]] == ["disk"]


def test_an_answer_is_for_the_call_that_was_shown() -> None:
    async def run() -> SimulatedChannel:
        channel = SimulatedChannel()
        who = reach(channel)
        for act in (who.approve, who.deny):
            with pytest.raises(NotPermitted) as refused:
                await act(OWN, digest(1))
            assert refused.value.code == "digest_differs"
        with pytest.raises(NotPermitted):
            await who.decide("approve", [(OTHER, digest(1)), (OWN, digest(1))])
        assert not channel.callers
        await who.approve("CODE0002", digest(2))
        return channel

    channel = asyncio.run(run())
    assert channel.questions[OTHER]["state"] == "pending"
    assert channel.questions[OWN]["state"] == "approved"
    (caller,) = channel.callers
    assert (caller.uid, caller.pid, caller.name, caller.person) == (-1, 0, "phone (api)", "pat")


def test_stopping_all_stops_all_that_are_seen() -> None:
    async def run(*agents: str) -> list[str]:
        channel = SimulatedChannel()
        await reach(channel, *agents).stop(None, "why")
        return sorted(channel.contained)

    assert asyncio.run(run()) == sorted(AGENTS)
    assert asyncio.run(run("bruba-web", "bruba-guest")) == ["bruba-guest", "bruba-web"]


def test_a_page_of_the_ledger_goes_on_behind_records_that_are_not_shown() -> None:
    async def run() -> list[int]:
        channel = SimulatedChannel()
        for number in range(40):
            channel.record("decided", AGENTS[number % 3])
        who, seq, found = reach(channel, "bruba-web"), 0, []
        while True:
            rows, reached = await who.after(seq, 3, None)
            found += [row["seq"] for row in rows]
            if reached == seq:
                return found
            seq = reached

    found = asyncio.run(run())
    assert found == sorted(set(found))
    assert len(found) == 1 + 13


@pytest.mark.parametrize(
    ("more", "session", "trusted", "origin"),
    [
        ({}, "api:tok_1", False, "api"),
        ({"session": "phone"}, "phone", False, "api"),
        ({"trusted": True}, "api:tok_1", True, "operator"),
    ],
)
def test_words_carry_what_the_token_says(more: dict[str, Any], session: str, trusted: bool, origin: str) -> None:
    channel = SimulatedChannel()

    async def run() -> None:
        _, events = reach(channel, **more).talk("bruba-web", "hi")
        assert [event["event"] async for event in events][-1] == "done"

    asyncio.run(run())
    (heard,) = channel.heard
    assert (heard.agent, heard.text, heard.session) == ("bruba-web", "hi", session)
    assert (heard.trusted, heard.origin, heard.sources) == (trusted, origin, frozenset({"api:phone"}))


def test_errors_of_the_gateway_pass() -> None:
    channel = SimulatedChannel()
    channel.questions[OWN] |= {"state": "denied", "answered_by": "kim"}

    async def run() -> BasculeError:
        with pytest.raises(NotPermitted) as refused:
            await reach(channel).approve(OWN, digest(2))
        return refused.value

    assert "by kim" in asyncio.run(run()).message
