from __future__ import annotations

import fcntl
import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ordinary import until

from bascule.channels.terminal.keyboard import Keyboard, Ready
from bascule.core.errors import NotPermitted


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def never() -> Iterator[int]:
    reader, writer = os.pipe()
    yield reader
    os.close(reader)
    os.close(writer)


def queued(descriptor: int) -> None:
    """Wait until the terminal holds a line: typing reaches the queue a moment later."""
    assert until(lambda: int.from_bytes(_fionread(descriptor), "little") > 0), "nothing arrived"


def _fionread(descriptor: int) -> bytes:
    return fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")


def test_a_line_typed_is_the_answer(terminal: tuple[int, int], never: int) -> None:
    os.write(terminal[0], b"yes\n")
    assert Keyboard(terminal[1]).line() == "yes"


def test_what_was_typed_before_the_card_is_no_answer(terminal: tuple[int, int], never: int) -> None:
    keyboard = Keyboard(terminal[1])
    os.write(terminal[0], b"y\ny\n")
    queued(terminal[1])
    keyboard.forget()
    os.write(terminal[0], b"no\n")
    assert keyboard.line() == "no"


def test_control_d_is_no_answer(terminal: tuple[int, int], never: int) -> None:
    os.write(terminal[0], b"\x04")
    assert Keyboard(terminal[1]).line() is None


def test_a_line_cut_short_is_no_answer(terminal: tuple[int, int], never: int) -> None:
    os.write(terminal[0], b"y\x04")
    assert Keyboard(terminal[1]).line() == ""
    os.write(terminal[0], b"y" * 300 + b"\n")
    assert Keyboard(terminal[1]).line() == ""


def test_the_wait_says_what_ended_it(terminal: tuple[int, int], never: int) -> None:
    keyboard = Keyboard(terminal[1])
    assert keyboard.wait(never, never, 0) is Ready.WOKEN
    os.write(terminal[0], b"y\n")
    assert keyboard.wait(never, never, None) is Ready.TYPED


def test_what_happened_elsewhere_comes_before_a_key(terminal: tuple[int, int], never: int) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"!")
    os.write(terminal[0], b"y\n")
    queued(terminal[1])
    assert Keyboard(terminal[1]).wait(never, reader, None) is Ready.WOKEN
    os.close(reader)
    os.close(writer)


def test_an_interrupt_comes_first(terminal: tuple[int, int]) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"!")
    os.write(terminal[0], b"y\n")
    queued(terminal[1])
    assert Keyboard(terminal[1]).wait(reader, reader, None) is Ready.INTERRUPTED
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("kind", ["pipe", "file", "null", "closed"])
def test_nothing_else_is_a_keyboard(tmp_path: Path, never: int, kind: str) -> None:
    (tmp_path / "answers").write_text("y\n")
    reader, writer = os.pipe()
    os.write(writer, b"y\n")
    descriptor = {
        "pipe": reader,
        "file": os.open(tmp_path / "answers", os.O_RDONLY),
        "null": os.open("/dev/null", os.O_RDONLY),
        "closed": 987_654,
    }[kind]
    keyboard = Keyboard(descriptor)
    assert keyboard.real is False
    for work in (keyboard.forget, keyboard.line, lambda: keyboard.wait(never, never, None)):
        with pytest.raises(NotPermitted) as caught:
            work()
        assert caught.value.code == "not_a_terminal"
    os.close(reader)
    os.close(writer)
