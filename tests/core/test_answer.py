from __future__ import annotations

from dataclasses import replace

from bascule.core.answer import Approval, Standing, State, Summary

ASKED = Approval("apr_1", "C", "d", "a", "s", "read", State.PENDING, 1.0, 2.0, ("first", "second"), "", "v", 3)


def test_a_summary_is_the_cards_first_line() -> None:
    assert ASKED.summary == "first"
    assert replace(ASKED, card=()).summary == ""


def test_who_is_not_told_assumes_the_highest_label_and_no_grant() -> None:
    assert (ASKED.label_rank, ASKED.extent, ASKED.proposal) == ("11", "", "")


def test_a_list_row_has_what_an_approval_has_under_the_same_names() -> None:
    assert all(hasattr(ASKED, name) for name in Summary._fields)


def test_states_are_the_words_of_the_tables() -> None:
    assert {str(state) for state in State} == {"pending", "approved", "denied", "expired", "cancelled", "consumed"}
    assert {str(state) for state in Standing} == {"active", "used_up", "expired", "revoked"}
