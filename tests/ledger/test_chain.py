"""What a record's bytes are."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.canonical import canonical
from bascule.core.errors import Malformed
from bascule.core.label import Integrity
from bascule.core.toolspec import ActionClass
from bascule.ledger.chain import (
    GENESIS,
    MAX_BODY,
    SEPARATOR,
    Entry,
    Head,
    body_text,
    entry,
    head_line,
    head_statement,
    link,
    parse_head,
    record_bytes,
    timestamp,
)

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=["Cs"]))
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abé\ue000\U0001f600", max_size=3), inner, max_size=4), max_leaves=12
)  # fmt: skip
COLUMN = st.text(st.characters(exclude_characters=SEPARATOR, exclude_categories=["Cs"]), max_size=4)


@given(st.dictionaries(st.text("abz\ue000\U0001f600", max_size=3), JSON, max_size=5))
def test_the_quick_writer_writes_what_the_slow_one_does(body: dict) -> None:
    assert body_text(body).encode() == canonical(body)
    assert body_text(MappingProxyType(body)) == body_text(body)


def test_enumerations_and_views_are_written_as_what_they_are() -> None:
    assert body_text({"a": ActionClass.WRITE, "b": Integrity.UNTRUSTED, "c": (MappingProxyType({"d": True}),)}) == (
        '{"a":"write","b":1,"c":[{"d":true}]}'
    )


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), float("inf"), 2**53, -(2**53), "\ud800", b"bytes", {"k": {1, 2}}, {1: 2}, [1e3]]
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        body_text({"x": [value]})  # type: ignore[list-item]  # that is the point


def test_depth_and_length_are_bounded() -> None:
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(Malformed):
        body_text({"x": deep})  # type: ignore[dict-item]  # nested further than a type can say
    with pytest.raises(Malformed) as caught:
        body_text({"x": "y" * MAX_BODY})
    assert caught.value.code == "record_too_long"


def test_four_names_become_columns() -> None:
    made = entry("decided", {"agent": "a", "session": "s", "digest": "d", "parent": 3, "tool": "read"})
    assert made == Entry("decided", "a", "s", "d", 3, '{"tool":"read"}')
    assert entry("x", {"parent": None}) == Entry("x", "", "", "", None, "{}")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", {}), ("Decided", {}), ("a b", {}), ("a\n", {}), ("a" * 49, {}), ("1a", {}),
        ("a", {"agent": 1}), ("a", {"session": None}), ("a", {"digest": f"x{SEPARATOR}"}), ("a", {"agent": "x" * 513}),
        ("a", {"parent": 0}), ("a", {"parent": True}), ("a", {"parent": "1"}), ("a", {"parent": -1}),
    ],
)  # fmt: skip
def test_columns_of_another_shape_are_refused(kind: str, body: dict) -> None:
    with pytest.raises(Malformed):
        entry(kind, body)


ROWS = st.tuples(
    st.integers(1, 30), COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, st.none() | st.integers(1, 30), st.sampled_from(["{}", '{"a":1}'])
)  # fmt: skip


@given(ROWS, ROWS)
def test_two_rows_never_have_the_same_bytes(one: tuple, other: tuple) -> None:
    def content(row: tuple) -> bytes:
        return record_bytes(row[0], row[1], Entry(*row[2:]))

    assert (content(one) == content(other)) == (one == other)


def test_the_link_is_what_the_documentation_says() -> None:
    content = record_bytes(2, "t", Entry("k", "a", "s", "d", 1, "{}"))
    assert content == b"2\x1ft\x1fk\x1fa\x1fs\x1fd\x1f1\x1f{}"
    assert link(GENESIS, content) == hashlib.sha256(GENESIS + content).digest()
    assert hashlib.sha256(b"bascule ledger, format 1").digest() == GENESIS


@given(st.floats(0, 4e9))
def test_times_are_rfc_3339(seconds: float) -> None:
    text = timestamp(seconds)
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text).timestamp() - seconds) < 2e-6


HEAD = Head(3, 12, "ab" * 32, "2026-01-01T00:00:00.000000Z", "00ff00ff00ff00ff", "cd" * 64)


def test_a_head_survives_being_written_down() -> None:
    assert parse_head(head_line(HEAD)) == HEAD
    assert "\n" not in head_line(HEAD)
    assert head_statement(3, 12, HEAD.hash, HEAD.at, HEAD.key).decode().splitlines()[1:3] == ["number 3", "seq 12"]


@pytest.mark.parametrize(
    "line",
    ["", "x", "[]", "{}", json.dumps({"number": 1}), head_line(HEAD).replace('"seq":12', '"seq":true'),
     head_line(HEAD)[:-1] + ',"more":1}', "[" * 100_000],
)  # fmt: skip
def test_other_lines_are_no_heads(line: str) -> None:
    with pytest.raises(Malformed):
        parse_head(line)
