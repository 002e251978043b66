"""A search goes where policy says, with the key nobody sees, and its answer is data."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.tools.weblike import Web, rules, web_call

from bascule.core.box import BoxKey
from bascule.core.call import Intent
from bascule.core.confinement import Confinement
from bascule.core.errors import Unavailable
from bascule.core.label import Integrity
from bascule.core.outcome import Outcome
from bascule.core.reach import SearchPolicy
from bascule.tools.web_search.answer import Hit, hits
from bascule.tools.web_search.run import WebSearch
from bascule.tools.web_search.spec import SPEC

PLAIN = SearchPolicy("https://s.test/?q={query}&n={count}")
KEYED = SearchPolicy("https://s.test/?q={query}", "X-Key", "S_KEY", results=2)
HITS = {"results": [{"title": f"t{n}", "url": f"https://r{n}.test/", "content": "c"} for n in range(5)]}


def search(web: Web, policy: SearchPolicy = PLAIN, bound: str | None = None, **args: Any) -> Outcome:
    call = web_call(SPEC, {"query": "x", **args}, {"search": policy.template if bound is None else bound})
    tool = WebSearch(web, lambda _agent: policy, {"S_KEY": "k3y"}.get)  # type: ignore[arg-type]
    return asyncio.run(tool.run(call, Confinement()))


def test_a_question_is_a_value_and_never_a_part_of_the_address() -> None:
    web = Web(json.dumps(HITS).encode())
    found = search(web, query="a&b=c#d/../@evil.test \u00fc{count}", count=3)
    assert web.asked[0][0] == "https://s.test/?q=a%26b%3Dc%23d%2F..%2F%40evil.test%20%C3%BC%7Bcount%7D&n=3"
    assert found.content.decode().count("https://r") == 3
    assert found.label.integrity is Integrity.UNTRUSTED
    assert found.label.sources == {"web:a.test"}


def test_the_key_goes_in_its_header_and_nowhere_else() -> None:
    web = Web(json.dumps(HITS).encode())
    found = search(web, KEYED, count=50)
    ((url, headers),) = web.asked
    assert headers == {"Accept": "application/json", "X-Key": "k3y"}
    assert "k3y" not in url + found.content.decode()
    assert found.content.decode().count("https://r") == 2


@pytest.mark.parametrize(
    ("policy", "web", "bound", "code"),
    [
        (SearchPolicy(), Web(), None, "search_missing"),
        (PLAIN, Web(), "https://other.test/?q={query}", "search_missing"),
        (SearchPolicy("https://s.test/?q={query}", "X", "UNSET"), Web(), None, "search_key"),
        (PLAIN, Web(b"{}", status=302), None, "web_status"),
        (PLAIN, Web(b"<html>"), None, "search_answer"),
        (PLAIN, Web(b"[1]"), None, "search_answer"),
        (PLAIN, Web(b"[" * 100_000), None, "search_answer"),
    ],
)
def test_what_stops_a_search(policy: SearchPolicy, web: Web, bound: str | None, code: str) -> None:
    with pytest.raises(Unavailable) as refused:
        search(web, policy, bound)
    assert refused.value.code == code


def test_the_engine_is_bound_to_the_yes() -> None:
    tool = WebSearch(Web(), lambda _agent: PLAIN, lambda _name: "")
    key = BoxKey(rules().id, web_call(SPEC, {"query": "x"}).session)
    assert asyncio.run(tool.bind({}, Intent(), rules(PLAIN), key)).bindings == {"search": PLAIN.template}


def test_results_are_lines_of_text() -> None:
    entries = [
        {"title": "<b>A</b>\n&amp; B\u200b", "url": "https://a.test/", "description": "x <script>y</script>\r\nz"},
        {"title": "no address"},
        {"title": "inside", "url": "http://127.0.0.1/"},
        {"title": "script", "url": "javascript:alert(1)"},
        "no entry",
        {"title": 7, "link": "https://b.test/", "snippet": "s" * 5000},
    ]
    found = hits(json.dumps({"web": {"results": entries}}).encode(), 10)
    assert found == (Hit("A & B", "https://a.test/", "x y z"), Hit("", "https://b.test/", "s" * 600))
