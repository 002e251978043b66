"""Account tables as texts: what is added, what is taken away, and that nothing else changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bascule.host import tables

GROUP = "root:x:0:\nstaff:x:50:ann,bob\nops:x:997:\n"
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
TABLES = st.lists(st.tuples(NAMES, st.integers(0, 70_000)), max_size=8, unique_by=lambda row: row[0]).map(
    lambda rows: "".join(f"{name}:x:{number}:\n" for name, number in rows)
)


def test_a_line_is_added_once() -> None:
    once = tables.with_line("a:1\n", "b:2")
    assert once == "a:1\nb:2\n"
    assert tables.with_line(once, "b:2") == once


def test_a_table_without_a_last_newline_keeps_its_last_line() -> None:
    assert tables.with_line("a:1", "b:2") == "a:1\nb:2\n"


@given(TABLES, NAMES.map("zz-".__add__))
def test_adding_and_removing_a_name_changes_nothing(text: str, name: str) -> None:
    grown = tables.with_line(text, f"{name}:x:1:")
    assert grown != text
    assert tables.without_name(grown, name) == text
    assert tables.without_line(grown, f"{name}:x:1:") == text


def test_a_name_that_begins_like_another_is_another() -> None:
    text = "bascule-operators:x:9:\nbascule:x:8:\n"
    assert tables.without_name(text, "bascule") == "bascule-operators:x:9:\n"
    assert tables.row(text, "bascule") == tables.Row(("bascule", "x", "8", ""))


def test_members_come_and_go_and_other_groups_stay() -> None:
    grown = tables.with_members(GROUP, "ops", ("ann", "eve"))
    assert grown == GROUP.replace("ops:x:997:", "ops:x:997:ann,eve")
    assert tables.members(grown, "ops") == ("ann", "eve")
    assert tables.with_members(grown, "ops", ()) == GROUP
    assert tables.members(GROUP, "none") == ()


def test_ranges_that_meet_are_seen() -> None:
    text = "ann:100000:65536\nroot:1:x\nours:500000:10\n"
    assert tables.overlapping(text, 165_535, 10, "ours") == "ann"
    assert tables.overlapping(text, 165_536, 10, "ours") == ""
    assert tables.overlapping(text, 99_990, 10, "ours") == ""
    assert tables.overlapping(text, 500_009, 1, "ours") == ""
    assert tables.overlapping(text, 500_009, 1, "theirs") == "ours"


def test_what_is_no_number_is_no_uid() -> None:
    assert tables.Row(("a", "x", "12x")).number(2) == -1
    assert tables.Row(("a",)).number(2) == -1
