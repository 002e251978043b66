"""The whole way in: every line of the corpus, and any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases.commands import ACCEPTED, REFUSED, show

from bascule.core.errors import Malformed
from bascule.core.quoting import render
from bascule.shell.command import MAX_LENGTH, read_command


def _short(line: str) -> str:
    return ascii(line)[:60]


@pytest.mark.parametrize(("line", "plan"), ACCEPTED, ids=[_short(line) for line, _ in ACCEPTED])
def test_lines_that_are_accepted_mean_exactly_this(line: str, plan: str) -> None:
    assert show(read_command(line)) == plan


@pytest.mark.parametrize(("line", "code"), REFUSED, ids=[_short(line) for line, _ in REFUSED])
def test_tricks_are_refused_for_the_right_reason(line: str, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_command(line)
    assert refused.value.code == code
    assert refused.value.remedy
    assert "\n" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_length_is_counted_before_anything_is_read() -> None:
    assert len(read_command("a" * MAX_LENGTH).commands) == 1
    with pytest.raises(Malformed) as refused:
        read_command("$" * (MAX_LENGTH + 1))
    assert refused.value.code == "shell_too_long"


@pytest.mark.parametrize(
    "line",
    [" " * 16_000 + '"', "a&&" * 5_000 + "a", "'" * 16_000, "[" * 16_000, "a{" * 8_000, '"\\' * 8_000, "a>" * 8_000,
     "((" * 8_000, "~a" * 8_000, "a\\ " * 5_000, "[a-z" * 4_000, "é" * 16_000, "2>&1 " * 3_000, "'a'\"b\"" * 2_500],
    ids=lambda line: _short(line)[:12],
)  # fmt: skip
def test_long_and_repetitive_lines_end_in_a_plan_or_a_refusal(line: str) -> None:
    assert _outcome(line).startswith(("shell_", "a", "'", "é"))


_NASTY = st.text(
    st.sampled_from(list("ab12 \t|&;<>()[]{}$`'\"\\!#~*?=:,./-+@^%\n\0\x01\x7fé\u00a0\u200b\ud800")), max_size=40
)


@settings(max_examples=400)
@given(st.one_of(st.text(max_size=60), _NASTY))
def test_any_text_gives_a_plan_or_malformed(text: str) -> None:
    outcome = _outcome(text)
    assert outcome.strip()


def _outcome(text: str) -> str:
    """The plan or the refusal code; anything else that is raised fails the test."""
    try:
        return show(read_command(text))
    except Malformed as refused:
        return refused.code


@given(
    st.lists(
        st.text(st.characters(min_codepoint=32, exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])),
        min_size=1,
    )
)
def test_words_rendered_by_core_are_read_back_as_the_same_words(words: list[str]) -> None:
    argv = ("cat", *words)
    (command,) = read_command(render(argv)).commands
    assert command.argv == argv
