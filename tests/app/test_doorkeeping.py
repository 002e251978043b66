"""Only the machine's own operator opens doors, and an admin token none that is wider than its own."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest
from tests.builders import AGENT, NOW
from tests.tokens.opened import ADDRESS, ALL, SHELL, Opened, asking

from bascule.app.doorkeeping import LINK_PATH
from bascule.app.reports import instant
from bascule.core.errors import BasculeError, NotPermitted, Unavailable
from bascule.service.port import Caller
from bascule.service.shapes import TokenMade, TokenRow
from bascule.tokens.browsers import LINK_SECONDS
from bascule.tokens.doors import MACHINE_OPERATOR
from bascule.tokens.token import DAY


def over_http(home: Opened, secret: str) -> Caller:
    """The caller that a surface makes of a token."""
    found = asyncio.run(home.doors.enter(secret))
    return Caller(-1, 0, f"{found.name} (api)", found.person, found)


def created(home: Opened, caller: Caller, **asked) -> str:
    """The new token's secret, or the code of the refusal."""
    try:
        return asyncio.run(home.office.tokens_create(caller, minting=asking(**asked)))["token"]
    except BasculeError as refused:
        return refused.code


BROWSER = Caller(-1, 0, "operator (dashboard)", None, MACHINE_OPERATOR)
STRANGERS = [
    Caller(-1, 0, "maya (signal)", "Maya"),
    Caller(-1, 0, "somebody (signal)"),
    Caller(0, 7, "root", "Maya"),
    Caller(0, 7, "root", None, replace(MACHINE_OPERATOR, scopes=frozenset({"read", "approve", "chat"}))),
    Caller(-1, 0, "phone (api)", None, replace(MACHINE_OPERATOR, scopes=frozenset({"approve"}))),
    Caller(-1, 0, "ghost (api)", None, replace(MACHINE_OPERATOR, token="tok_0000000000000000")),
]


def test_a_token_is_shown_whole_once_and_listed_without_its_secret(tmp_path):
    with Opened(tmp_path) as home:
        made = asyncio.run(home.office.tokens_create(SHELL, minting=asking(scopes="chat,read", agents=AGENT, days=7)))
        [row] = asyncio.run(home.office.tokens_list())
        assert set(made) == set(TokenMade.__annotations__)
        assert set(row) == set(TokenRow.__annotations__)
        assert row == {key: value for key, value in made.items() if key != "token"}
        assert (row["scopes"], row["agents"], row["state"]) == (["chat", "read"], [AGENT], "active")
        assert (row["created"], row["expires"]) == (instant(NOW), instant(NOW + 7 * DAY))
        assert asyncio.run(home.doors.enter(made["token"])).token == row["id"]
        [used] = asyncio.run(home.office.tokens_list())
        assert (row["last_used"], used["last_used"]) == ("", instant(NOW))


def test_a_token_is_revoked_by_id_or_name(tmp_path):
    with Opened(tmp_path) as home:
        first = asyncio.run(home.office.tokens_create(SHELL, minting=asking("a")))
        second = asyncio.run(home.office.tokens_create(SHELL, minting=asking("b")))
        for made, reference in ((first, first["id"]), (second, "b")):
            assert asyncio.run(home.office.tokens_revoke(SHELL, token=reference))["state"] == "revoked"
            with pytest.raises(NotPermitted):
                asyncio.run(home.doors.enter(made["token"]))
        assert [row["state"] for row in asyncio.run(home.office.tokens_list())] == ["revoked", "revoked"]


def test_a_link_leads_to_the_dashboard_and_its_browser_is_listed_and_ended(tmp_path):
    with Opened(tmp_path) as home:
        link = asyncio.run(home.office.dashboard_link(SHELL))
        address, _, secret = link["url"].partition(f"{LINK_PATH}?link=")
        assert (address, link["expires"]) == (ADDRESS, instant(NOW + LINK_SECONDS))
        browser = asyncio.run(home.doors.redeem(secret))
        [row] = asyncio.run(home.office.tokens_list())
        assert set(row) == set(TokenRow.__annotations__)
        assert (row["state"], row["agents"], row["scopes"]) == ("active", ["*"], sorted(ALL.split(",")))
        assert asyncio.run(home.office.tokens_revoke(SHELL, token=row["id"]))["state"] == "revoked"
        with pytest.raises(NotPermitted):
            asyncio.run(home.doors.recognise(browser))
        assert asyncio.run(home.office.tokens_list()) == []


def test_no_page_no_link(tmp_path):
    with Opened(tmp_path) as home:
        home.address = ""
        with pytest.raises(Unavailable) as refused:
            asyncio.run(home.office.dashboard_link(SHELL))
        assert refused.value.code == "dashboard_off"
        assert home.records("link_made") == []


