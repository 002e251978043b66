from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.channels.terminal import question
from bascule.channels.terminal.question import OURS, SIMILAR_MINUTES, THEIRS, Choice


def asked(**more: Any) -> dict[str, Any]:
    return {
        "id": "apr_1", "code": "ABC", "agent": "bruba-main", "expires": "T", "card": ["first", "two\nlines"],
        "ungrantable": "", "proposal": ["one thing"], **more,
    }  # fmt: skip


@pytest.mark.parametrize("leaving", [False, True])
@pytest.mark.parametrize("why", ["", "it leaves the machine"])
def test_what_is_offered_is_what_is_taken(leaving: bool, why: str) -> None:
    found = question.choices(asked(ungrantable=why), leaving=leaving)
    assert (Choice.SIMILAR in found, Choice.QUIT in found) == (why == "", leaving)
    assert {Choice.YES, Choice.NO, Choice.SHOW, Choice.LATER} <= set(found)
    text = question.prompt(asked(ungrantable=why), leaving=leaving)
    keys = text[text.index("[") + 1 : text.index("]")].split("/")
    assert [question.read_choice(key) for key in keys] == list(found)
    assert all(choice.value in text for choice in found)
    assert "apr_1" in text


@given(st.text())
def test_only_the_words_that_are_offered_are_answers(text: str) -> None:
    word = text.strip().lower()
    known = {choice.value for choice in Choice} | {"y", "n", "s", "q"}
    assert (question.read_choice(text) is not None) == (word in known)


@pytest.mark.parametrize("text", ["yy", "y n", "yes!", "ye", "\x1by", "1", "true", "ok", "l", ""])
def test_nothing_like_a_yes_is_one(text: str) -> None:
    assert question.read_choice(text) is None


def test_a_card_is_whole_and_only_its_frame_is_ours() -> None:
    lines = question.card(asked())
    assert [text for first, text in lines if first == THEIRS] == ["first", "two", "lines"]
    assert [text for first, text in lines if first == OURS] == [
        "bruba-main asks (apr_1, code ABC)",
        "unanswered at T it is a no",
    ]


@pytest.mark.parametrize(("proposal", "extent"), [(["a", "b"], "similar"), ([], "exact")])
def test_a_wider_yes_is_what_was_shown(proposal: list[str], extent: str) -> None:
    found = asked(proposal=proposal)
    shown, terms = question.similar(found), question.similar_terms(found)
    assert f"for {SIMILAR_MINUTES} minutes" in shown[0][1]
    assert "this session" in shown[0][1]
    assert [text for first, text in shown if first == THEIRS] == (
        proposal or ["this very call again, and nothing else"]
    )
    assert (terms["extent"], terms["this_session"], terms["minutes"]) == (extent, True, SIMILAR_MINUTES)
    assert (terms["args"], terms["under"], terms["uses"]) == (None, None, None)


@pytest.mark.parametrize(
    ("session", "left", "line"),
    [("", None, "in every session, until T"), ("agent:a:main", 3, "in agent:a:main, 3 more times, until T")],
)
def test_what_was_granted_is_said_whole(session: str, left: int | None, line: str) -> None:
    row = {
        "id": "gr_1", "agent": "a", "tool": "exec", "approval": "apr_1", "session": session, "uses_left": left,
        "expires": "T", "covers": ["ls *", "below /x"],
    }  # fmt: skip
    said = question.granted(row)
    assert said[1:3] == ["  ls *", "  below /x"]
    assert said[3].strip() == line
    assert said[-1].endswith("bascule grants revoke gr_1")


@pytest.mark.parametrize(("by", "text"), [("", "apr_1 expired"), ("pat (signal)", "apr_1 expired by pat (signal)")])
def test_how_a_question_was_settled(by: str, text: str) -> None:
    assert question.answered({"id": "apr_1", "state": "expired", "answered_by": by}) == text
