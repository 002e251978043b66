from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.channels.terminal.flow import Flow, _columns

TEXT = st.text(st.sampled_from("ab cd\n\t日é\u0301"), max_size=200)


def folded(text: str, columns: int, cuts: list[int] | None = None) -> str:
    flow = Flow("  ", columns)
    places = [0, *sorted(cuts or []), len(text)]
    return "".join(flow.take(text[a:b]) for a, b in itertools.pairwise(places)) + flow.end()


@given(TEXT, st.integers(20, 60), st.lists(st.integers(0, 200), max_size=5))
def test_cutting_changes_nothing(text: str, columns: int, cuts: list[int]) -> None:
    assert folded(text, columns, cuts) == folded(text, columns)


@given(TEXT, st.integers(20, 60))
def test_no_line_begins_in_the_first_column_or_reaches_the_last(text: str, columns: int) -> None:
    out = folded(text, columns)
    assert not out or out.endswith("\n")
    for line in out.splitlines():
        assert line == "" or line.startswith("  ")
        assert sum(map(_columns, line)) < columns


@given(TEXT)
def test_nothing_is_lost(text: str) -> None:
    plain = [letter for letter in folded(text, 40) if letter not in " \n"]
    assert plain == [letter for letter in text if letter not in " \n\t"]


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("", ""),
        ("a", "  a\n"),
        ("a\n", "  a\n"),
        ("a\n\nb", "  a\n\n  b\n"),
        ("\ta", "      a\n"),
        ("x" * 18, "  " + "x" * 17 + "\n  x\n"),
        ("日" * 9, "  " + "日" * 8 + "\n  日\n"),
        (" " * 40 + "? yes", "  " + " " * 17 + "\n  " + " " * 17 + "\n  " + " " * 6 + "? yes\n"),
    ],
)
def test_how_it_looks(text: str, out: str) -> None:
    assert folded(text, 20) == out


@given(TEXT, st.integers(20, 60))
def test_the_first_line_may_begin_otherwise_than_the_rest(text: str, columns: int) -> None:
    flow = Flow("* ", columns, "> ")
    out = flow.take(text + "\n")
    assert out.endswith("\n")
    assert [line[:2].strip() for line in out[:-1].split("\n")] == ["*"] + [">"] * (out.count("\n") - 1)
