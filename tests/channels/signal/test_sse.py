"""Server-sent events from bytes in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.channels.signal import sse
from bascule.channels.signal.sse import Frame, Frames

STREAM = (
    b':\n\n:\nid:1-1\nevent:receive\ndata:{"a": 1}\n\n'
    b"event: receive\r\ndata: x\r\ndata: y\r\n\r\n"
    b"event:receive\n\n"
    b"id:1-2\ndata:\xff\n\n"
    b"id:1-3\ndata:last\n\n"
    b"data:unfinished\n"
)
FRAMES = [
    Frame("1-1", "receive", '{"a": 1}'),
    Frame("", "receive", "x\ny"),
    Frame("", "", "", "it is not UTF-8"),
    Frame("1-3", "", "last"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_law_the_borders_of_pieces_make_no_difference(places: list[int]) -> None:
    frames, found, before = Frames(), [], 0
    for place in [*sorted(places), len(STREAM)]:
        found += frames.feed(STREAM[before:place])
        before = place
    assert found == FRAMES


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 16])
def test_an_event_too_long_is_skipped_to_its_end_and_the_next_one_is_whole(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MAX_FRAME", 5_000)
    stream = b"data:" + b"x" * 20_000 + b"\ndata:more\n\nid:2\ndata:next\n\n"
    frames = Frames()
    found = [frame for place in range(0, len(stream), size) for frame in frames.feed(stream[place : place + size])]
    assert found == [Frame("", "", "", "it is too long"), Frame("2", "", "next")]


def test_a_line_that_never_ends_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_FRAME", 5_000)
    frames = Frames()
    for _ in range(100):
        assert frames.feed(b"y" * 1_000) == []
    assert len(frames._line) <= 5_000


def test_signs_of_life_add_up_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_FRAME", 50)
    frames = Frames()
    assert [frame for _ in range(100) for frame in frames.feed(b":\n")] == []
    assert frames.feed(b"data:1\n\n") == [Frame("", "", "1")]


@given(st.binary())
def test_law_no_bytes_crash_the_reader(content: bytes) -> None:
    for frame in Frames().feed(content):
        assert frame.damaged or isinstance(frame.data, str)
