"""Path and tool-name patterns: a table of meanings, an oracle, and time that stays linear."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.patterns import (
    is_bare,
    literal_directory,
    name_pattern,
    path_pattern,
    path_pattern_matches,
    tool_pattern_matches,
)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/bin/ls", "/bin/ls", True),
        ("/bin/ls", "/bin/lsx", False),
        ("/bin/ls", "/x/bin/ls", False),
        ("/bin/LS", "/bin/ls", False),
        ("/a/*.sh", "/a/b.sh", True),
        ("/a/*.sh", "/a/b/c.sh", False),
        ("/a/*.sh", "/a/.sh", True),
        ("/a/**.sh", "/a/b/c.sh", True),
        ("/a/**/c", "/a/c", False),
        ("/a/**/c", "/a/b/c", True),
        ("/a?b", "/a/b", False),
        ("/a?b", "/axb", True),
        ("/a[12](x)+", "/a[12](x)+", True),
        ("/a[12]", "/a1", False),
        ("/usr/bin/**", "/usr/bin/../../bin/sh", False),
        ("/usr/bin/**", "/usr/bin/sub/../env", True),
    ],
)
def test_a_path_pattern_means_what_openclaw_means(pattern: str, path: str, expected: bool) -> None:
    assert path_pattern_matches(pattern, path, asked=path) is expected


@pytest.mark.parametrize(
    ("pattern", "asked", "expected"),
    [("rg", "rg", True), ("r?", "rg", True), ("rg", "./rg", False), ("rg", "/opt/rg", False), ("*", "/opt/rg", True)],
)
def test_a_bare_name_covers_only_commands_given_by_bare_name(pattern: str, asked: str, expected: bool) -> None:
    assert path_pattern_matches(pattern, "/opt/rg", asked=asked) is expected


def test_a_blank_pattern_covers_nothing() -> None:
    assert not path_pattern_matches("  ", "/bin/ls", asked="ls")


def test_an_unresolved_program_is_covered_by_no_path() -> None:
    assert not path_pattern_matches("/**", "", asked="ls")


def test_tool_patterns_know_one_wildcard() -> None:
    assert tool_pattern_matches("web_*", "web_fetch")
    assert not tool_pattern_matches("web_?", "web_x")
    assert not tool_pattern_matches("web_*", "xweb_fetch")
    assert tool_pattern_matches("*", "anything")


def test_the_literal_directory_ends_before_the_first_wildcard() -> None:
    assert literal_directory("/a/b/*.sh") == "/a/b"
    assert literal_directory("/a/b/c") == "/a/b"
    assert literal_directory("/*/b") == ""
    assert literal_directory("rg") == ""
    assert is_bare("rg")
    assert not is_bare("/rg")


def test_stars_without_end_cost_no_more_than_one_pass() -> None:
    # A backtracking matcher needs more steps here than there are atoms; this one returns before the test times out.
    assert not path_pattern("/" + "*a" * 200 + "b").matches("/" + "a" * 4000)
    assert not name_pattern("*a" * 200 + "b").matches("a" * 4000)


_PATTERNS = st.lists(st.sampled_from(["*", "**", "?", "a", "b", "/", ".", "["]), max_size=8).map("".join)
_TEXTS = st.text("ab/.[", max_size=10)


@given(_PATTERNS, _TEXTS)
def test_matching_agrees_with_a_regular_expression(pattern: str, text: str) -> None:
    parts = re.split(r"(\*\*+|\*|\?)", pattern)
    meanings = {"*": "[^/]*", "?": "[^/]"}
    regex = "".join(meanings.get(part, ".*" if part.startswith("**") else re.escape(part)) for part in parts)
    assert path_pattern(pattern).matches(text) is (re.fullmatch(regex, text, re.DOTALL) is not None)


@given(_PATTERNS, _TEXTS)
def test_name_matching_agrees_with_a_regular_expression(pattern: str, text: str) -> None:
    regex = "".join(".*" if part == "*" else re.escape(part) for part in pattern)
    assert name_pattern(pattern).matches(text) is (re.fullmatch(regex, text, re.DOTALL) is not None)
