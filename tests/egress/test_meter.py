"""How much at once, and in a minute."""

from __future__ import annotations

import pytest

from bascule.core.errors import Unavailable
from bascule.core.reach import EgressPolicy
from bascule.egress.meter import Meter


def test_a_minute_holds_so_many_requests() -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    rules = EgressPolicy(requests_per_minute=3)
    for _ in range(3):
        with meter.request(rules):
            now[0] += 1
    with pytest.raises(Unavailable) as refused, meter.request(rules):
        pytest.fail("let through")
    assert refused.value.code == "egress_rate"
    now[0] = 60.5
    with meter.request(rules):
        assert meter.open == 1
    assert meter.open == 0


def test_so_many_at_once_and_a_failure_gives_its_place_back() -> None:
    meter = Meter(lambda: 0.0)
    rules = EgressPolicy(connections=1)
    with meter.request(rules), pytest.raises(Unavailable) as refused, meter.request(rules):
        pytest.fail("let through")
    assert refused.value.code == "egress_busy"
    with pytest.raises(ZeroDivisionError), meter.request(rules):
        _ = 1 / 0
    with meter.request(rules):
        assert meter.open == 1


def test_zero_is_none() -> None:
    with pytest.raises(Unavailable), Meter(lambda: 0.0).request(EgressPolicy(requests_per_minute=0)):
        pytest.fail("let through")
