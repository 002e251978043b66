"""``/api/v1``: what each verb answers, and with which status it refuses."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from tests.channels.over_http import ALL, built, client
from tests.channels.simulated_channel import AGENTS, SimulatedChannel, SimulatedDoors, digest

from bascule.core.errors import Tampered, Unavailable

A, B, C = (f"apr_{number:016x}" for number in (1, 2, 3))


def do(
    *requests: tuple[str, str, Any], channel: SimulatedChannel | None = None, token: str = ALL
) -> list[httpx2.Response]:
    async def run() -> list[httpx2.Response]:
        async with client(built(channel), token) as asked:
            return [await asked.request(method, f"/api/v1{path}", json=body) for method, path, body in requests]

    return asyncio.run(run())


def code(answer: httpx2.Response) -> str:
    return str(answer.json()["error"]["code"])


def ids(answer: httpx2.Response) -> list[str]:
    return [row["id"] for row in answer.json()["items"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "refused"),
    [
        ("GET", "/approvals/apr_ffffffffffffffff", None, 404, "approval_unknown"),
        ("GET", "/approvals?state=odd", None, 400, "request_invalid"),
        ("GET", "/approvals?limit=0", None, 400, "request_invalid"),
        ("GET", "/approvals?limit=99999", None, 400, "request_invalid"),
        ("GET", "/approvals?cursor=x", None, 404, "cursor_unknown"),
        ("POST", f"/approvals/{A}/approve", {"digest": digest(2)}, 409, "digest_differs"),
        ("POST", f"/approvals/{A}/approve", {"digest": digest(1).upper() + "A"}, 400, "request_invalid"),
        ("POST", f"/approvals/{A}/approve", {"digest": digest(1) + "\n"}, 400, "request_invalid"),
        ("POST", f"/approvals/{A}/approve", {}, 400, "request_invalid"),
        ("POST", f"/approvals/{A}/approve", {"digest": digest(1), "force": True}, 400, "request_invalid"),
        ("POST", f"/approvals/{A}/approve", None, 400, "request_invalid"),
        ("POST", f"/approvals/{A}/grant", {"digest": digest(1), "extent": "everything"}, 400, "request_invalid"),
        ("POST", f"/approvals/{A}/grant", {"digest": digest(1), "extent": "exact", "minutes": True}, 400, "request_invalid"),
        ("POST", f"/approvals/{A}/grant", {"digest": digest(1), "extent": "exact", "uses": 1.5}, 400, "request_invalid"),
        ("POST", "/decisions", {"answer": "approve", "items": []}, 400, "request_invalid"),
        ("POST", "/decisions", {"answer": "approve", "items": [{"id": f"{A}={digest(1)},{B}", "digest": digest(2)}]}, 400, "request_invalid"),
        ("POST", "/decisions", {"answer": "maybe", "items": [{"id": A, "digest": digest(1)}]}, 400, "request_invalid"),
        ("POST", "/grants/gra_f/revoke", None, 404, "grant_unknown"),
        ("GET", "/agents/nobody", None, 404, "agent_unknown"),
        ("GET", "/sessions/agent:nobody:main", None, 404, "session_unknown"),
        ("DELETE", "/sessions/agent:nobody:main", None, 404, "session_unknown"),
        ("GET", "/ledger/999", None, 404, "record_unknown"),
        ("GET", "/ledger/-1", None, 400, "request_invalid"),
        ("GET", "/ledger/1e3", None, 400, "request_invalid"),
        ("GET", f"/ledger/{2**53}", None, 400, "request_invalid"),
        ("GET", "/ledger?after=x", None, 400, "request_invalid"),
        ("PUT", "/containment", {"agent": "nobody", "reason": "x"}, 404, "agent_unknown"),
        ("PUT", "/containment", {"agent": None, "reason": ""}, 400, "request_invalid"),
        ("PUT", "/containment", {"agent": None, "reason": "  "}, 400, "reason_missing"),
        ("PUT", "/containment", {"reason": "all by omission"}, 400, "request_invalid"),
        ("POST", "/containment/release", {"agent": "nobody"}, 404, "agent_unknown"),
        ("GET", "/nothing", None, 404, "request_path"),
        ("POST", "/status", None, 405, "request_method"),
        ("DELETE", "/containment", None, 405, "request_method"),
    ],
)  # fmt: skip
def test_refusals_and_their_statuses(method: str, path: str, body: Any, status: int, refused: str) -> None:
    channel = SimulatedChannel()
    (answer,) = do((method, path, body), channel=channel)
    assert (answer.status_code, code(answer)) == (status, refused)
    assert set(answer.json()["error"]) == {"code", "message", "remedy"}
    assert "\n" not in answer.json()["error"]["message"]
    assert {row["state"] for row in channel.questions.values()} == {"pending"}
    assert not channel.contained


@pytest.mark.parametrize(
    ("raised", "status"), [(Unavailable("database_busy", "busy"), 503), (Tampered("ledger_broken", "broken"), 503)]
)
def test_what_the_gateway_cannot_do(raised: Exception, status: int) -> None:
    channel = SimulatedChannel()
    channel.fail = raised
    (answer,) = do(("GET", "/status", None), channel=channel)
    assert answer.status_code == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_a_foreign_form_could_send_is_no_answer(kind: str) -> None:
    channel = SimulatedChannel()

    async def run() -> int:
        async with client(built(channel)) as asked:
            sent = json.dumps({"digest": digest(1)})
            headers = {"content-type": kind} if kind else {}
            return (await asked.post(f"/api/v1/approvals/{A}/approve", content=sent, headers=headers)).status_code

    assert asyncio.run(run()) == 400
    assert channel.questions[A]["state"] == "pending"


def test_questions_are_listed_paged_and_filtered() -> None:
    channel = SimulatedChannel()
    for number in range(7):
        channel.ask(AGENTS[number % 2])
    channel.questions[B]["state"] = "denied"
    everything, pending, some, of_web = do(
        ("GET", "/approvals?state=all", None),
        ("GET", "/approvals", None),
        ("GET", "/approvals?state=denied", None),
        ("GET", "/approvals?agent=bruba-web&state=all", None),
        channel=channel,
    )
    assert len(ids(everything)) == 10
    assert ids(pending) == [ref for ref in ids(everything) if ref != B]
    assert ids(some) == [B]
    assert {row["agent"] for row in of_web.json()["items"]} == {"bruba-web"}
    assert everything.json()["next"] is None


def test_a_page_goes_on_behind_a_question_that_was_answered_meanwhile() -> None:
    channel = SimulatedChannel()
    for _ in range(7):
        channel.ask()

    async def run() -> list[str]:
        async with client(built(channel)) as asked:
            found: list[str] = []
            cursor = ""
            while True:
                page = (await asked.get(f"/api/v1/approvals?limit=3{cursor}")).json()
                found += [row["id"] for row in page["items"]]
                if page["next"] is None:
                    return found
                channel.questions[page["next"]]["state"] = "approved"
                cursor = f"&cursor={page['next']}"

    assert asyncio.run(run()) == list(channel.questions)


def test_an_answer_by_id_or_code_is_recorded_with_who_gave_it_and_holds_once() -> None:
    channel = SimulatedChannel()
    yes, again, no, shown = do(
        ("POST", f"/approvals/{A}/approve", {"digest": digest(1)}),
        ("POST", f"/approvals/{A}/deny", {"digest": digest(1)}),
        ("POST", "/approvals/CODE0002/deny", {"digest": digest(2)}),
        ("GET", f"/approvals/{B}", None),
        channel=channel,
    )
    assert (yes.json()["state"], no.json()["state"], shown.json()["state"]) == ("approved", "denied", "denied")
    assert (again.status_code, code(again)) == (409, "approval_settled")
    assert f"{ALL} (api)" in again.json()["error"]["message"]
    assert {(who.uid, who.pid, who.name, who.person) for who in channel.callers} == {(-1, 0, f"{ALL} (api)", "pat")}


def test_several_at_once_are_all_as_shown_or_none_is_answered() -> None:
    channel = SimulatedChannel()
    items = [{"id": A, "digest": digest(1)}, {"id": B, "digest": digest(2)}]
    wrong = [*items, {"id": C, "digest": digest(1)}]
    refused, done = do(
        ("POST", "/decisions", {"answer": "approve", "items": wrong}),
        ("POST", "/decisions", {"answer": "deny", "items": items}),
        channel=channel,
    )
    assert (refused.status_code, code(refused)) == (409, "digest_differs")
    assert [row["state"] for row in done.json()["items"]] == ["denied", "denied"]
    assert channel.questions[C]["state"] == "pending"


def test_grants_agents_sessions_and_ledger() -> None:
    channel = SimulatedChannel()
    answers = do(
        ("POST", f"/approvals/{A}/grant", {"digest": digest(1), "extent": "similar", "minutes": 5.0}),
        ("GET", "/grants", None),
        ("POST", "/grants/gra_0000000000000001/revoke", None),
        ("POST", "/grants/gra_0000000000000001/revoke", None),
        ("GET", "/grants", None),
        ("GET", "/agents", None),
        ("GET", "/agents/bruba-web", None),
        ("GET", "/sessions?agent=bruba-web", None),
        ("GET", "/sessions/agent:bruba-web:main", None),
        ("DELETE", "/sessions/agent:bruba-web:main", None),
        ("GET", "/ledger?limit=2", None),
        ("GET", "/ledger?after=1&limit=1", None),
        ("GET", "/ledger/2/lineage", None),
        channel=channel,
    )
    made, listed, ended, twice, after, agents, agent, sessions, session, reset, tail, next_, lineage = answers
    assert made.json()["agent"] == "bruba-main"
    assert len(ids(listed)) == 3
    assert ended.json()["state"] == "revoked"
    assert (twice.status_code, code(twice)) == (409, "grant_ended")
    assert len(ids(after)) == 2
    assert ids(agents) == sorted(AGENTS)
    assert agent.json()["standings"][0]["id"] == "read"
    assert ids(sessions) == ["agent:bruba-web:main"]
    assert len(session.json()["transcript"]) == 2
    assert reset.json()["id"] == "agent:bruba-web:main" == channel.resets[0]
    assert ids(tail)[-1] == str(len(channel.records))
    assert (ids(next_), next_.json()["next"]) == (["2"], "2")
    assert ids(lineage) == ["1", "2"]


def test_the_big_stop() -> None:
    channel = SimulatedChannel()
    one, all_, told, back = do(
        ("PUT", "/containment", {"agent": "bruba-web", "reason": "odd"}),
        ("PUT", "/containment", {"agent": None, "reason": "everything"}),
        ("GET", "/containment", None),
        ("POST", "/containment/release", {"agent": "bruba-web"}),
        channel=channel,
    )
    assert ids(one) == ["bruba-web"]
    assert len(ids(all_)) == 3
    assert {row["id"]: row["contained"] for row in told.json()["items"]} == dict.fromkeys(AGENTS, "everything")
    assert back.json()["contained"] == ""
    (stopped,) = do(("PUT", "/containment", {"agent": None, "reason": "x"}), token="tok-approve")
    (released,) = do(("POST", "/containment/release", {"agent": "bruba-web"}), token="tok-approve")
    assert (stopped.status_code, released.status_code) == (200, 403)


def test_health_asks_for_nothing_and_tells_nothing() -> None:
    health, me, described = do(("GET", "/health", None), ("GET", "/me", None), ("GET", "/openapi.json", None), token="")
    assert (health.status_code, health.json()) == (200, {"ok": True})
    assert (me.status_code, described.status_code) == (401, 401)


def test_a_token_says_whom_it_stands_for() -> None:
    (me,) = do(("GET", "/me", None), token=f"{ALL}.web")
    assert me.json() == {
        "name": f"{ALL}.web", "scopes": ["admin", "approve", "chat", "read"], "agents": ["bruba-web"],
    }  # fmt: skip


def test_nothing_an_agent_wrote_leaves_as_anything_but_printable_ascii() -> None:
    answers = do(
        ("GET", "/approvals?state=all", None), ("GET", f"/approvals/{A}", None), ("GET", "/grants", None),
        ("GET", "/agents/bruba-main", None), ("GET", "/sessions/agent:bruba-main:main", None), ("GET", "/ledger", None),
        ("GET", "/agents/%1b%5b31m%e2%80%ae", None), ("PUT", "/containment", {"agent": "\x1b\u202e\x7f", "reason": "x"}),
        ("POST", "/%1b[2J%7f", None),
    )  # fmt: skip
    for answer in answers:
        assert all(32 <= byte < 127 for byte in answer.content), answer.content[:200]
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"nul", b"\xff\xfe", b'{"digest": "\xed\xa0\x80"}', b"[" * 20_000]
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    async def run() -> int:
        async with client(built()) as asked:
            sent = {"content-type": "application/json"}
            return (await asked.post(f"/api/v1/approvals/{A}/approve", content=body, headers=sent)).status_code

    assert asyncio.run(run()) == 400


def test_a_browser_reads_by_cookie_and_changes_only_from_our_own_pages() -> None:
    doors, channel = SimulatedDoors(), SimulatedChannel()
    doors.sessions["s"] = doors.tokens[ALL]

    async def run() -> list[int]:
        async with client(built(channel, doors), "", headers={"cookie": "bascule_session=s"}) as asked:
            path, body = f"/api/v1/approvals/{A}/approve", {"digest": digest(1)}
            ours = {"origin": "http://127.0.0.1:18789"}
            return [
                (await asked.get("/api/v1/status")).status_code,
                (await asked.post(path, json=body)).status_code,
                (await asked.post(path, json=body, headers={"origin": "http://127.0.0.1:3000"})).status_code,
                (await asked.post(path, json=body, headers={"sec-fetch-site": "same-site"})).status_code,
                (await asked.post(path, json=body, headers=ours)).status_code,
            ]

    assert asyncio.run(run()) == [200, 403, 403, 403, 200]
