"""Every page and every button: who may, what is refused, and that a GET changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.channels.dashboard.knocking import ORIGIN, Knock, knocking
from tests.channels.dashboard.stage import CARD, StagedChannel, question
from tests.channels.simulated_channel import simulated_policy

from bascule.channels.dashboard.pages import BUTTONS, PAGES
from bascule.core.surfaces import HttpPolicy

NAMES = {
    "ref": "apr_0000000000000001",
    "agent": "bruba-main",
    "seq": "4",
    "grant": "gra_0000000000000001",
    "token": "tok_1",
}
QUERIES = {"/session": "?key=agent:bruba-main:main", "/part/cards": "?ids=apr_0000000000000001,apr_nothing"}
VIEWS = [path.format(**NAMES) + QUERIES.get(path, "") for path, _ in PAGES if path != "/live"]
ACTS = [(path.format(**NAMES), scopes) for path, _, scopes in BUTTONS]
FIELDS = (("answer", "deny"), ("digest", f"{1:064x}"), ("extent", "exact"), ("reason", "a test"))


def snapshot(channel: StagedChannel) -> str:
    return repr((channel.questions, channel.given, channel.contained, channel.keys, len(channel.records)))


@pytest.mark.parametrize("path", VIEWS)
def test_a_page_needs_a_sign_in_and_the_scope_read(path: str) -> None:
    async def work(knock: Knock) -> list[int]:
        before = snapshot(knock.channel)
        out = await knock.get(path)
        assert out.headers["location"] == "/sign-in"
        await knock.sign_in("tok-chat")
        chat = await knock.get(path)
        await knock.sign_in("tok-read")
        read = await knock.get(path)
        assert snapshot(knock.channel) == before
        return [out.status_code, chat.status_code, read.status_code]

    assert knocking(work) == [303, 403, 200]


@pytest.mark.parametrize(("path", "scopes"), ACTS)
def test_a_button_needs_its_scope_and_a_page_of_ours(path: str, scopes: tuple[str, ...]) -> None:
    async def work(knock: Knock) -> None:
        before = snapshot(knock.channel)
        assert (await knock.post(path, *FIELDS)).headers["location"] == "/sign-in"
        for token in ("tok-read", "tok-chat"):
            await knock.sign_in(token)
            assert (await knock.post(path, *FIELDS)).status_code == 403
        await knock.sign_in()
        for foreign in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = await knock.post(path, *FIELDS, **foreign)
            assert (refused.status_code, "another site" in refused.text) == (403, True)
        assert (await knock.get(path)).status_code in {200, 404, 405}
        assert snapshot(knock.channel) == before
        for scope in {"approve", "admin"} - set(scopes):
            await knock.sign_in(f"tok-{scope}")
            assert (await knock.post(path, *FIELDS)).status_code == 403
        assert snapshot(knock.channel) == before
        await knock.sign_in()
        assert (await knock.post(path, *FIELDS)).status_code in {200, 303}

    knocking(work)


def test_a_sign_in_for_one_agent_sees_nothing_of_the_others() -> None:
    async def work(knock: Knock) -> None:
        await knock.sign_in("tok-read-approve-chat-admin.web")
        before = snapshot(knock.channel)
        for path in VIEWS:
            told = await knock.get(path)
            assert "bruba-guest" not in told.text, path
            # What was asked for by name is told to be unknown, by that name.
            assert told.status_code == 404 if "bruba-main" in path else "bruba-main" not in told.text, path
        for path, _ in ACTS:
            if path not in ("/stop", "/pending/ticked", "/pending/decide"):
                assert (await knock.post(path, *FIELDS)).status_code == 404, path
        for path in ("/pending/ticked", "/pending/decide"):
            item = ("item", f"apr_0000000000000001={1:064x}")
            assert (await knock.post(path, ("answer", "approve"), item)).status_code == 404
        assert snapshot(knock.channel) == before
        await knock.post("/stop", ("reason", "enough"))
        assert knock.channel.contained == {"bruba-web": "enough"}

    knocking(work)


def test_an_answer_names_who_gave_it() -> None:
    async def work(knock: Knock) -> None:
        await knock.sign_in()
        await knock.post("/approvals/apr_0000000000000001/answer", ("answer", "approve"), ("digest", f"{1:064x}"))
        [caller] = knock.channel.callers
        assert (caller.name, caller.person, caller.uid) == ("tok-read-approve-chat-admin (dashboard)", "pat", -1)
        assert caller.principal == knock.doors.tokens["tok-read-approve-chat-admin"]

    knocking(work)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((("answer", "approve"), ("digest", f"{2:064x}")), 409),
        ((("answer", "approve"),), 409),
        ((("answer", "maybe"), ("digest", f"{1:064x}")), 400),
        ((("answer", "approve"), ("answer", "deny"), ("digest", f"{1:064x}")), 400),
        ((), 400),
    ],
)
def test_only_the_question_that_was_shown_is_answered(fields: tuple[tuple[str, str], ...], status: int) -> None:
    async def work(knock: Knock) -> None:
        await knock.sign_in()
        before = snapshot(knock.channel)
        told = await knock.post("/approvals/apr_0000000000000001/answer", *fields)
        assert (told.status_code, snapshot(knock.channel)) == (status, before)

    knocking(work)


def test_several_are_answered_only_if_every_one_is_what_was_shown() -> None:
    async def work(knock: Knock) -> None:
        await knock.sign_in()
        good, other = f"apr_0000000000000001={1:064x}", f"apr_0000000000000002={1:064x}"
        before = snapshot(knock.channel)
        for items in ((good, other), (good, "apr_0000000000000009=0"), (good, "nonsense"), (good, f"apr_3={3:064x}")):
            for path in ("/pending/ticked", "/pending/decide"):
                told = await knock.post(path, ("answer", "approve"), *(("item", item) for item in items))
                assert told.status_code in {400, 404, 409}
        mail = ("item", f"apr_0000000000000003={3:064x}")
        assert (await knock.post("/pending/decide", ("answer", "approve"), ("item", good), mail)).status_code == 403
        assert snapshot(knock.channel) == before
        assert (await knock.post("/pending/ticked", ("answer", "approve"))).headers["location"] == "/pending"

    knocking(work)


def test_ten_thousand_pending_are_shown_a_page_at_a_time_oldest_first() -> None:
    channel = StagedChannel()
    rows = [question(number, CARD, bulk=True) for number in range(1, 10_001)]
    channel.questions = {row["id"]: row for row in rows}

    async def work(knock: Knock) -> None:
        await knock.sign_in()
        first, last = await knock.get("/pending"), await knock.get("/pending?page=100")
        assert first.text.count("<article") == last.text.count("<article") == 100
        assert rows[0]["id"] in first.text
        assert rows[-1]["id"] in last.text
        assert "10000 questions, oldest first" in first.text
        assert "page 1 of 100" in first.text
        assert (await knock.get("/part/pending?page=2")).json()["open"] == [row["id"] for row in rows[100:200]]
        assert "0 questions with these words" in (await knock.get("/pending?q=nothing+like+it")).text

    knocking(work, channel)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/approvals/apr_none", 404),
        ("/approvals/CODE0001", 200),
        ("/agents/nobody", 404),
        ("/session?key=agent:nobody:main", 404),
        ("/session", 404),
        ("/ledger/0", 400),
        ("/ledger/x", 400),
        ("/ledger/99999", 404),
        ("/ledger?until=1&until=2", 400),
        ("/pending?page=-1", 400),
        ("/pending?page=99999", 200),
        ("/pending?q=" + "x" * 301, 400),
        ("/static/live.js", 200),
        ("/static/paper.py", 404),
        ("/static/..%2Fpages.py", 404),
    ],
)
def test_what_is_asked_oddly_is_answered_with_a_page(path: str, status: int) -> None:
    async def work(knock: Knock) -> Any:
        await knock.sign_in()
        return await knock.get(path)

    answer = knocking(work)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_pages_let_a_form_say_where_it_comes_from_and_nobody_else_learn_it() -> None:
    async def work(knock: Knock) -> list[str]:
        await knock.sign_in()
        return [(await knock.get(path)).headers["referrer-policy"] for path in ("/", "/sign-in", "/nothing")]

    assert knocking(work) == ["same-origin"] * 3


def test_an_error_of_ours_is_a_page_without_its_text() -> None:
    async def work(knock: Knock) -> None:
        await knock.sign_in()
        knock.channel.fail = ZeroDivisionError("secret detail")
        told = await knock.get("/")
        assert told.status_code == 500
        assert "secret" not in told.text
        assert "internal_error" in told.text

    knocking(work)


def test_guessing_at_tokens_is_slowed_and_says_when_to_come_back() -> None:
    async def work(knock: Knock) -> None:
        told = [await knock.post("/sign-in", ("token", f"guess-{number}")) for number in range(14)]
        assert [answer.status_code for answer in told] == [401] * 11 + [429] * 3
        assert int(told[-1].headers["retry-after"]) > 0
        assert len(knock.doors.tried) == 11
        assert "www-authenticate" not in told[0].headers

    knocking(work)


def test_looking_at_a_link_uses_nothing_up_and_a_foreign_page_signs_nobody_in() -> None:
    async def work(knock: Knock) -> None:
        knock.doors.links.add("one-time")
        for _ in range(3):
            assert "one-time" in (await knock.get("/sign-in?link=one-time")).text
        refused = await knock.post("/sign-in", ("link", "one-time"), Origin="http://evil.example")
        assert refused.status_code == 403
        assert knock.doors.links == {"one-time"}
        signed = await knock.post("/sign-in", ("link", "one-time"))
        assert (signed.status_code, signed.headers["location"]) == (303, "/")
        cookie = signed.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert "Max-Age" not in cookie
        assert "one-time" not in signed.text
        assert knock.doors.links == set()

    knocking(work)


def test_behind_a_proxy_every_address_has_what_it_puts_before_it() -> None:
    http = HttpPolicy(base_path="/bascule", origins=("https://box.example",), proxies=("127.0.0.1",))

    async def work(knock: Knock) -> None:
        proxied = {"Host": "box.example", "X-Forwarded-Proto": "https", "Origin": "https://box.example"}
        out = await knock.get("/bascule/pending", **proxied)
        assert out.headers["location"] == "/bascule/sign-in"
        signed = await knock.post("/bascule/sign-in", ("token", "tok-read"), **proxied)
        assert "__Host-bascule_session" in signed.headers["set-cookie"]
        assert "Secure" in signed.headers["set-cookie"]
        secret = next(iter(knock.doors.sessions))
        page = await knock.get("/bascule/", **proxied, Cookie=f"__Host-bascule_session={secret}")
        assert page.status_code == 200
        assert 'href="/bascule/pending"' in page.text
        assert 'href="/pending"' not in page.text

    knocking(work, policy=simulated_policy(http))


def test_no_pages_where_policy_serves_none() -> None:
    async def work(knock: Knock) -> int:
        return (await knock.get("/sign-in")).status_code

    assert knocking(work, policy=simulated_policy(replace(HttpPolicy(), dashboard=False))) == 404
    assert knocking(work) == 200


def test_a_foreign_host_name_is_told_nothing() -> None:
    async def work(knock: Knock) -> None:
        await knock.sign_in()
        told = await knock.get("/pending", Host="rebound.example:18789")
        assert told.status_code == 421
        assert "bruba" not in told.text
        assert "<html" in told.text

    knocking(work)
    assert ORIGIN.startswith("http://127.")
