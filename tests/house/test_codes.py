"""Every code that a refusal can carry is explained in `docs/codes.md`, and nothing there is stale."""

from __future__ import annotations

import ast
import re

import pytest
from tests.house.codes import CODE, codes_in
from tests.house.reading import ROOT, name_of, parsed, sources

FOREIGN = frozenset({"control/client.py", "control/protocol.py", "sandboxes/warden/client.py"})
"""Where a code arrives by wire, from the gateway or the warden, to be raised again as it was."""

PAGE = ROOT / "docs" / "codes.md"


def said() -> dict[str, list[str]]:
    """Each code of the tree, with the files that say it."""
    found: dict[str, list[str]] = {}
    for path in sources():
        for code in codes_in(parsed(path)).codes:
            found.setdefault(code, []).append(name_of(path))
    return found


def documented() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)


def test_every_code_is_documented_once() -> None:
    assert {code: files for code, files in said().items() if code not in documented()} == {}
    assert len(documented()) == len(set(documented()))


def test_no_documented_code_is_stale() -> None:
    assert sorted(set(documented()) - set(said())) == []


def test_every_code_is_one_word_in_snake_case() -> None:
    assert [code for code in said() if not CODE.fullmatch(code)] == []


def test_every_code_can_be_read_off() -> None:
    unread = {name_of(path): codes_in(parsed(path)).unread for path in sources() if name_of(path) not in FOREIGN}
    assert {name: places for name, places in unread.items() if places} == {}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("raise Malformed('a_b', 'text')", {"a_b"}),
        ("raise errors.Tampered(code='a_b', message='text')", {"a_b"}),
        ("return deny(NAME, 'a_b' if x else 'c_d', 'text')", {"a_b", "c_d"}),
        ("return Verdict(Effect.ASK, NAME, 'a_b', 'text')", {"a_b"}),
        ("return failed('a_b', 'text')", {"a_b"}),
        ("CODE = 'a_b'\ndef f():\n    raise Unavailable(CODE, 'text')", {"a_b"}),
        ("def f(code):\n    return Malformed(code, 't')\ndef g():\n    raise f('a_b')", {"a_b"}),
        (
            "class P:\n    def _no(self, at, code):\n        raise Malformed(code, at)\n    def g(self):\n        self._no(1, 'a_b')",
            {"a_b"},
        ),
        ("TABLE = {1: (Effect.DENY, 'a_b', 'text', '')}", {"a_b"}),
        ("_REFUSED_WORDS = {'x': ('a_b', 'remedy'), 'y': ('c_d', 'remedy')}", {"a_b", "c_d"}),
        ("MALFORMED = {'a_b': 'rest'}\ndef f(w):\n    c = w.x\n    raise Malformed(c, MALFORMED[c])", {"a_b"}),
        ("return allow(NAME)\n", set()),
        ("provider.ask(request, words, piece)", set()),
        ("verdict = deny(NAME, error.code, error.message)", set()),
    ],
)
def test_codes_are_read_wherever_they_stand(text: str, codes: set[str]) -> None:
    found = codes_in(ast.parse(text))
    assert set(found.codes) == codes
    assert found.unread == []


@pytest.mark.parametrize(
    "text", ["raise Malformed('a' + x, 't')", "def f():\n    c = g()\n    raise Malformed(c, 't')"]
)
def test_a_code_that_cannot_be_read_off_would_be_seen(text: str) -> None:
    assert codes_in(ast.parse(text)).unread
