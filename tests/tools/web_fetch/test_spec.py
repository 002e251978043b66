from __future__ import annotations

import pytest
from tests.tools.weblike import rules

from bascule.core.call import Intent
from bascule.core.errors import Malformed
from bascule.core.facts import Enforcement
from bascule.core.toolspec import ActionClass
from bascule.tools.web_fetch.spec import SPEC, intend


def test_it_takes_an_address_and_needs_the_proxy() -> None:
    assert intend(SPEC.parse({"url": "https://a.test/", "max_chars": 500}), rules()) == Intent()
    assert (SPEC.action, SPEC.needs) == (ActionClass.WEB, {Enforcement.PROXY})


@pytest.mark.parametrize(
    "url", ["", "a.test", "file:///etc/passwd", "http://127.0.0.1/", "http://u@a.test/", "http://a.test/\n"]
)
def test_what_is_no_address_is_no_call(url: str) -> None:
    with pytest.raises(Malformed):
        intend(SPEC.parse({"url": url}), rules())