@pytest.mark.parametrize("caller", STRANGERS, ids=lambda caller: caller.name)
def test_a_stranger_opens_and_closes_no_door(tmp_path, caller):
    with Opened(tmp_path) as home:
        _, secret = asyncio.run(home.made())
        browser = asyncio.run(home.linked())
        [row] = asyncio.run(home.office.tokens_list())[1:]
        assert created(home, caller, name="mine") in {"not_an_admin", "token_refused"}
        for attempt in (
            home.office.tokens_revoke(caller, token="phone"),
            home.office.tokens_revoke(caller, token=row["id"]),
            home.office.dashboard_link(caller),
        ):
            with pytest.raises(NotPermitted):
                asyncio.run(attempt)
        assert asyncio.run(home.doors.enter(secret)).name == "phone"
        assert asyncio.run(home.doors.recognise(browser)).browser == row["id"]
        assert len(home.tokens.every()) == 1


@pytest.mark.parametrize(
    ("has", "asked", "code"),
    [
        ({"scopes": "admin,read"}, {"scopes": "read,approve"}, "token_beyond"),
        ({"scopes": "admin", "agents": AGENT}, {"scopes": "admin", "agents": "*"}, "token_beyond"),
        ({"scopes": "admin", "agents": AGENT}, {"scopes": "admin", "agents": "bruba-web"}, "token_beyond"),
        ({"scopes": "admin,chat"}, {"scopes": "chat", "trusted": True}, "token_beyond"),
        ({"scopes": "admin,chat"}, {"scopes": "chat", "session": "main"}, "token_beyond"),
        ({"scopes": "admin,read", "days": 7}, {"days": 8}, "token_beyond"),
        ({"scopes": "admin,read", "person": "Maya"}, {}, "token_beyond"),
        ({"scopes": "admin,read", "person": "Maya"}, {"person": "guest"}, "token_beyond"),
        ({"scopes": "approve,read"}, {}, "not_an_admin"),
        ({"scopes": "admin,read"}, {"name": "first"}, "token_name"),
        ({"scopes": "admin,read"}, {"agents": "ghost"}, "agent_unknown"),
    ],
)
def test_an_admin_token_makes_none_that_has_more(tmp_path, has, asked, code):
    with Opened(tmp_path) as home:
        maker = over_http(home, asyncio.run(home.made("first", **has))[1])
        assert created(home, maker, **{"name": "second"} | asked) == code
        assert len(home.tokens.every()) == 1


def test_an_admin_token_makes_its_like_and_no_longer_one(tmp_path):
    with Opened(tmp_path) as home:
        maker = over_http(home, asyncio.run(home.made("first", ALL, person="Maya", days=30))[1])
        child = created(home, maker, name="second", scopes=ALL, person="Maya", days=30)
        assert asyncio.run(home.doors.enter(child)).scopes == set(ALL.split(","))
        home.time.at += DAY
        assert created(home, maker, name="third", person="Maya", days=30) == "token_beyond"
        asyncio.run(home.office.tokens_revoke(maker, token="second"))
        assert home.tokens.every()[1].revoked == home.time.at


def test_what_a_surface_remembers_of_a_token_counts_for_nothing(tmp_path):
    with Opened(tmp_path) as home:
        caller = over_http(home, asyncio.run(home.made("first", "admin,read", agents=AGENT, person="Maya"))[1])
        boasting = replace(caller, principal=replace(MACHINE_OPERATOR, token=caller.principal.token))
        assert created(home, boasting, name="second", scopes=ALL) == "token_beyond"
        home.person("Maya", chats=True)
        assert created(home, caller, name="third", agents=AGENT, person="Maya") == "not_an_admin"
        home.without("Maya")
        assert created(home, caller, name="third", agents=AGENT) == "token_refused"
        asyncio.run(home.tokens.revoke("first", by="root"))
        with pytest.raises(NotPermitted):
            asyncio.run(home.office.tokens_revoke(caller, token="first"))


def test_the_operator_s_browser_makes_tokens_that_last_no_longer_than_a_browser(tmp_path):
    with Opened(tmp_path) as home:
        assert created(home, BROWSER, scopes=ALL, session="main", trusted=True, days=31) == "token_beyond"
        secret = created(home, BROWSER, scopes=ALL, session="main", trusted=True, days=30)
        assert asyncio.run(home.doors.enter(secret)).scopes == set(ALL.split(","))
        assert created(home, SHELL, name="long", scopes=ALL, days=365).startswith("bsc_")
        assert math.isclose(home.tokens.every()[0].expires, NOW + 30 * DAY)


def test_only_the_machine_s_own_shell_makes_links(tmp_path):
    with Opened(tmp_path) as home:
        admin = over_http(home, asyncio.run(home.made("first", ALL, trusted=True))[1])
        for caller in (admin, BROWSER):
            with pytest.raises(NotPermitted) as refused:
                asyncio.run(home.office.dashboard_link(caller))
            assert refused.value.code == "not_the_operator"
        assert home.records("link_made") == []
