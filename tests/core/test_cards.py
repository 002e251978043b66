import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import file_call

from bascule.core.cards import LONG, REVERSIBILITY, foot, head, one_line
from bascule.core.toolspec import ActionClass
from bascule.core.verdict import Decision, allow, ask


def test_every_action_class_says_what_can_be_undone():
    assert set(REVERSIBILITY) == set(ActionClass)


@given(st.text(st.sampled_from("ab\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")))
def test_no_name_becomes_two_lines(text):
    assert len(one_line(text).splitlines()) <= 1


@pytest.mark.parametrize("text", ["", "plain", "tab\tstays", "é\x1b[2J"])
def test_a_single_line_stays_as_it_is(text):
    assert one_line(text) == text


def test_line_ends_are_spelled_out():
    assert one_line("a\nb\u2028c\r") == "a\\nb\\u2028c\\r"


def test_the_head_names_agent_tool_session_reasons_and_origin():
    decision = Decision((allow("l1"), ask("l2", "c", "because", "key"), ask("l6", "c", "also")))
    shown = "\n".join(head(file_call("/etc/hosts"), decision, ActionClass.READ))
    for part in ("bruba-main", "read", "agent:bruba-main:main", "l2: because", "l6: also", "key", "operator"):
        assert part in shown
    assert "l1" not in shown


def test_the_head_has_every_parameter_and_only_counts_the_long_ones():
    call = file_call("/etc/hosts", args={"path": "/etc/hosts", "offset": 7, "more": "x" * (LONG + 1)})
    shown = "\n".join(head(call, Decision(()), ActionClass.READ))
    assert '"offset":7' in shown
    assert '"path":"/etc/hosts"' in shown
    assert f"({LONG + 1} characters, below)" in shown
    assert "xxx" not in shown


def test_the_worst_class_is_the_one_that_is_named():
    assert "external" in head(file_call("a"), Decision(()), ActionClass.EXTERNAL)[1]


def test_the_foot_names_what_the_yes_is_bound_to_and_letters_to_look_at_twice():
    call = file_call("a", bindings={"script:0": "ab" * 32})
    shown = foot(call, ("file: /srv/r\u0435port",))
    assert shown[0].startswith("look twice: U+0435 CYRILLIC SMALL LETTER IE")
    assert f"bound to script:0: {'ab' * 32}" in shown
    assert shown[-1].endswith(call.digest)
