"""A link works once and soon, a browser is in for a while, and both are forgotten when their time is up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.builders import NOW
from tests.racers import RACERS
from tests.tokens.opened import Opened

from bascule.core.errors import Malformed, NotPermitted, Unavailable
from bascule.tokens.browsers import IDLE_SECONDS, LINK_SECONDS, LONGEST_SECONDS, MOST_BROWSERS
from bascule.tokens.token import DAY, STRAY_SECONDS

ROOT = Path(__file__).parents[2]


def redeemed(home: Opened, link: str) -> str:
    """The new browser's secret, or the code of the refusal."""
    try:
        return asyncio.run(home.browsers.redeem(link))
    except NotPermitted as refused:
        return refused.code


def test_a_link_signs_one_browser_in_once(tmp_path):
    with Opened(tmp_path) as home:
        link, until = asyncio.run(home.browsers.make_link(by="root"))
        browser = redeemed(home, link)
        assert until == NOW + LINK_SECONDS
        assert home.browsers.find(browser).token is None
        assert redeemed(home, link) == "link_refused"
    with Opened(tmp_path) as after:
        assert redeemed(after, link) == "link_refused"
        assert after.browsers.find(browser).created == NOW


@pytest.mark.parametrize(
    ("passed", "works"),
    [
        (0, True),
        (LINK_SECONDS - 1, True),
        (LINK_SECONDS, False),
        (DAY, False),
        (-60, True),
        (-STRAY_SECONDS - 1, False),
    ],
)
def test_a_link_works_for_ten_minutes(tmp_path, passed, works):
    with Opened(tmp_path) as home:
        link, _ = asyncio.run(home.browsers.make_link(by="root"))
        home.time.at += passed
        assert (redeemed(home, link) != "link_refused") is works


def test_an_old_link_is_forgotten_when_the_next_is_made(tmp_path):
    with Opened(tmp_path) as home:
        asyncio.run(home.browsers.make_link(by="root"))
        home.time.at += LINK_SECONDS
        asyncio.run(home.browsers.make_link(by="root"))
        assert home.database.read("SELECT count(*) FROM tokens_links") == [(1,)]


def test_a_secret_opens_no_other_door(tmp_path):
    with Opened(tmp_path) as home:
        _, token = asyncio.run(home.made())
        browser = asyncio.run(home.linked())
        link, _ = asyncio.run(home.browsers.make_link(by="root"))
        assert [redeemed(home, secret) for secret in (token, browser, "bsl_" + token[4:])] == ["link_refused"] * 3
        assert [home.browsers.find(secret) for secret in (token, link, "bss_" + link[4:], "")] == [None] * 4
        assert [home.tokens.find(secret) for secret in (browser, link, "bsc_" + browser[4:])] == [None] * 3


@pytest.mark.parametrize(
    ("steps", "step", "within"),
    [
        (1, IDLE_SECONDS - 1, True),
        (1, IDLE_SECONDS, False),
        (70, IDLE_SECONDS - 60, False),
        (59, IDLE_SECONDS - 60, True),
        (1, -60, True),
        (1, -STRAY_SECONDS - 1, False),
    ],
)
def test_a_browser_is_in_while_it_is_used_and_no_longer_than_a_month(tmp_path, steps, step, within):
    with Opened(tmp_path) as home:
        secret = asyncio.run(home.linked())
        for _ in range(steps):
            home.time.at += step
            found = home.browsers.find(secret)
            if found is None:
                break
            assert found.expires <= found.latest == NOW + LONGEST_SECONDS
            home.browsers.note_seen(found)
        assert (home.browsers.find(secret) is not None) is within


def test_a_browser_that_leaves_is_out_at_once_and_for_good(tmp_path):
    with Opened(tmp_path) as home:
        secret, other = asyncio.run(home.linked()), asyncio.run(home.linked())
        for word in (secret, secret, "", "bss_" + "x" * 43, other[:-1]):
            asyncio.run(home.browsers.leave(word))
        assert home.browsers.find(secret) is None
        assert home.browsers.find(other) is not None
        assert len(home.records("signed_out")) == 1
    with Opened(tmp_path) as after:
        assert after.browsers.find(secret) is None


