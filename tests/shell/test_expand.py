"""Globs replaced by matches, commands given their programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases.commands import ACCEPTED, show

from bascule.core.errors import Malformed
from bascule.core.plan import Program, ProgramKind
from bascule.shell.command import read_command
from bascule.shell.expand import MAX_WORDS, glob_words, with_globs, with_programs


def test_patterns_are_listed_once_in_order_of_use() -> None:
    assert glob_words(read_command("ls *.b *.a | cat *.b 'x'*")) == ("*.b", "*.a", "x*")
    assert glob_words(read_command("ls '*'")) == ()


def test_matches_take_the_place_of_their_pattern_and_nothing_else_changes() -> None:
    plan = read_command("ls -l *.md z 2>/dev/null | wc && cat [ab]*")
    filled = with_globs(plan, {"*.md": ["./a.md", "./b c.md"], "[ab]*": ["/x/a"]})
    assert show(filled) == "ls -l ./a.md './b c.md' z 2>null | wc && cat /x/a"
    assert glob_words(filled) == ()


def test_a_plan_without_globs_is_returned_as_it_is() -> None:
    plan = read_command("ls")
    assert with_globs(plan, {}) is plan


@pytest.mark.parametrize(
    ("matches", "code"),
    [
        ({}, "glob_no_match"),
        ({"*": []}, "glob_no_match"),
        ({"?": ["./a"]}, "glob_no_match"),
        ({"*": ["a"]}, "glob_name"),
        ({"*": ["./a", "--files0-from=x"]}, "glob_name"),
        ({"*": ["-rf"]}, "glob_name"),
        ({"*": [""]}, "glob_name"),
        ({"*": ["./a\0b"]}, "glob_name"),
        ({"*": ["./a\udcff"]}, "glob_name"),
        ({"*": ["./a"] * (MAX_WORDS + 1)}, "glob_too_many"),
    ],
)
def test_matches_that_are_missing_or_unfit_are_refused(matches: dict[str, list[str]], code: str) -> None:
    with pytest.raises(Malformed) as refused:
        with_globs(read_command("rm *"), matches)
    assert refused.value.code == code
    assert refused.value.remedy


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1, max_size=9
    )
)
def test_no_file_name_becomes_an_option(names: list[str]) -> None:
    matches = {"*": [f"./{name}" for name in names]}
    (command,) = with_globs(read_command("wc *"), matches).commands
    assert command.argv == ("wc", *matches["*"])
    assert all(word.glob is None and word.text[0] == "." for word in command.words[1:])


def test_programs_are_given_in_order_and_to_every_command() -> None:
    plan = read_command("ls | wc && cat")
    programs = [Program(name, f"/usr/bin/{name}", ProgramKind.NATIVE, "00") for name in ("ls", "wc", "cat")]
    filled = with_programs(plan, programs)
    assert [command.program for command in filled.commands] == programs
    assert show(filled) == show(plan)
    for wrong in (programs[:2], [*programs, programs[0]]):
        with pytest.raises(ValueError, match="zip"):
            with_programs(plan, wrong)


@pytest.mark.parametrize("line", [line for line, _ in ACCEPTED], ids=lambda line: ascii(line)[:60])
def test_expanding_keeps_the_shape_of_every_plan(line: str) -> None:
    plan = read_command(line)
    filled = with_globs(plan, {pattern: ["./m"] for pattern in glob_words(plan)})
    assert [(step.connector, len(step.pipeline)) for step in filled.steps] == [
        (step.connector, len(step.pipeline)) for step in plan.steps
    ]
    assert [command.streams for command in filled.commands] == [command.streams for command in plan.commands]
