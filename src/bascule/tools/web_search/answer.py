"""What a search engine answered, read as data: titles, addresses and excerpts, and nothing else of it.

Stops: markup, invisible characters, line breaks and addresses that are none in a result; an answer that is deep or long
beyond use. Does not stop a title or an excerpt from lying.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from bascule.core.errors import Malformed, Unavailable
from bascule.core.hosts import parse_url
from bascule.core.plain import plain_text

_TAG = re.compile(r"<[^<>]{0,200}>")
_TITLE, _EXCERPT = 200, 600
_WHERE: Final = (("results",), ("web", "results"), ("items",), ("data",))
"""Where engines keep their results: SearXNG, Brave, and two habits of others."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One result, each part on one line."""

    title: str
    url: str
    excerpt: str


def hits(untrusted_body: bytes, most: int) -> tuple[Hit, ...]:
    """Return at most so many results, in the engine's order; those without an address that parses are left out.

    Raises:
        Unavailable: ``search_answer``, it is no JSON, or no engine's whose results can be found.
    """
    try:
        answer = json.loads(untrusted_body)
    except (ValueError, RecursionError):
        raise Unavailable("search_answer", "the search engine's answer is no JSON") from None
    del untrusted_body
    for path in _WHERE:
        found = _at(answer, path)
        if isinstance(found, list):
            read = (_hit(entry) for entry in found[: 4 * most])
            return tuple(hit for hit in read if hit is not None)[:most]
    raise Unavailable("search_answer", "the search engine's answer holds no list of results")


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _hit(entry: Any) -> Hit | None:
    if not isinstance(entry, dict):
        return None
    url = next((entry[key] for key in ("url", "link") if isinstance(entry.get(key), str)), "")
    excerpts = [entry[key] for key in ("content", "description", "snippet") if isinstance(entry.get(key), str)]
    title = entry.get("title")
    try:
        address = str(parse_url(url))
    except Malformed:
        return None
    return Hit(_line(title if isinstance(title, str) else "", _TITLE), address, _line("".join(excerpts[:1]), _EXCERPT))


def _line(text: str, most: int) -> str:
    plain = plain_text(html.unescape(_TAG.sub("", text[: 8 * most])))
    return " ".join(plain.split())[:most]
