from __future__ import annotations

from tests.tools.weblike import rules, web_call

from bascule.tools.web_fetch.card import card
from bascule.tools.web_fetch.spec import SPEC


def test_the_card_shows_the_whole_address_and_who_hears_it() -> None:
    secret = "q=" + "s3cret" * 200
    lines = card(web_call(SPEC, {"url": f"https://A.test:443/x?{secret}"}), rules())
    assert lines[0] == f"address: https://a.test/x?{secret}"
    assert f"a.test, hears all of it: {len(secret) + 2} characters" in lines[1]
