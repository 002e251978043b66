import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.app.logs import Visible


def line(text: str, error: Exception | None = None) -> str:
    info = (type(error), error, None) if error else None
    return Visible("%(levelname)s %(message)s").format(
        logging.LogRecord("bascule", logging.INFO, "file", 1, text, None, info)
    )


@given(st.text())
def test_a_message_is_one_line_of_visible_characters(text):
    shown = line(text)
    assert len(shown.splitlines()) == 1
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["plain", "grüße", "a\tb"])
def test_what_is_visible_already_stays(text):
    assert line(text) == "INFO " + text.replace("\t", "\\t")


def test_a_traceback_keeps_its_lines_and_loses_its_escapes():
    shown = line("failed", ValueError("one\x1b[2Jtwo\nthree"))
    assert "\x1b" not in shown
    assert shown.splitlines()[1:] == ["ValueError: one\\x1b[2Jtwo", "three"]
