"""What a reader would not see is not in the text."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core import plain as module
from bascule.core.plain import plain_text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain", "plain"),
        ("a\u200bb\u200d\u2060c", "abc"),
        ("\u202eevil\u202c", "evil"),
        ("x\U000e0041\U000e0042", "x"),
        ("a\x00b\x1b[31mc\x07", "ab[31mc"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\u00a0b\u3000c\td", "a b c\td"),
        ("caf\u00e9 \u65e5\u672c \u2013 \u20ac", "caf\u00e9 \u65e5\u672c \u2013 \u20ac"),
        ("\ufeff\u2800\u3164x\ufffc\ue000", "x"),
        ("\ud800x", "x"),
    ],
)
def test_what_cannot_be_seen_is_gone(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@given(st.text())
def test_nothing_hidden_is_left_and_doing_it_twice_changes_nothing(text: str) -> None:
    plain = plain_text(text)
    assert plain_text(plain) == plain
    assert all(letter in "\n\t" or unicodedata.category(letter)[0] != "C" for letter in plain)


def test_each_character_is_looked_at_once_however_often_it_stands_there(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Counter[str]()

    class Counting:
        @staticmethod
        def category(character: str) -> str:
            looked[character] += 1
            return unicodedata.category(character)

    monkeypatch.setattr(module, "unicodedata", Counting)
    letters = "".join(map(chr, range(0x4E00, 0x9000))) + "\u200b\u00a0"
    assert plain_text(letters * 3) == (letters[:-2] + " ") * 3
    assert set(looked.values()) == {1}
