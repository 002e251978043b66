"""Who stands behind a secret is asked anew each time: of the table, of the clock and of the policy."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.builders import AGENT, NOW
from tests.tokens.opened import ALL, Opened

from bascule.core.errors import NotPermitted
from bascule.service.port import Doors
from bascule.tokens.browsers import IDLE_SECONDS, LONGEST_SECONDS
from bascule.tokens.doors import MACHINE_OPERATOR
from bascule.tokens.token import DAY, Kind, refusal


def entered(home: Opened, secret: str):
    """Who is behind a token, or the refusal's code."""
    try:
        return asyncio.run(home.doors.enter(secret))
    except NotPermitted as refused:
        return refused.code


def recognised(home: Opened, secret: str):
    """Who is behind a browser, or the refusal's code."""
    try:
        return asyncio.run(home.doors.recognise(secret))
    except NotPermitted as refused:
        return refused.code


def both(home: Opened, **asked) -> tuple[str, str]:
    """A token and a browser it signed in."""
    _, secret = asyncio.run(home.made(**asked))
    return secret, asyncio.run(home.doors.sign_in(secret))


def test_doors_are_what_the_surfaces_expect(tmp_path):
    with Opened(tmp_path) as home:
        doors: Doors = home.doors
        assert asyncio.run(doors.leave("nothing")) is None


def test_a_token_stands_for_what_was_asked_and_so_does_its_browser(tmp_path):
    with Opened(tmp_path) as home:
        secret, browser = both(home, scopes="chat,read", agents=AGENT, session="phone", person="talker", trusted=True)
        found = entered(home, secret)
        assert (found.name, found.person, found.trusted) == ("phone", "talker", True)
        assert (found.scopes, found.agents, found.session) == ({"chat", "read"}, {AGENT}, f"agent:{AGENT}:phone")
        assert recognised(home, browser) == replace(found, browser=home.browsers.find(browser).id)
        assert home.tokens.find(secret).last_used == NOW


def test_a_link_stands_for_the_machine_s_operator(tmp_path):
    with Opened(tmp_path) as home:
        secret = asyncio.run(home.linked())
        found = recognised(home, secret)
        assert found == replace(MACHINE_OPERATOR, browser=home.browsers.find(secret).id)
        assert (found.scopes, found.agents, found.person, found.token) == (set(ALL.split(",")), None, None, "")


def test_a_revoked_token_is_out_at_the_next_request_with_its_browsers(tmp_path):
    with Opened(tmp_path) as home:
        secret, browser = both(home)
        other, kept = both(home, name="other")
        asyncio.run(home.tokens.revoke("phone", by="root"))
        assert (entered(home, secret), recognised(home, browser)) == ("token_refused", "session_refused")
        assert entered(home, other).token == recognised(home, kept).token != ""
        with pytest.raises(NotPermitted):
            asyncio.run(home.doors.sign_in(secret))
    with Opened(tmp_path) as after:
        assert (entered(after, secret), recognised(after, browser)) == ("token_refused", "session_refused")
        assert entered(after, other).name == "other"


def test_a_browser_row_that_outlived_its_token_opens_nothing(tmp_path):
    with Opened(tmp_path) as home:
        _, browser = both(home)
        home.database.write("UPDATE tokens SET revoked = created")
        assert recognised(home, browser) == "session_refused"


def test_a_token_that_ran_out_is_out_with_its_browsers(tmp_path):
    with Opened(tmp_path) as home:
        secret, _ = both(home, days=1)
        home.time.at += DAY - 1
        browser = asyncio.run(home.doors.sign_in(secret))
        assert recognised(home, browser).name == "phone"
        home.time.at += 1
        assert (entered(home, secret), recognised(home, browser)) == ("token_refused", "session_refused")


@pytest.mark.parametrize("passed", [IDLE_SECONDS, LONGEST_SECONDS, 100 * DAY])
def test_a_browser_that_was_idle_signs_in_again(tmp_path, passed):
    with Opened(tmp_path) as home:
        browser, by_token = asyncio.run(home.linked()), both(home, days=365)[1]
        home.time.at += passed
        assert [recognised(home, secret) for secret in (browser, by_token)] == ["session_refused"] * 2


def test_a_token_goes_with_its_person(tmp_path):
    with Opened(tmp_path) as home:
        secret, browser = both(home, scopes=ALL, person="Maya", trusted=True)
        assert entered(home, secret).scopes == set(ALL.split(","))
        home.person("Maya", chats=True)
        for found in (entered(home, secret), recognised(home, browser)):
            assert (found.scopes, found.trusted) == ({"read", "chat"}, True)
        home.person("Maya", approves=True)
        assert (entered(home, secret).scopes, recognised(home, browser).trusted) == (set(ALL.split(",")), False)
        home.without("Maya")
        assert (entered(home, secret), recognised(home, browser)) == ("token_refused", "session_refused")
        with pytest.raises(NotPermitted):
            asyncio.run(home.doors.sign_in(secret))


def test_a_token_that_only_approves_is_nothing_without_the_right(tmp_path):
    with Opened(tmp_path) as home:
        secret, browser = both(home, scopes="approve", person="Maya")
        home.person("Maya", chats=True)
        assert (entered(home, secret), recognised(home, browser)) == ("token_refused", "session_refused")


def test_a_browser_that_left_is_nobody_and_its_token_still_works(tmp_path):
    with Opened(tmp_path) as home:
        secret, browser = both(home)
        asyncio.run(home.doors.leave(browser))
        assert (recognised(home, browser), entered(home, secret).name) == ("session_refused", "phone")


def test_nobody_learns_why_a_secret_opens_nothing(tmp_path):
    with Opened(tmp_path) as home:
        revoked, ran_out, gone = both(home), both(home, name="b", days=1), both(home, name="c", person="guest")
        asyncio.run(home.tokens.revoke("phone", by="root"))
        home.time.at += DAY
        home.without("guest")
        said = set()
        for token, browser in (revoked, ran_out, gone, ("bsc_" + "x" * 43, "bss_" + "x" * 43), ("", "")):
            for attempt in (home.doors.enter(token), home.doors.sign_in(token), home.doors.recognise(browser)):
                with pytest.raises(NotPermitted) as refused:
                    asyncio.run(attempt)
                said.add(f"{refused.value.code} {refused.value}")
                assert not refused.value.__cause__
                assert not any(secret[4:] in repr(refused.value.__dict__) for secret in (token, browser) if secret)
        assert said == {f"{found.code} {found}" for found in (refusal(Kind.TOKEN), refusal(Kind.BROWSER))}


def test_a_browser_in_use_keeps_its_token_used(tmp_path):
    with Opened(tmp_path) as home:
        secret, browser = both(home)
        home.time.at += 3600
        recognised(home, browser)
        assert home.tokens.find(secret).last_used == NOW + 3600
        assert home.browsers.find(browser).seen == NOW + 3600
