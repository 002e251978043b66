from __future__ import annotations

from tests.tools.weblike import rules, web_call

from bascule.core.reach import SearchPolicy
from bascule.tools.web_search.card import card
from bascule.tools.web_search.spec import SPEC


def test_the_card_shows_the_question_and_who_hears_it() -> None:
    lines = card(web_call(SPEC, {"query": "a secret"}), rules(SearchPolicy("https://s.test/q?x={query}")))
    assert lines[0] == "question: a secret"
    assert "https://s.test/q," in lines[1]
    assert "policy names none" in card(web_call(SPEC, {"query": "x"}), rules())[1]
