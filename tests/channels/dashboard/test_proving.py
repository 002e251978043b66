"""What the pages hand to the passkeys, and what they make of what comes back; real ceremonies are tried in Chromium."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.channels.dashboard.knocking import Knock, knocking
from tests.channels.dashboard.test_escapes import ALL, Reader, hidden

from bascule.channels import dashboard
from bascule.channels.dashboard.proving import BUTTONS, is_possible
from bascule.core.errors import NotPermitted
from bascule.service.passkeys import RelyingParty, Yes
from bascule.service.port import Principal, Wider

REF = "apr_0000000000000001"
NAMES = {"ref": REF, "passkey": "pky_1"}
POSTS = [path.format(**NAMES) for path, _, _ in BUTTONS]


class Ring:
    """Says yes to everything and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def needed(self, principal: Principal, *, action: str, wider: bool) -> bool:
        return wider or action == "external"

    async def begin_registration(self, principal: Principal, party: RelyingParty) -> Any:
        self.asked.append((party,))
        return {"challenge": "x"}

    async def finish_registration(
        self, principal: Principal, party: RelyingParty, *, name: str, untrusted_response: str
    ) -> Any:
        self.asked.append((party, name, untrusted_response))
        return {"id": "pky_1"}

    async def begin_approval(self, principal: Principal, party: RelyingParty, yes: Yes) -> Any:
        self.asked.append((party, yes))
        return {"challenge": "x"}

    async def finish_approval(
        self, principal: Principal, party: RelyingParty, yes: Yes, *, untrusted_response: str
    ) -> None:
        self.asked.append((party, yes, untrusted_response))
        if untrusted_response == "bad":
            raise NotPermitted("passkey_refused", "the passkey's answer is none")

    async def passkeys_list(self, principal: Principal) -> Any:
        row = {"id": "pky_1", "name": ALL, "site": ALL, "person": ALL, "created": "", "last_used": ""}
        return [row]

    async def passkeys_remove(self, principal: Principal, *, passkey: str) -> Any:
        self.asked.append((passkey,))
        return {}


SITE = RelyingParty("127.0.0.1", "http://127.0.0.1:18789")


def asking(work: Any, ring: Ring) -> Any:
    return knocking(work, add=partial(dashboard.add, passkeys=ring))


@pytest.mark.parametrize("path", POSTS)
def test_a_button_needs_the_scope_approve_and_a_page_of_ours(path: str) -> None:
    ring = Ring()

    async def work(knock: Knock) -> list[int]:
        told = [await knock.post(path)]
        await knock.sign_in("tok-read")
        told.append(await knock.post(path))
        await knock.sign_in()
        told.append(await knock.post(path, Origin="http://evil.example"))
        return [answer.status_code for answer in told]

    assert asking(work, ring) == [303, 403, 403]
    assert ring.asked == []


def test_what_is_signed_for_is_what_the_form_says() -> None:
    ring = Ring()
    once = (("digest", "d" * 64), ("answer", "approve"))
    wide = (*once, ("extent", "pattern"), ("args", "-l"), ("under", "/workspace"), ("minutes", "60"), ("uses", ""))

    async def work(knock: Knock) -> None:
        await knock.sign_in()
        for fields in (once, wide):
            assert (await knock.post(f"/approvals/{REF}/begin", *fields)).json() == {"challenge": "x"}
            assert (await knock.post(f"/approvals/{REF}/finish", *fields, ("response", "{}"))).status_code == 200

    asking(work, ring)
    single = Yes(REF, "d" * 64, None)
    more = Yes(REF, "d" * 64, Wider("pattern", False, 60, None, "-l", "/workspace"))
    assert ring.asked == [(SITE, single), (SITE, single, "{}"), (SITE, more), (SITE, more, "{}")]


def test_a_refusal_reaches_the_script_as_json() -> None:
    async def work(knock: Knock) -> tuple[int, str]:
        await knock.sign_in()
        told = await knock.post(
            f"/approvals/{REF}/finish", ("digest", "d"), ("response", "bad"), Accept="application/json"
        )
        return told.status_code, told.json()["error"]["code"]

    assert asking(work, Ring()) == (403, "passkey_refused")


def test_registering_and_removing_are_handed_on() -> None:
    ring = Ring()

    async def work(knock: Knock) -> None:
        await knock.sign_in()
        await knock.post("/passkeys/begin")
        await knock.post("/passkeys/finish", ("name", "phone"), ("response", "{}"))
        assert (await knock.post("/passkeys/pky_1/remove")).headers["location"] == "/passkeys"

    asking(work, ring)
    assert ring.asked == [(SITE,), (SITE, "phone", "{}"), ("pky_1",)]


def test_names_of_passkeys_are_text() -> None:
    async def work(knock: Knock) -> str:
        await knock.sign_in()
        return (await knock.get("/passkeys")).text

    page = asking(work, Ring())
    reader = Reader()
    reader.feed(page)
    assert hidden(page) == []
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)
    assert "http://localhost:18789" in reader.text


def test_cards_say_which_yes_takes_one() -> None:
    async def work(knock: Knock) -> str:
        await knock.sign_in()
        return (await knock.get("/pending")).text

    page = asking(work, Ring())
    assert page.count("Yes, once, with passkey") == 1
    assert page.count("Yes, and to these, with passkey") == 2
    assert "passkey" not in knocking(work)


def test_without_passkeys_there_is_no_page_of_them() -> None:
    async def work(knock: Knock) -> int:
        await knock.sign_in()
        return (await knock.get("/passkeys")).status_code

    assert knocking(work) == 404


@pytest.mark.parametrize(
    ("host", "origin", "possible"),
    [
        ("localhost", "http://localhost:18789", True),
        ("box.example", "https://box.example", True),
        ("box.example", "http://box.example", False),
        ("127.0.0.1", "http://127.0.0.1:18789", False),
        ("10.0.0.5", "https://10.0.0.5", False),
        ("::1", "https://[::1]", False),
    ],
)
def test_where_a_browser_would_use_one(host: str, origin: str, possible: bool) -> None:
    assert is_possible(RelyingParty(host, origin)) is possible
