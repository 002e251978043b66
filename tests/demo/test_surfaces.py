"""The demo's operator answers on three surfaces of a policy that has none of its own, and in the chat of one that has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.surfaces import OPERATOR, OURS, Surfaces, in_chat

import bascule
from bascule.policy.compile import compile_policy
from bascule.policy.places import Places

TEAM = Path(bascule.__file__).parent / "policy" / "templates" / "bruba" / "bascule.json5"


@pytest.fixture
def surfaces() -> Iterator[Surfaces]:
    made = Surfaces()
    yield made
    made.close()


def test_the_teams_policy_gets_a_port_and_an_operator_on_signal(surfaces: Surfaces) -> None:
    policy, _ = compile_policy(surfaces.wire(TEAM.read_text()).encode(), None, Places("/srv/home", "/srv"))
    assert surfaces.wired
    assert policy.http.port == surfaces.port
    assert policy.signal is not None
    assert (policy.signal.account, policy.signal.url) == (OURS.number, surfaces.daemon.url)
    assert [person.signal for person in policy.people.values() if person.approves] == [(OPERATOR.number,)]
    assert surfaces.answers("http") != in_chat
    assert surfaces.answers("signal") != in_chat


@pytest.mark.parametrize("own", ["  gateway: { port: 1234 },\n", "  channels: {},\n"])
def test_a_policy_with_surfaces_of_its_own_stays_as_it_is(surfaces: Surfaces, own: str) -> None:
    config = TEAM.read_text().replace("\n{\n", "\n{\n" + own, 1)
    assert surfaces.wire(config) == config
    assert surfaces.answers("http") == surfaces.answers("signal") == in_chat
