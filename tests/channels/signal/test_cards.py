"""What stands in our messages, and that no agent can make one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.channels.simulated_channel import approval

from bascule.channels.signal.cards import (
    MOST_BYTES,
    MOST_PARTS,
    SIGN,
    SIGNS,
    card,
    clean,
    line,
    looks_ours,
    notice,
    settled,
    spoken,
)

REAL = card(approval(7, card=["bruba-main wants to use exec", "path: a.txt"]), 4000).text  # type: ignore[arg-type]
HOSTILE = [
    REAL,
    "\n" * 80 + REAL,
    " " * 5000 + REAL,
    "hello\n\nbruba-web:\nI am another agent",
    "\u202e" + REAL,
    "\u200b" * 3000 + REAL,
    "QUESTION 7KQ2M4T1\nTo answer: reply yes",
    "\uff31\uff35\uff25\uff33\uff34\uff29\uff2f\uff2e 7KQ2M4T1",
    "Bascule: everything was approved",
    "\U0001f512 QUESTION",
    "x" * 1990 + "\n" + REAL,
    ("word " * 380) + "Question 7KQ2M4T1 of bruba-main (exec) was approved",
    "bruba-main (1/2):\nfake part",
    "> quoted\n\u2028" + REAL,
    "\r" + REAL,
]  # fmt: skip


def row(**more: Any) -> Any:
    return approval(7, **more)


def test_a_question_says_everything_and_how_to_answer() -> None:
    found = card(row(card=["write a file", "path: b\u202ea.txt", "two\nlines", f"{SIGN} QUESTION"]), 4000)
    assert found.whole
    assert found.text.splitlines()[0] == f"{SIGN} QUESTION CODE0007"
    for part in (
        "write a file",
        "path: b\\u202ea.txt",
        "two\\nlines",
        "\\U0001f510 QUESTION",
        "yes CODE0007",
        "no CODE0007",
        "2030-01-01T00:00:00Z",
    ):
        assert part in found.text
    assert found.text.count(SIGN) == 1


@pytest.mark.parametrize(
    ("lines", "chunk", "whole"),
    [
        (["x" * 1700], 4000, True),
        (["x" * 1900], 4000, False),
        (["\u00e9" * 950], 4000, False),
        (["x" * 300], 350, False),
        (["x"] * 2000, 4000, False),
    ],
)
def test_a_question_is_whole_or_says_where_to_decide_it(lines: list[str], chunk: int, whole: bool) -> None:
    found = card(row(card=lines), chunk)
    assert found.whole is whole
    assert len(found.text.encode()) <= MOST_BYTES
    if whole:
        assert all(each in found.text for each in lines)
    else:
        assert f"bascule approvals show {row()['id']}" in found.text
        assert "CODE0007" not in found.text, "who has not seen it cannot say yes"
        assert "bruba-main" in found.text


def test_news_of_an_answer_name_what_and_who() -> None:
    assert "was approved by ann (signal)." in settled("a", "exec", "C", "approved", "ann (signal)")
    assert "was denied by x\\u202e" in settled("a", "exec", "C", "denied", "x\u202e")
    assert "nobody answered" in settled("a", "exec", "C", "expired", "ann")
    assert "is cancelled by superseded" in settled("a", "exec", "C", "cancelled", "superseded")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("chunk", [200, 4000])
def test_no_words_of_an_agent_pass_for_ours(text: str, chunk: int) -> None:
    holds(spoken("bruba-main", text, chunk, "agent:bruba-main:main"), chunk)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.text(), st.sampled_from([*HOSTILE, *SIGNS, "\n", " ", "question", "Bascule ", "a:"])), max_size=6
    ).map("".join),
    st.integers(200, 5000),
)
def test_law_every_part_of_an_agents_words_begins_with_its_name_and_holds_no_sign(text: str, chunk: int) -> None:
    holds(spoken("bruba-main", text, chunk, "agent:bruba-main:main"), chunk)


def holds(parts: tuple[str, ...], chunk: int) -> None:
    assert 1 <= len(parts) <= MOST_PARTS
    for number, part in enumerate(parts, 1):
        head, _, rest = part.partition("\n")
        assert head == ("bruba-main:" if len(parts) == 1 else f"bruba-main ({number}/{len(parts)}):")
        assert not SIGNS & set(part)
        assert len(part) <= chunk
        assert len(part.encode()) <= MOST_BYTES
        assert "\n\n\n" not in part
        assert not any(looks_ours(each) for each in rest.split("\n"))


def test_a_long_answer_is_whole_in_its_parts_or_says_what_is_left() -> None:
    text = "\n".join(f"line {number} of many" for number in range(400))
    parts = spoken("a", text, 4000, "agent:a:main")
    assert [each for part in parts for each in part.split("\n")[1:]] == text.split("\n")
    longest = spoken("a", text * 20, 4000, "agent:a:main")
    assert len(longest) == MOST_PARTS
    assert "more characters: bascule sessions show agent:a:main" in longest[-1]


def test_pictures_stay_pictures_and_hidden_letters_do_not_hide() -> None:
    for picture in ("\u2764\ufe0f", "\U0001f468\u200d\U0001f4bb", "\U0001f44d\U0001f3fd", "\u26a0\ufe0f ok"):
        assert clean(picture) == picture
    assert clean("a\u200db") == "a\\u200db"
    assert clean("a\ufe0f") == "a\\ufe0f"
    assert clean(f"{SIGN}\u200d\U0001f4bb") == "\\U0001f510\\u200d\U0001f4bb"
    assert line("a\nb\tc\x1b[0m") == "a\\nb c\\x1b[0m"
    assert notice("x").startswith(SIGN)
