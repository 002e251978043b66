"""JSON without its package says what the package says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.sandboxes.resident.text import TextError, read, write

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_reads_what_json_writes(value: object) -> None:
    assert read(json.dumps(value).encode()) == value
    assert read(json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")) == value


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()))
def test_json_reads_what_it_writes(body: dict[str, str | int]) -> None:
    found = json.loads(write(body))
    assert (found, [type(value) for value in found.values()]) == (body, [type(value) for value in body.values()])


@given(st.binary(max_size=60))
def test_noise_is_refused_as_json_refuses_it(noise: bytes) -> None:
    try:
        wanted = json.loads(noise.decode("utf-8").strip(" \t\r\n"))
    except ValueError:
        with pytest.raises(TextError):
            read(noise)
    else:
        assert repr(read(noise)) == repr(wanted)


@pytest.mark.parametrize("text", [b"", b" ", b"{} {}", b'{"a": 1} x', b'"\n"', b"{'a': 1}", b"[" * 100_000, b"\xff"])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(TextError):
        read(text)
