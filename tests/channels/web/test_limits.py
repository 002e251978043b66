"""How often one may knock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.channels.web.limits import FAILURES, MAX_KEPT, Limiter, Rate, neighbourhood


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_pause_that_doubles_up_to_a_bound() -> None:
    clock = Clock()
    limiter = Limiter(FAILURES, clock)
    assert [limiter.take("a") for _ in range(10)] == [True] * 10
    assert limiter.wait("a") == 0
    pauses = []
    for _ in range(4):
        assert not limiter.take("a")
        pauses.append(limiter.wait("a"))
        clock.now += limiter.wait("a") - 0.5
    assert [round(pause / pauses[0]) for pause in pauses] == [1, 2, 3, 6]  # whole seconds above 2, 4, 8, 16
    for _ in range(40):
        limiter.take("a")
    assert FAILURES.longest - 1 <= limiter.wait("a") <= FAILURES.longest + 1


def test_an_hour_of_hammering_is_a_few_tries_a_minute() -> None:
    clock = Clock()
    limiter = Limiter(FAILURES, clock)
    tries = 0
    for _ in range(36_000):
        clock.now += 0.1
        if not limiter.wait("a"):
            tries += 1
            limiter.take("a")
    assert 10 < tries < 300


def test_quiet_makes_good_and_a_clock_that_goes_back_gives_nothing() -> None:
    clock = Clock()
    limiter = Limiter(Rate(burst=2, per_second=1), clock)
    assert (limiter.take("a"), limiter.take("a"), limiter.take("a")) == (True, True, False)
    clock.now -= 500
    assert not limiter.take("a")
    clock.now += 1
    assert limiter.take("a")
    clock.now += 100
    assert [limiter.take("a") for _ in range(3)] == [True, True, False]


def test_names_do_not_share_and_memory_is_bounded() -> None:
    limiter = Limiter(Rate(burst=1, per_second=0), Clock())
    assert limiter.take("a")
    assert not limiter.take("a")
    for number in range(MAX_KEPT * 2):
        assert limiter.take(f"n{number}")
    assert len(limiter._buckets) == MAX_KEPT


@pytest.mark.parametrize(
    ("address", "want"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_one_subscriber_is_one_name(address: str, want: str) -> None:
    assert neighbourhood(address) == want


@given(st.lists(st.floats(0, 50), max_size=60))
def test_never_more_than_burst_and_refill_together(steps: list[float]) -> None:
    clock = Clock()
    limiter = Limiter(Rate(burst=5, per_second=0.5), clock)
    taken = 0
    for step in steps:
        clock.now += step
        taken += limiter.take("a")
    assert taken <= 5 + sum(steps) * 0.5 + 1e-6
