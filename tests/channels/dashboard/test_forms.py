from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.channels.dashboard.forms import FORM_TYPE, MAX_BODY, MAX_FIELDS, Form, parse_form
from bascule.core.errors import Malformed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=20))
def test_what_a_browser_sends_is_read_back_as_it_was(fields: list[tuple[str, str]]) -> None:
    assert parse_form(FORM_TYPE, urlencode(fields).encode()).fields == tuple(fields)


@given(st.binary(max_size=200))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    try:
        form = parse_form(FORM_TYPE, body)
    except Malformed:
        return
    assert all(isinstance(part, str) for field in form.fields for part in field)


@pytest.mark.parametrize(
    ("media_type", "body", "code"),
    [
        ("application/json", b"{}", "form_type"),
        ("multipart/form-data; boundary=x", b"--x", "form_type"),
        ("", b"a=b", "form_type"),
        (FORM_TYPE, b"a=" + b"x" * MAX_BODY, "form_size"),
        (FORM_TYPE, b"&".join([b"a=b"] * (MAX_FIELDS + 1)), "form_broken"),
        (FORM_TYPE, b"a=%ff", "form_broken"),
        (FORM_TYPE, b"nothing", "form_broken"),
        (FORM_TYPE, "a=ü".encode(), "form_broken"),
    ],
)
def test_what_is_no_form_of_ours_is_refused(media_type: str, body: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_form(media_type, body)
    assert caught.value.code == code


def test_a_charset_beside_the_type_changes_nothing_and_an_empty_form_is_one() -> None:
    assert parse_form(f"{FORM_TYPE}; charset=utf-8", b"a=b+c").one("a") == "b c"
    assert parse_form(FORM_TYPE, b"").fields == ()


def test_a_field_that_stands_twice_is_not_one() -> None:
    form = Form((("answer", "approve"), ("answer", "deny"), ("item", "a"), ("item", "b")))
    with pytest.raises(Malformed):
        form.one("answer")
    assert form.every("item") == ("a", "b")
    assert form.one("missing") == ""


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "61", "x", "٣", "9" * 30, "1e1"])
def test_a_count_is_a_number_in_bounds(text: str) -> None:
    with pytest.raises(Malformed):
        Form((("minutes", text),)).count("minutes", 60)


def test_counts_and_choices() -> None:
    form = Form((("minutes", " 60 "), ("uses", ""), ("extent", "exact"), ("odd", "else")))
    assert (form.count("minutes", 60), form.count("uses", 9)) == (60, None)
    assert form.choice("extent", ("exact", "similar")) == "exact"
    with pytest.raises(Malformed):
        form.choice("odd", ("exact", "similar"))
    with pytest.raises(Malformed):
        form.one("odd", longest=3)
