from __future__ import annotations

import pytest

from bascule.core.call import Intent
from bascule.core.errors import Malformed
from bascule.core.facts import Enforcement
from bascule.tools.web_search.spec import SPEC, intend


def test_it_takes_a_question_and_needs_the_proxy() -> None:
    assert intend(SPEC.parse({"query": "x", "count": 3})) == Intent()
    assert SPEC.needs == {Enforcement.PROXY}


@pytest.mark.parametrize("query", ["", " ", "\n"])
def test_an_empty_question_is_no_call(query: str) -> None:
    with pytest.raises(Malformed):
        intend(SPEC.parse({"query": query}))
