from __future__ import annotations

import pytest

from bascule.control.access import Access
from bascule.core.errors import NotPermitted

HOME = Access(owner_uid=1000, gateway_uid=1_900_000_000)
AGENTS = frozenset({1_900_000_001, 1_900_000_002})


@pytest.mark.parametrize("uid", [0, 1000])
def test_who_may_ask(uid: int) -> None:
    assert HOME.check(uid, AGENTS) is None


@pytest.mark.parametrize("uid", [1, 1001, 65534, 1_900_000_000, 1_900_000_001, 1_900_000_002, 1_900_000_003, 2**32 - 1])
def test_who_may_not(uid: int) -> None:
    with pytest.raises(NotPermitted) as caught:
        HOME.check(uid, AGENTS)
    assert caught.value.code == "peer_refused"


def test_being_an_agent_outweighs_owning_the_home() -> None:
    with pytest.raises(NotPermitted):
        Access(owner_uid=5, gateway_uid=6).check(5, frozenset({5}))


def test_without_root_the_owner_is_the_gateway_and_may_ask() -> None:
    assert Access(owner_uid=1000, gateway_uid=1000).check(1000, AGENTS) is None


def test_a_member_of_the_operators_group_may_ask() -> None:
    home = Access(owner_uid=0, gateway_uid=1_900_000_000, operators="bascule-operators")
    assert home.check(1001, AGENTS, member=True) is None
    with pytest.raises(NotPermitted) as caught:
        home.check(1001, AGENTS)
    assert caught.value.remedy == "join the group bascule-operators"


@pytest.mark.parametrize("uid", [1_900_000_000, 1_900_000_001, 1_900_000_002])
def test_neither_an_agent_nor_the_gateway_gets_in_by_the_group(uid: int) -> None:
    with pytest.raises(NotPermitted):
        Access(owner_uid=0, gateway_uid=1_900_000_000, operators="ops").check(uid, AGENTS, member=True)
