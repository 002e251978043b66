"""The ceremonies in a real browser: Chromium reads our options, its authenticator answers, and we believe it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright
from tests.tokens.opened import Opened

from bascule.core.errors import NotPermitted
from bascule.service.passkeys import RelyingParty, Yes

SITE = RelyingParty("localhost", "http://localhost:18789")
YES = Yes("apr_" + "0" * 16, "d" * 64)

CREATE = """async (options) => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return JSON.stringify((await navigator.credentials.create({publicKey})).toJSON());
}"""
GET = """async (options) => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return JSON.stringify((await navigator.credentials.get({publicKey})).toJSON());
}"""


@pytest.fixture
def page() -> Iterator[Page]:
    """An empty page of ours, with an authenticator that is a person's."""
    path = shutil.which("chromium")
    assert path is not None, "passkeys are tested in Chromium, and there is none: apt-get install chromium"
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=words)
        found = browser.new_page()
        found.route("**/*", lambda route: route.fulfill(body="<!doctype html><title>ours</title>"))
        found.goto(SITE.origin)
        yield found
        browser.close()


def authenticator(page: Page, *, verified: bool = True, transport: str = "internal") -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": transport,
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verified,
            }
        },
    )


def done(work: Any) -> Any:
    """Await in a thread of its own: the browser's driver has this one's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.mark.live
@pytest.mark.parametrize("transport", ["internal", "usb"])
def test_a_browser_registers_a_passkey_and_says_yes_with_it(page, tmp_path, transport):
    authenticator(page, transport=transport)
    with Opened(tmp_path) as home:
        home.policy = replace(home.policy, passkey="risky")
        who = done(home.doors.recognise(done(home.linked())))
        made = page.evaluate(CREATE, done(home.ring.begin_registration(who, SITE)))
        row = done(home.ring.finish_registration(who, SITE, name="laptop", untrusted_response=made))
        assert (row["site"], row["person"]) == ("localhost", "")
        for _ in range(2):
            with pytest.raises(NotPermitted):
                home.ring.spend(who, YES, action="write")
            signed = page.evaluate(GET, done(home.ring.begin_approval(who, SITE, YES)))
            done(home.ring.finish_approval(who, SITE, YES, untrusted_response=signed))
            home.ring.spend(who, YES, action="write")
        again = home.ring.finish_approval(who, SITE, YES, untrusted_response=signed)
        with pytest.raises(NotPermitted):
            done(again)
        [shown] = done(home.ring.passkeys_list(who))
        assert shown["last_used"] != ""


def failure(page: Page, script: str, options: Any) -> str:
    """The name of what the browser refuses with."""
    return page.evaluate(f"(options) => ({script})(options).then(() => 'done', (error) => error.name)", options)


@pytest.mark.live
def test_a_browser_makes_no_second_key_on_one_device_and_uses_none_elsewhere(page, tmp_path):
    authenticator(page)
    with Opened(tmp_path) as home:
        who = done(home.doors.recognise(done(home.linked())))
        made = page.evaluate(CREATE, done(home.ring.begin_registration(who, SITE)))
        done(home.ring.finish_registration(who, SITE, name="laptop", untrusted_response=made))
        assert failure(page, CREATE, done(home.ring.begin_registration(who, SITE))) == "InvalidStateError"
        options = done(home.ring.begin_approval(who, SITE, YES))
        assert failure(page, GET, options | {"rpId": "example.org"}) == "SecurityError"


@pytest.mark.live
def test_a_browser_asks_for_the_person(page, tmp_path):
    authenticator(page, verified=False)
    with Opened(tmp_path) as home:
        who = done(home.doors.recognise(done(home.linked())))
        assert failure(page, CREATE, done(home.ring.begin_registration(who, SITE))) == "NotAllowedError"
