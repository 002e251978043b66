"""A corpus of hostile text through every page: nothing of it arrives raw."""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.channels.dashboard.knocking import Knock, knocking
from tests.channels.dashboard.stage import StagedChannel
from tests.channels.dashboard.test_pages import VIEWS

CORPUS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "\"><svg onload=window.hit=1><a href='",
    "' autofocus onfocus='window.hit=1",
    "--><!--",
    "</title></textarea></script><b>",
    "javascript:window.hit=1",
    "[click](https://evil.example/) https://evil.example/?q=1",
    "![x](https://evil.example/pixel.png)",
    "{{ 7*7 }}{% raw %}",
    "&lt;script&gt; &amp;#60;",
    "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m",
    "\x9b31m\x85\x00\x08\x0c\x7f",
    "safe\u202egnp.exe\u202c\u2066x\u2069",
    "zero\u200bwidth\u200d\u2060\ufeff\u00ad",
    "tag\U000e0041\U000e0042 fill\u3164\uffa0\u2800",
    "line\u2028para\u2029nel\u0085",
    "lone\ud800surrogate\udfff",
    "hx-get='/stop' data-part='//evil.example'",
)
ALL = " ".join(CORPUS)


def poison(value: Any, *, keep: frozenset[str]) -> Any:
    """Return rows whose every text that an agent, a page or a peer may have written is the corpus."""
    if isinstance(value, dict):
        return {key: each if key in keep else poison(each, keep=keep) for key, each in value.items()}
    if isinstance(value, list):
        return [poison(each, keep=keep) for each in value]
    return ALL if isinstance(value, str) else value


OURS = frozenset(
    {"id", "agent", "digest", "state", "created", "expires", "updated", "at", "hash", "code", "started", "action"}
    | {"session", "approval", "last_used", "integrity", "confidentiality", "backend", "role"}
)
"""What the gateway itself makes and checks; everything else is taken to be a stranger's."""


class PoisonedChannel(StagedChannel):
    """Answers what the staged gateway answers, with hostile text wherever text may be."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not re.match(r"(status|(approvals|agents|sessions|ledger|grants|tokens|sandbox)_)", name):
            return found

        async def ask(*args: Any, **named: Any) -> Any:
            return poison(await found(*args, **named), keep=OURS)

        return ask


class Reader(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hidden(text: str) -> list[str]:
    return [letter for letter in text if letter not in " \n\t" and unicodedata.category(letter)[0] in "CZ"]


@pytest.mark.parametrize("path", [path for path in VIEWS if not path.startswith("/part/pending")])
def test_nothing_of_it_arrives_raw(path: str) -> None:
    async def work(knock: Knock) -> str:
        await knock.sign_in()
        answer = await knock.get(path)
        assert answer.status_code == 200
        return answer.text

    page = knocking(work, PoisonedChannel())
    reader = Reader()
    reader.feed(page)
    assert hidden(page) == []
    assert hidden(unescape(page)) == []
    tags = {tag for tag, _ in reader.elements}
    assert tags.isdisjoint({"svg", "iframe", "object", "embed", "style", "base", "textarea", "video", "audio"})
    for tag, attributes in reader.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("href", "src", "action", "hx-get", "hx-post", "data-part", "data-sync", "data-cards"):
            value = attributes.get(name)
            assert value is None or re.match(r"(/(?!/)|#)", value), (tag, name, value)
        assert tag != "script" or set(attributes) == {"src", "defer"}
        assert tag != "img" or str(attributes["src"]).startswith("/static/")
    assert "49" not in reader.text or "{{ 7*7 }}" in reader.text


def test_it_did_arrive_written_out() -> None:
    async def work(knock: Knock) -> str:
        await knock.sign_in()
        return (await knock.get("/session?key=agent:bruba-main:main")).text

    reader = Reader()
    reader.feed(knocking(work, PoisonedChannel()))
    for spelled in ("<script>window.hit=1</script>", "\\x1b[2J", "\\u202egnp.exe", "\\u200b", "\\U000e0041", "\\ud800"):
        assert spelled in reader.text


@pytest.mark.parametrize("text", CORPUS)
def test_what_a_stranger_types_into_an_address_comes_back_as_text(text: str) -> None:
    typed = text.encode("utf-8", "replace").decode()

    async def work(knock: Knock) -> str:
        await knock.sign_in()
        asked = await knock.client.get("/pending", params={"q": typed}, headers={"Sec-Fetch-Site": "same-origin"})
        told = await knock.client.get("/agents/" + "%2e" + typed.encode().hex(), headers={})
        return asked.text + told.text

    page = knocking(work)
    reader = Reader()
    reader.feed(page)
    assert hidden(page) == []
    assert {tag for tag, _ in reader.elements}.isdisjoint({"svg", "b" * 9, "textarea"})
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)
