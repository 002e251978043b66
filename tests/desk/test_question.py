"""The table of transitions, names, ceilings and the desk's time."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.answer import State
from bascule.core.errors import Malformed
from bascule.core.label import Confidentiality, Integrity, Label
from bascule.desk.question import (
    CROCKFORD,
    OPEN,
    TRANSITIONS,
    Actor,
    Mark,
    Reference,
    advance,
    make_code,
    make_id,
    may,
    parse_reference,
    rank,
    within,
)

LABELS = st.builds(Label, st.sampled_from(Integrity), st.sampled_from(Confidentiality))

ALLOWED = {
    ("pending", "approved", "operator"),
    ("pending", "denied", "operator"),
    ("pending", "expired", "clock"),
    ("pending", "cancelled", "operator"),
    ("pending", "cancelled", "gateway"),
    ("approved", "consumed", "gate"),
    ("approved", "expired", "clock"),
    ("approved", "cancelled", "gateway"),
}


def test_nothing_happens_that_the_table_does_not_have() -> None:
    found = {(str(a), str(b), str(who)) for a, b, who in product(State, State, Actor) if may(a, b, who)}
    assert found == ALLOWED


def test_what_is_settled_stays_settled() -> None:
    assert {before for before, _ in TRANSITIONS} == set(OPEN)
    assert {after for _, after in TRANSITIONS if after not in OPEN} == set(State) - set(OPEN)


@given(st.binary(min_size=5, max_size=5))
def test_a_code_reads_back_however_it_is_typed(entropy: bytes) -> None:
    code = make_code(entropy)
    assert (len(code), set(code) <= set(CROCKFORD)) == (8, True)
    spelled = f" {code[:4]}-{code[4:]} ".lower().replace("0", "o").replace("1", "l")
    assert parse_reference(code) == parse_reference(spelled) == Reference("", code)


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=5, max_size=5))
def test_codes_keep_all_forty_bits(one: bytes, other: bytes) -> None:
    assert (make_code(one) == make_code(other)) == (one == other)


@given(st.binary(min_size=8, max_size=8))
def test_an_id_reads_back(entropy: bytes) -> None:
    assert parse_reference(make_id(entropy).upper()) == Reference(make_id(entropy), "")


@pytest.mark.parametrize("size", [0, 4, 6, 7, 9])
def test_other_amounts_of_chance_are_refused(size: int) -> None:
    with pytest.raises(ValueError):
        make_code(bytes(size))
    with pytest.raises(ValueError):
        make_id(bytes(size))


@pytest.mark.parametrize(
    "text", ["", "apr_", "apr_123", "apr_" + "g" * 16, "apr_" + "a" * 17, "ABCDEFG", "ABCDEFGHJ", "ABCDEFGU", "ABCD EFG", "ÅBCDEFGH", "%"]
)  # fmt: skip
def test_what_names_no_question_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_reference(text)


@given(LABELS, LABELS)
def test_a_ceiling_holds_each_part_for_itself(card: Label, now: Label) -> None:
    assert within(rank(card), now) == card.covers(now)


@pytest.mark.parametrize("ceiling", ["", "0", "111"])
def test_a_ceiling_of_another_shape_holds_nothing(ceiling: str) -> None:
    assert not within(ceiling, Label(Integrity.TRUSTED, Confidentiality.PUBLIC))


TIMES = st.integers(0, 10_000)


@given(TIMES, st.lists(TIMES))
def test_the_desks_time_never_falls(start: int, readings: list[int]) -> None:
    mark = Mark(start, 0.0)
    for reading in readings:
        after = advance(mark, reading)
        assert after.latest >= mark.latest
        assert after.offset >= mark.offset
        mark = after


@given(TIMES, st.lists(st.tuples(st.integers(0, 100), st.integers(-1000, 1000))))
def test_no_setting_of_the_clock_makes_less_time_pass_than_did(start: int, steps: list[tuple[int, int]]) -> None:
    """Each step: the clock is set (if back, seen at once), then time passes; all of it counts."""
    mark, clock, passed = Mark(start, 0.0), start, 0
    for elapsed, jump in steps:
        clock += jump
        mark = advance(mark, clock)
        clock += elapsed
        passed += elapsed
        mark = advance(mark, clock)
    assert mark.latest >= start + passed
