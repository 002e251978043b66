import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.sandboxes.worker.frames import (
    HEAD,
    MAX_FIELDS,
    FrameError,
    body_length,
    flag,
    number,
    pack,
    pairs,
    unpack,
)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_what_is_packed_is_unpacked(fields):
    frame = pack(fields)
    assert body_length(frame[:HEAD], 1 << 20) == len(frame) - HEAD
    assert unpack(frame[HEAD:]) == fields


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_are_exactly_a_frame(untrusted):
    try:
        fields = unpack(untrusted)
    except FrameError:
        return
    assert pack(fields)[HEAD:] == untrusted


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
def test_a_body_cut_or_lengthened_is_refused(fields, data):
    body = pack(fields)[HEAD:]
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(FrameError):
        unpack(body[:cut])
    with pytest.raises(FrameError):
        unpack(body + b"x")


@pytest.mark.parametrize(
    "head", [b"", b"\0\0\1", b"\0\0\0\0", b"\0\0\0\1", b"\0\0\4\1", b"\xff\xff\xff\xff", b"\0\0\0\2\0"]
)
def test_heads_out_of_range(head):
    with pytest.raises(FrameError):
        body_length(head, 1024)


def test_too_many_fields():
    with pytest.raises(FrameError):
        pack([b""] * (MAX_FIELDS + 1))
    body = (MAX_FIELDS + 1).to_bytes(2, "big") + bytes(4 * (MAX_FIELDS + 1))
    with pytest.raises(FrameError):
        unpack(body)


@pytest.mark.parametrize(
    "field", [b"", b"-1", b"+1", b" 1", b"1 ", b"01", b"00", b"1_0", b"0x1", b"101", b"9" * 30, "\u0661".encode()]
)
def test_numbers_that_are_none(field):
    with pytest.raises(FrameError):
        number(field, 100)


@given(st.integers(0, 1 << 62))
def test_numbers(value):
    assert number(str(value).encode(), 1 << 62) == value


def test_flags():
    assert (flag(b"0"), flag(b"1")) == (False, True)
    for field in (b"2", b"", b"true"):
        with pytest.raises(FrameError):
            flag(field)


def test_pairs():
    assert pairs([b"root=ro:/a=b", b"x_y="]) == [("root", b"ro:/a=b"), ("x_y", b"")]
    for field in (b"root", b"=x", b"a b=c", "ä=1".encode(), b"_=1"):
        with pytest.raises(FrameError):
            pairs([field])
