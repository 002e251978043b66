import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.checkup.tcc import BEYOND, SERVICES, Grant, Seen, examine, parse
from bascule.core.finding import Severity

PYTHON = "/usr/local/bin/python3.11"
CALENDAR, FULL = "kTCCServiceCalendar", "kTCCServiceSystemPolicyAllFiles"


def test_allowed_rows_are_grants_denied_ones_are_not_and_the_rest_is_odd():
    rows = [
        (CALENDAR, PYTHON, 1, 2),
        (CALENDAR, "com.apple.Terminal", 0, 3),
        (CALENDAR, PYTHON, 1, 0),
        (CALENDAR, PYTHON, 1, 1),
        (CALENDAR, PYTHON, 7, 2),
        (CALENDAR, None, 1, 2),
        (CALENDAR, PYTHON, 1),
        (b"x", PYTHON, 1, 2),
        (CALENDAR, "x" * 2000, 1, 2),
    ]
    grants, odd = parse(rows)
    assert grants == (Grant(CALENDAR, PYTHON, True, False), Grant(CALENDAR, "com.apple.Terminal", False, True))
    assert odd == 5


@given(st.lists(st.tuples(*[st.one_of(st.text(), st.integers(), st.none(), st.binary())] * 4)))
def test_no_row_does_more_than_be_read(rows):
    grants, odd = parse(rows)
    assert len(grants) + odd <= len(rows)


def said(*databases):
    return [(finding.check, finding.severity) for finding in examine(databases, {PYTHON})]


def test_a_database_that_is_closed_is_right_and_one_that_opens_is_not():
    assert said(Seen("/db", readable=False)) == [("mac.unseen", Severity.INFO)]
    assert said(Seen("/db", readable=True)) == [("mac.full_disk", Severity.CRITICAL)]


@pytest.mark.parametrize(
    ("service", "severity"),
    [(CALENDAR, Severity.WARN), (FULL, Severity.CRITICAL), ("kTCCServiceNew", Severity.CRITICAL)],
)
def test_what_our_own_program_was_granted_is_told(service, severity):
    seen = Seen(
        "/db", readable=True, grants=(Grant(service, PYTHON, True, False), Grant(service, "other", False, False))
    )
    assert said(seen)[1:] == [("mac.grant", severity)]


def test_rows_that_could_not_be_read_are_told():
    assert said(Seen("/db", readable=True, odd_rows=2))[1:] == [("mac.unread", Severity.WARN)]


def test_what_reaches_beyond_a_box_is_among_what_is_known():
    assert set(SERVICES) > BEYOND