def test_a_browser_that_came_by_a_link_is_listed_and_ended_by_its_id(tmp_path):
    with Opened(tmp_path) as home:
        secret, other = asyncio.run(home.linked()), asyncio.run(home.linked())
        token, phone = asyncio.run(home.made())
        by_token = home.browsers.find(asyncio.run(home.doors.sign_in(phone)))
        first, second = home.browsers.by_link()
        assert (home.browsers.find(secret), home.browsers.find(other)) == (first, second)
        asyncio.run(home.browsers.end(first.id, by="root"))
        assert home.browsers.by_link() == [second]
        assert home.browsers.find(secret) is None
        for gone in (first.id, by_token.id, token.id, "brw_0000000000000000", "", "\ud800", "'"):
            with pytest.raises(Malformed):
                asyncio.run(home.browsers.end(gone, by="root"))
        assert [json.loads(body)["by"] for body in home.records("signed_out")] == ["root"]
        home.time.at += IDLE_SECONDS
        assert home.browsers.by_link() == []


def test_a_token_that_was_revoked_signs_nobody_in(tmp_path):
    with Opened(tmp_path) as home:
        token, _ = asyncio.run(home.made())
        asyncio.run(home.tokens.revoke("phone", by="root"))
        with pytest.raises(NotPermitted) as refused:
            asyncio.run(home.browsers.sign_in(token))
        assert refused.value.code == "token_refused"
        assert home.records("signed_in") == []


def test_one_browser_too_many_ends_the_longest_idle(tmp_path):
    with Opened(tmp_path) as home:
        token, _ = asyncio.run(home.made())
        link = asyncio.run(home.linked())
        first, second, *_ = [asyncio.run(home.browsers.sign_in(token)) for _ in range(MOST_BROWSERS)]
        home.time.at += 120
        home.browsers.note_seen(home.browsers.find(first))
        asyncio.run(home.browsers.sign_in(token))
        assert [home.browsers.find(secret) is None for secret in (link, first, second)] == [False, False, True]
        assert home.database.read("SELECT count(*) FROM tokens_browsers") == [(MOST_BROWSERS + 1,)]


def test_browsers_of_the_past_are_forgotten_at_the_next_sign_in(tmp_path):
    with Opened(tmp_path) as home:
        asyncio.run(home.linked())
        home.time.at += IDLE_SECONDS
        asyncio.run(home.linked())
        assert home.database.read("SELECT count(*) FROM tokens_browsers") == [(1,)]


def test_being_seen_is_written_down_at_most_once_a_minute(tmp_path):
    with Opened(tmp_path) as home:
        secret = asyncio.run(home.linked())
        seen = []
        for moment in (30, 60, 90, 120):
            home.time.at = NOW + moment
            home.browsers.note_seen(home.browsers.find(secret))
            seen.append(home.browsers.find(secret).seen - NOW)
        assert seen == [0, 60, 60, 120]


def test_a_link_whose_use_cannot_be_recorded_still_works(tmp_path):
    class Full:
        def record(self, change, kind, body):
            raise Unavailable("disk_full", "no space is left")

    with Opened(tmp_path) as home:
        link, _ = asyncio.run(home.browsers.make_link(by="root"))
        journal, home.browsers._journal = home.browsers._journal, Full()
        with pytest.raises(Unavailable):
            asyncio.run(home.browsers.redeem(link))
        with pytest.raises(Unavailable):
            asyncio.run(home.browsers.make_link(by="root"))
        home.browsers._journal = journal
        assert home.browsers.find(redeemed(home, link)) is not None


def test_chance_that_repeats_itself_opens_no_second_door(tmp_path):
    with Opened(tmp_path, entropy=lambda size: b"\7" * size) as home:
        link, _ = asyncio.run(home.browsers.make_link(by="root"))
        with pytest.raises(Unavailable) as refused:
            asyncio.run(home.browsers.make_link(by="root"))
        assert refused.value.code == "token_taken"
        asyncio.run(home.browsers.redeem(link))
        token, _ = asyncio.run(home.made())
        with pytest.raises(Unavailable):
            asyncio.run(home.browsers.sign_in(token))


def test_threads_that_use_one_link_at_once(tmp_path):
    with Opened(tmp_path) as home:
        link, _ = asyncio.run(home.browsers.make_link(by="root"))
        results, gun = [], threading.Barrier(RACERS)

        def one() -> None:
            gun.wait()
            results.append(redeemed(home, link))

        threads = [threading.Thread(target=one) for _ in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(results), results.count("link_refused")) == (RACERS, RACERS - 1)
        assert len(home.records("signed_in")) == 1
        assert home.verified().ok


def test_processes_that_use_one_link_at_once(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "tests.tokens.racing", str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sorted(ran.stdout.split()) == ["in", *["link_refused"] * (RACERS - 1)], ran.stderr
