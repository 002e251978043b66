"""Passkeys in a real browser, with an authenticator that Chromium plays and a ring that checks what it signs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.channels.dashboard.person import Person
from tests.channels.dashboard.stage import Stage, StagedChannel, staged
from tests.tokens.opened import Opened

from bascule.channels import dashboard
from bascule.service.passkeys import Yes
from bascule.service.port import Caller, Wider

pytestmark = pytest.mark.live

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class GuardedChannel(StagedChannel):
    """Refuses a yes that needs a passkey, as the gateway does."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._ring = opened.ring

    def _spend(self, caller: Caller, ref: str, wider: Wider | None) -> None:
        row = self.questions[ref]
        if row["state"] == "pending":
            self._ring.spend(caller.principal, Yes(ref, row["digest"], wider), action=row["action"])

    async def approvals_approve(self, caller: Caller, *, ref: str) -> Any:
        self._spend(caller, ref, None)
        return await super().approvals_approve(caller, ref=ref)

    async def approvals_grant(self, caller: Caller, *, ref: str, wider: Wider) -> Any:
        self._spend(caller, ref, wider)
        return await super().approvals_grant(caller, ref=ref, wider=wider)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    tmp_path.chmod(0o700)
    with Opened(tmp_path) as doors:
        doors.policy = replace(doors.policy, passkey="risky")
        yield doors


@pytest.fixture
def stage(opened: Opened) -> Iterator[Stage]:
    with staged(GuardedChannel(opened), opened.doors, partial(dashboard.add, passkeys=opened.ring)) as running:
        running.address = f"http://localhost:{running.port}"
        yield running


def sign_in(person: Person, opened: Opened) -> None:
    secret, _ = person.stage.wait(opened.browsers.make_link(by="root"))
    person.open(f"/sign-in?link={secret}")
    person.page.get_by_role("button", name="Sign this browser in").click()
    person.page.wait_for_url(person.stage.address + "/")


def plug_in(person: Person, **changes: Any) -> tuple[Any, str]:
    session = person.context.new_cdp_session(person.page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR | changes})
    return session, made["authenticatorId"]


def register(person: Person) -> None:
    person.open("/passkeys")
    person.page.get_by_label("Name").fill("laptop")
    person.page.get_by_role("button", name="Register this browser's passkey").click()
    expect(person.page.get_by_role("row", name="laptop")).to_be_visible()


def states(stage: Stage) -> list[str]:
    return stage.do(lambda: [row["state"] for row in stage.channel.questions.values()])


def test_a_risky_yes_takes_a_passkey_and_a_harmless_one_and_a_no_take_none(
    person: Person, stage: Stage, opened: Opened
) -> None:
    sign_in(person, opened)
    plug_in(person)
    register(person)
    person.open("/pending")
    person.card(3).get_by_role("button", name="Yes, once, with passkey").click()
    expect(person.card(3)).to_contain_text("approved by")
    person.card(1).get_by_role("button", name="Yes, once", exact=True).click()
    expect(person.card(1)).to_contain_text("approved by")
    person.card(2).get_by_role("button", name="No", exact=True).click()
    expect(person.card(2)).to_contain_text("denied by")
    assert states(stage) == ["approved", "denied", "approved"]


def test_the_terms_of_a_grant_are_what_is_signed(person: Person, stage: Stage, opened: Opened) -> None:
    sign_in(person, opened)
    plug_in(person)
    register(person)
    person.open("/pending")
    person.card(1).locator("summary").click()
    person.card(1).locator("input[value=exact]").check()
    person.card(1).get_by_role("button", name="Yes, and to these, with passkey").click()
    expect(person.card(1)).to_contain_text("approved by")
    assert stage.do(lambda: [wider.extent for wider in stage.channel.widened]) == ["exact"]


def test_without_a_passkey_the_gateway_says_no_and_the_page_why(person: Person, stage: Stage, opened: Opened) -> None:
    sign_in(person, opened)
    person.expected = ("Failed to load resource",)
    person.open("/pending")
    person.card(3).get_by_role("button", name="Yes, once, with passkey").click()
    expect(person.page.get_by_role("alert")).to_contain_text("passkey")
    assert states(stage) == ["pending"] * 3


def test_one_that_does_not_know_the_person_answers_nothing(person: Person, stage: Stage, opened: Opened) -> None:
    sign_in(person, opened)
    session, authenticator = plug_in(person)
    register(person)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    person.open("/pending")
    person.card(3).get_by_role("button", name="Yes, once, with passkey").click()
    expect(person.page.get_by_role("alert")).to_contain_text("nothing was answered")
    assert states(stage) == ["pending"] * 3


def test_a_page_without_our_script_cannot_skip_it(chromium: Browser, stage: Stage, opened: Opened) -> None:
    with Person.arriving(chromium, stage, java_script_enabled=False) as person:
        sign_in(person, opened)
        person.expected = ("Failed to load resource",)
        person.open("/pending")
        person.card(3).get_by_role("button", name="Yes, once, with passkey").click()
        expect(person.page.get_by_role("alert")).to_contain_text("passkey")
        assert states(stage) == ["pending"] * 3
    person.check()


def test_several_at_once_leave_out_those_that_take_one(person: Person, stage: Stage, opened: Opened) -> None:
    sign_in(person, opened)
    person.open("/pending")
    person.card(1).locator(".tick").check()
    person.card(2).locator(".tick").check()
    person.page.get_by_role("button", name="Yes to the ticked…").click()
    expect(person.page.get_by_text("1 of them takes a passkey")).to_be_visible()
    expect(person.page.get_by_role("button", name="Yes, once each")).to_have_count(0)
    assert states(stage) == ["pending"] * 3


def test_one_can_be_removed(person: Person, opened: Opened) -> None:
    sign_in(person, opened)
    plug_in(person)
    register(person)
    person.page.get_by_role("button", name="Remove").click()
    expect(person.page.get_by_text("No passkey yet.")).to_be_visible()
    assert len(opened.records("passkey_removed")) == 1


def test_on_an_address_the_page_says_where_they_work(person: Person, stage: Stage, opened: Opened) -> None:
    stage.address = f"http://127.0.0.1:{stage.port}"
    sign_in(person, opened)
    person.open("/passkeys")
    assert f"http://localhost:{stage.port}" in person.page.locator(".notice").inner_text()
    expect(person.page.locator("#register")).to_have_count(0)
