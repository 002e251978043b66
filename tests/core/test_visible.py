from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bascule.core.visible import HIDDEN, one_line, pieces, visible

NASTY = "\x00\x07\x08\r\x1b\x7f\x80\x9b\xad\u061c\u200b\u200d\u202e\u2066\u2069\u2028\u2029\u3164\ufe0f\ufeff\U000e0041\U000e0100\ud800\udfff\u00a0\u2800"
TEXT = st.text(st.characters() | st.sampled_from(NASTY) | st.characters(categories=["Cs", "Cf", "Cc", "Zs"]))


def hidden(letter: str) -> bool:
    return letter not in "\n\t" and (letter != " " and unicodedata.category(letter)[0] in "CZ")


@given(TEXT)
@example(NASTY)
def test_nothing_comes_out_that_does_not_show(text: str) -> None:
    shown = visible(text)
    assert [letter for letter in shown if hidden(letter) or letter in NASTY] == []
    assert visible(shown) == shown
    shown.encode()


@given(TEXT, st.lists(st.integers(0, 60), max_size=6))
@example("a\x1b[31mb\U000e0041\ud83d\ude00", [1, 2, 3, 6, 7])
def test_cutting_changes_nothing(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert "".join(map(visible, pieces)) == visible("".join(pieces))


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=NASTY), max_size=50))
def test_plain_text_is_left_alone(text: str) -> None:
    plain = "".join(letter for letter in text if ord(letter) not in HIDDEN)
    assert visible(plain) == plain


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\rb", "a\\x0db"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("é 日本 🙂", "é 日本 🙂"),
        ("a\n\tb", "a\n\tb"),
        ("a\u00a0b", "a\\xa0b"),
    ],
)
def test_how_it_is_shown(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(TEXT)
def test_one_line_is_one_line(text: str) -> None:
    assert "\n" not in one_line(text)
    assert "\t" not in one_line(text)


@given(TEXT)
@example(NASTY)
@example("a\x1b[31mb")
def test_pieces_are_the_visible_text_and_say_what_was_written_out(text: str) -> None:
    parts = pieces(text)
    assert "".join(piece for piece, _ in parts) == visible(text)
    assert all(piece in text for piece, written_out in parts if not written_out)
    assert all(piece.startswith("\\") for piece, written_out in parts if written_out)


def test_a_plain_backslash_is_no_escape() -> None:
    assert pieces("\\x1b\x1b") == [("\\x1b", False), ("\\x1b", True)]
