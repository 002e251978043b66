"""What a model is told: one line for a refusal, data between marks its author cannot write, binary only described."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.world import question

from bascule.core.answer import State
from bascule.core.errors import Unavailable
from bascule.core.label import OPERATOR
from bascule.core.outcome import Outcome, failed
from bascule.core.verdict import Decision, deny
from bascule.runtime import results
from bascule.runtime.messages import Told, ToolAnswer


@given(st.text(min_size=1), st.text())
def test_a_refusal_is_always_one_line(reason: str, remedy: str) -> None:
    told = results.of_refusal(Decision((deny("x", "code", reason, remedy),)))
    assert told.told is Told.REFUSED
    assert told.text.startswith("refused: ")
    assert len(told.text.splitlines()) == 1


def test_no_judge_is_a_refusal() -> None:
    assert results.of_refusal(Decision(())).told is Told.REFUSED


@given(st.binary(min_size=1, max_size=400))
def test_data_cannot_close_its_own_fence(content: bytes) -> None:
    told = results.of_outcome("read", Outcome(ok=True, content=content))
    mark = f"--- end of data {hashlib.sha256(content).hexdigest()[:16]} ---"
    if mark in told.text:
        assert told.text.index(mark) == len(told.text) - len(mark)
        assert "untrusted" in told.text.splitlines()[0]
    else:
        assert str(len(content)) in told.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"text with a \0", "binary"),
        (b"\x80\x81\x82\x83\x84", "binary"),
    ],
)
def test_binary_content_is_described(content: bytes, kind: str) -> None:
    told = results.of_outcome("read", Outcome(ok=True, content=content))
    assert kind in told.text
    assert "\0" not in told.text
    assert "data" in told.text or kind != "binary"


def test_text_cut_inside_a_character_is_still_text() -> None:
    told = results.of_outcome("read", Outcome(ok=True, content="grüß".encode()[:-1], truncated=True))
    assert "grü" in told.text
    assert "truncated" in told.text


def test_long_text_is_cut_and_says_so() -> None:
    told = results.of_outcome("read", Outcome(ok=True, content=b"x" * (results.MAX_TOLD + 5), label=OPERATOR))
    assert f"first {results.MAX_TOLD} of" in told.text
    assert told.text.count("x") == results.MAX_TOLD
    assert "untrusted" not in told.text


def test_a_failing_program_keeps_its_output_and_its_exit_status() -> None:
    told = results.of_outcome("exec", Outcome(ok=False, content=b"no such file\n", exit=2))
    assert told.told is Told.FAILED
    assert told.text.startswith("exec: exit 2; untrusted")
    assert "no such file" in told.text


def test_our_own_failure_is_one_line() -> None:
    assert results.of_outcome("read", failed("no_file", "there is no\nfile x")).text == "failed: there is no file x"


def test_silence_is_said() -> None:
    assert results.of_outcome("exec", Outcome(ok=True, content=b"", exit=0)).text == "exec: exit 0; no output"


@pytest.mark.parametrize("state", list(State))
def test_every_end_of_a_question_has_words(state: State) -> None:
    told = results.of_state(state)
    assert told.told is Told.REFUSED
    assert len(told.text) > len("refused: ")


def test_ids_and_codes_are_taken_out() -> None:
    approval = question(5)
    plain = results.without(ToolAnswer(f"see {approval.id} or {approval.code}", Told.REFUSED), approval)
    assert plain.text == "see the question or the question"
    begun = results.of_error(Unavailable("x", f"row {approval.id} is gone"), begun=True)
    assert approval.id not in begun.text
    assert begun.told is Told.UNKNOWN
