from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.cli.batch import parse_line, read_object, write
from bascule.core.errors import Malformed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_arguments_are_carried_whole(args: dict[str, Any]) -> None:
    line = parse_line(json.dumps({"agent": "a", "tool": "t", "args": args}))
    assert json.loads(line.args_text) == args
    assert (line.agent, line.tool, line.session) == ("a", "t", None)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1.50}',
        '{"a":1E400}',
        '{"a":-0}',
        '{"a":123456789012345678901234567890}',
        '{"a":"\\ud800"}',
        '{"a":[{"b":1,"b":2},null,true]}',
    ],
)
def test_what_the_gate_refuses_reaches_the_gate_as_it_was_written(text: str) -> None:
    assert write(read_object(text, "it")) == text
    assert parse_line(f'{{"agent":"a","tool":"t","args":{text}}}').args_text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        "null",
        '"{}"',
        '{"a":NaN}',
        '{"a":Infinity}',
        "{} {}",
        "{'a':1}",
        "\udcff{}",
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_object(text, "it")
    assert caught.value.code in {"arguments_not_json", "arguments_not_object"}
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        '{"agent":"a","tool":"t"}',
        '{"agent":"a","args":{}}',
        '{"agent":"a","tool":"t","args":{},"more":1}',
        '{"agent":"a","agent":"b","tool":"t","args":{}}',
        '{"agent":1,"tool":"t","args":{}}',
        '{"agent":"a","tool":"t","args":"{}"}',
        '{"agent":"a","tool":"t","args":null}',
        '{"agent":"a","tool":"t","args":{},"session":5}',
        "not json",
        "[]",
    ],
)
def test_a_bad_line_is_refused(line: str) -> None:
    with pytest.raises(Malformed):
        parse_line(line)


def test_a_session_may_be_named() -> None:
    assert parse_line('{"agent":"a","tool":"t","args":{},"session":"s"}').session == "s"
    assert parse_line('{"agent":"a","tool":"t","args":{},"session":null}').session is None
