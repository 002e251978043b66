"""The JSON5 reader against a second reader, and everything it refuses on purpose."""

from __future__ import annotations

import math
from typing import Any

import pyjson5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Malformed
from bascule.policy.json5 import MAX_DEPTH, dotted, read


def plain(value: Any) -> Any:
    """Arrays as lists, as the other reader has them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ("[1,2,]", (1, 2)),
        ("{a: 1, 'b': 2, \"c\": 3,}", {"a": 1, "b": 2, "c": 3}),
        ("// note\n/* more */ null // end", None),
        ("'it\\'s \"so\"'", 'it\'s "so"'),
        ("'a\\\nb'", "ab"),
        ("'\\x41\\u0042\\0\\v\\q'", "AB\0\vq"),
        ("'\\ud83d\\ude00'", "\U0001f600"),
        ("[0x1F, +1, -2, .5, 5., 1e3]", (31, 1, -2, 0.5, 5.0, 1000.0)),
        ("{$a_1: true, ünï: false, \\u0061b: 1}", {"$a_1": True, "ünï": False, "ab": 1}),
        ("\ufeff\u00a0 1", 1),
    ],
)
def test_values(text: str, value: object) -> None:
    assert read(text, "f").value == value


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "1:1"),
        ("{a: 1, a: 2}", "1:8"),
        ('{\n  a: 1,\n  "a": 2 }', "3:3"),
        ("{a: {b: 1}", "1:1"),
        ("[1 2]", "1:4"),
        ("{a 1}", "1:4"),
        ("{a: 'x\n'}", "1:5"),
        ("/* x", "1:1"),
        ("01", "1:1"),
        ("1a", "1:1"),
        ("NaN", "1:1"),
        ("-Infinity", "1:1"),
        ("9007199254740992", "1:1"),
        ("1e999", "1:1"),
        ("'\\ud800'", "1:1"),
        ("'\\1'", "1:2"),
        ("'\\u12'", "1:4"),
        ("{,}", "1:2"),
        ("[,]", "1:2"),
        ("{} {}", "1:4"),
        ("undefined", "1:1"),
        ("{\\x: 1}", "1:2"),
    ],
)
def test_refusals_say_where(text: str, where: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(text, "f.json5")
    assert refused.value.code == "policy_syntax"
    assert refused.value.message.startswith(f"f.json5:{where}: ")
    assert "\n" not in str(refused.value)


def test_depth_and_size_are_capped() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f").value is not None
    for text in ("[" * 100_000, '{"a":' * 100_000, " " * (1 << 21), b" " * (1 << 21)):
        with pytest.raises(Malformed):
            read(text, "f")


def test_a_byte_that_is_not_utf8_is_placed() -> None:
    with pytest.raises(Malformed, match=r"^f:2:4: "):
        read(b"{\n  \xc3\xa9\xff", "f")


def test_every_value_and_key_has_its_place() -> None:
    document = read("{\n  agents: {\n    list: [ {}, { id: 'x' } ] } }", "f")
    assert document.where(("agents", "list", 1, "id")) == "f:3:23"
    assert document.where(("agents", "list", 1, "id"), key=True) == "f:3:19"
    assert document.where(("agents", "list", 1, "nothing", "here")) == "f:3:17"
    assert dotted(("agents", "list", 1, "tools", "deny")) == "agents.list[1].tools.deny"


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.text(max_size=8)
)
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


def _same(mine: Any, other: Any) -> bool:
    if isinstance(mine, float) and isinstance(other, float):
        return mine == other or math.isclose(mine, other)
    if isinstance(mine, list) and isinstance(other, list):
        return len(mine) == len(other) and all(map(_same, mine, other))
    if isinstance(mine, dict) and isinstance(other, dict):
        return mine.keys() == other.keys() and all(_same(mine[key], other[key]) for key in mine)
    return mine == other


@given(_TREES)
def test_what_the_other_reader_writes_is_read_as_the_same_value(tree: Any) -> None:
    assert _same(plain(read(pyjson5.dumps(tree), "f").value), tree)


_TOKENS = """{ } [ ] : , a ' " b1 // /* */ \\ \\u0041 \\x42 0 1 - + . e 0x true null 'k' "v" $ _ é [1,] {a:1,}"""
_PIECES = st.sampled_from([*_TOKENS.split(" "), " ", "\n", "\u2028", "\r\n"])


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_both_readers_accept_the_same_texts(text: str) -> None:
    try:
        other = pyjson5.decode(text)
    except pyjson5.Json5Exception:
        with pytest.raises(Malformed):
            read(text, "f")
        return
    try:
        mine = plain(read(text, "f").value)
    except Malformed as refused:
        known = [word for word in ("already stands", "too large", "surrogate") if word in refused.message]
        # The oracle passes over an underscore in a number, which JSON5 does not know.
        known += ["_"] if "_" in text and "is not a number" in refused.message else []
    else:
        known = ["agreed"] if _same(mine, other) else []
    assert known


@pytest.mark.parametrize("text", ["1_", "1_0", "0x_1", "1_.0", ".1_", "1e1_", "-_1"])
def test_no_number_has_an_underscore(text: str) -> None:
    with pytest.raises(Malformed):
        read(text, "f")
