from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.channels.simulated_channel import approval

from bascule.channels.dashboard.views import (
    TONES,
    amount,
    distance,
    label_of,
    lines_of,
    matching,
    moment,
    outcome,
    pretty,
    programs,
    sheet,
    tone,
)
from bascule.core.answer import State


@given(st.lists(st.text(max_size=40), max_size=12))
def test_every_line_of_a_card_is_kept_whole_and_in_order(card: list[str]) -> None:
    lines = lines_of(card)
    whole = [f"{line.indent}{line.key}: {line.text}" if line.kind == "pair" else line.text for line in lines]
    assert whole == card


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("session: agent:main:main", "pair"),
        ("asked by l6_exec_allowlist: it is not listed", "pair"),
        ("  program /bin/ls (binary), sha256 00", "plain"),
        ("- old", "old"),
        ("+ new", "new"),
        ("its words are untrusted and private; they come from: web", "label"),
        ("its words are trusted and private; they come from: operator", "plain"),
        ("look twice: U+0430 CYRILLIC SMALL LETTER A is in it", "look"),
        ("", "plain"),
    ],
)
def test_lines_by_kind(text: str, kind: str) -> None:
    assert lines_of(["head", text])[1].kind == kind


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (-9, "just now"),
        (5, "in a moment"),
        (-45, "45 s ago"),
        (120, "in 2 min"),
        (-7200, "2 h ago"),
        (400_000, "in 5 d"),
    ],
)
def test_distances_in_words(seconds: float, words: str) -> None:
    assert distance(seconds) == words


def test_moments_say_what_was_said_also_when_it_is_no_time() -> None:
    found = moment("2026-01-01T00:00:00Z", 1_767_225_600 + 60)
    assert (found.milliseconds, found.words) == (1_767_225_600_000, "60 s ago")
    assert moment("", 0).words == "never"
    assert moment("<b>soon</b>", 0).words == "<b>soon</b>"


@pytest.mark.parametrize("state", [each.value for each in State])
def test_every_state_has_a_tone_and_says_what_became_of_it(state: str) -> None:
    assert tone(state) in {"good", "wait", "bad", "off"}
    told = outcome(approval(1, state=state, answered_by="pat (signal)"))  # type: ignore[arg-type]
    assert bool(told) is (state != "pending")
    assert "approved" not in told if state in ("denied", "expired", "cancelled") else True


def test_an_unknown_word_has_no_tone() -> None:
    assert tone("whatever") == ""
    assert set(TONES.values()) <= {"good", "wait", "bad", "off"}


@given(st.lists(st.integers(), max_size=40), st.integers(-5, 50), st.integers(1, 10))
def test_pages_of_a_list_are_the_list(rows: list[int], number: int, size: int) -> None:
    first = sheet(rows, 1, size)
    pages = [sheet(rows, each, size).rows for each in range(1, first.pages + 1)]
    assert [row for page in pages for row in page] == rows
    asked = sheet(rows, number, size)
    assert 1 <= asked.number <= asked.pages
    assert asked.total == len(rows)
    assert asked.rows == pages[asked.number - 1]


def test_searching_needs_every_word_somewhere() -> None:
    rows = [approval(1, summary="Write NOTES"), approval(2, "bruba-web", summary="write mail")]
    assert [row["id"][-1] for row in matching(rows, "write notes")] == ["1"]  # type: ignore[arg-type]
    assert [row["id"][-1] for row in matching(rows, "BRUBA-web")] == ["2"]  # type: ignore[arg-type]
    assert len(matching(rows, "  ")) == 2  # type: ignore[arg-type]
    assert matching(rows, "write nothing") == []  # type: ignore[arg-type]


def test_programs_of_a_section_that_says_nothing_or_nonsense() -> None:
    assert programs({}).entries == ()
    assert programs({"allowlist": "all", "security": 3}).security == ""
    found = programs({"allowlist": [{"pattern": "/bin/ls", "args": None, "needs": ["/bin/sh"], "writes": True}, "x"]})
    assert [(entry.pattern, entry.arguments, entry.writes, entry.needs) for entry in found.entries] == [
        ("/bin/ls", None, True, ("/bin/sh",))
    ]


def test_a_record_is_shown_whole_and_its_label_in_words() -> None:
    body = {"label": {"integrity": "untrusted", "confidentiality": "private", "sources": ["web"]}, "ü": [1, None]}
    row = {"body": body}
    assert label_of(row) == "untrusted private from web"  # type: ignore[arg-type]
    assert label_of({"body": {"label": "x"}}) == ""  # type: ignore[arg-type]
    assert '"ü": [' in pretty(body)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("memoryBytes", 512 << 20, "512 MiB"),
        ("fileBytes", 1000, "1000"),
        ("outputBytes", 0, "0"),
        ("pids", 64, "64"),
    ],
)
def test_amounts_for_people(name: str, value: int, words: str) -> None:
    assert amount(name, value) == words
