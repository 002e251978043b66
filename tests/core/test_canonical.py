import hashlib
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.canonical import MAX_DEPTH, MAX_SAFE_INTEGER, canonical, digest, read_arguments
from bascule.core.errors import Malformed

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_the_example_of_rfc_8785_orders_keys_by_utf_16_units():
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    written = json.loads(canonical(dict.fromkeys(keys, 1)), object_pairs_hook=lambda pairs: [key for key, _ in pairs])
    assert written == ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(VALUES)
def test_canonical_text_reads_back_as_the_same_value(value):
    assert json.loads(canonical(value)) == value


class Text(str):
    pass


def disguised(value):
    """The same value of other types, which the quick way leaves alone."""
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, dict):
        return MappingProxyType({Text(key): disguised(item) for key, item in value.items()})
    return [disguised(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_quick_way_and_the_other_write_the_same_bytes(value):
    assert canonical(value) == canonical(disguised(value))


@pytest.mark.parametrize(
    "value",
    [
        {1: "a"},
        {None: "a"},
        {True: "a"},
        {"a": 1.0},
        {"a": float("nan")},
        [MAX_SAFE_INTEGER + 1],
        {"a": b""},
        {"a": {1}},
    ],
)
def test_what_the_quick_way_could_write_and_may_not_is_refused(value):
    with pytest.raises(Malformed):
        canonical(value)


@given(st.dictionaries(TEXT, st.integers(0, 9), min_size=2))
def test_the_digest_ignores_the_order_in_which_keys_were_given(value):
    assert digest(value) == digest(dict(reversed(list(value.items()))))


def test_the_digest_is_sha256_of_the_canonical_bytes():
    assert digest({"b": 1, "a": []}) == hashlib.sha256(b'{"a":[],"b":1}').hexdigest()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a":1,"a":2}', "json_duplicate_key"),
        ('{"a":{"b":1,"b":2}}', "json_duplicate_key"),
        ('{"a":1.5}', "json_number"),
        ('{"a":1e3}', "json_number"),
        ('{"a":NaN}', "json_number"),
        ('{"a":-Infinity}', "json_number"),
        ('{"a":9007199254740992}', "json_number"),
        ('{"a":-9007199254740992}', "json_number"),
        ('{"a":"\\ud800"}', "json_surrogate"),
        ('{"\\udfff":1}', "json_surrogate"),
        ("[]", "arguments_not_object"),
        ('"x"', "arguments_not_object"),
        ("null", "arguments_not_object"),
        ('{"a":', "arguments_not_json"),
        ("{} {}", "arguments_not_json"),
        ("{'a':1}", "arguments_not_json"),
        ('{"a":1,}', "arguments_not_json"),
        ('{"a":' * 40 + "1" + "}" * 40, "json_too_deep"),
        ("[" * 100_000, "arguments_not_json"),
        ('{"a":"' + "x" * (1 << 20) + '"}', "arguments_too_long"),
    ],
)
def test_arguments_that_are_not_one_plain_object_are_refused(text, code):
    with pytest.raises(Malformed) as refused:
        read_arguments(text)
    assert refused.value.code == code


def test_arguments_at_the_limits_are_read_as_they_stand():
    assert read_arguments(f'{{"n":{MAX_SAFE_INTEGER},"s":"\\u00e9"}}') == {"n": MAX_SAFE_INTEGER, "s": "é"}
    assert read_arguments("") == {}
    deep = '{"a":' * (MAX_DEPTH - 1) + "1" + "}" * (MAX_DEPTH - 1)
    assert read_arguments(deep)["a"] is not None


@given(st.text())
def test_nothing_but_malformed_is_ever_raised(text):
    try:
        read = read_arguments(text)
    except Malformed:
        read = {}
    assert isinstance(read, dict)


@pytest.mark.parametrize("value", [1.0, float("nan"), {1: 2}, object(), b"x", 2**53, "\ud800"])
def test_values_without_one_text_have_no_digest(value):
    with pytest.raises(Malformed):
        digest(value)
