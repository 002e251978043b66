"""What a page becomes on its way to a model: text, cut, and always untrusted."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.tools.weblike import Web, web_call

from bascule.core.confinement import Confinement, Limits
from bascule.core.errors import Unavailable
from bascule.core.label import Confidentiality, Integrity
from bascule.core.outcome import Outcome
from bascule.tools.web_fetch.run import WebFetch
from bascule.tools.web_fetch.spec import SPEC

CALL = web_call(SPEC, {"url": "https://a.test/x"})
WIDE = Confinement(limits=Limits(output_bytes=1000, wall_seconds=5))


class Box:
    """Makes text of pages."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    async def text(self, agent: str, content: bytes, charset: str) -> str:
        self.given.append(content)
        return "made\u200b of it"


def fetch(web: Web, pages: Box | None = None, **args: int) -> Outcome:
    call = replace(CALL, args={**CALL.args, **args})
    return asyncio.run(WebFetch(web, pages or Box()).run(call, WIDE))


def test_text_comes_back_untrusted_with_its_host() -> None:
    found = fetch(Web("h\u200bi \u00fc".encode()))
    assert found.content.decode() == "https://a.test/x answered 200\n\nhi \u00fc"
    assert found.ok
    assert not found.truncated
    assert found.label.integrity is Integrity.UNTRUSTED
    assert found.label.confidentiality is CALL.label.confidentiality is Confidentiality.PRIVATE
    assert found.label.sources == {"web:a.test"}


@pytest.mark.parametrize("kind", ["application/json", "text/markdown", "application/ld+json"])
def test_what_is_read_as_it_stands(kind: str) -> None:
    assert fetch(Web(b'{"a":1}', kind)).content.endswith(b'{"a":1}')


@pytest.mark.parametrize(
    ("kind", "charset", "code"),
    [
        ("application/pdf", "", "content_type"),
        ("image/svg+xml", "", "content_type"),
        ("", "", "content_type"),
        ("text/plain", "utf-7", "charset_unknown"),
        ("text/plain", "idna", "charset_unknown"),
        ("text/plain", "zlib_codec", "charset_unknown"),
    ],
)
def test_what_is_not_read(kind: str, charset: str, code: str) -> None:
    with pytest.raises(Unavailable) as refused:
        fetch(Web(b"x", kind, charset))
    assert refused.value.code == code


def test_a_page_is_made_text_of_elsewhere() -> None:
    box = Box()
    found = fetch(Web(b"<p>made</p>", "text/html"), box)
    assert found.content.endswith(b"\n\nmade of it")
    assert box.given == [b"<p>made</p>"]


def test_cuts_are_said() -> None:
    assert fetch(Web(b"x" * 500), maxChars=100).truncated
    assert len(fetch(Web(b"x" * 5000)).content) == 1000
    assert fetch(Web(b"x" * 5000)).truncated
    assert fetch(Web(b"x", truncated=True)).truncated


def test_a_refusal_of_the_site_is_no_success() -> None:
    found = fetch(Web(b"no", status=404))
    assert (found.ok, found.code) == (False, "web_status")
    assert b"answered 404" in found.content
    assert found.label.integrity is Integrity.UNTRUSTED


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    assert "\ufffd" in fetch(Web(b"a\xff\xfeb")).content.decode()
    assert fetch(Web(b"caf\xe9", charset="iso-8859-1")).content.decode().endswith("caf\u00e9")
