"""The bare host does not exist where policy does not name it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.sandboxes.boxed import KEY, LIMITS, ONE, TWO, policies, program

from bascule.core.box import PipelineRequest, ProgramRun
from bascule.core.errors import BasculeError, NotPermitted, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import AgentPolicy, Backend
from bascule.sandboxes.boxes import RoutedBoxes
from bascule.sandboxes.fitness import check_ground
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.unsafe_none.backend import UnsafeNoneBoxes
from bascule.sandboxes.warden.client import Measurement, WardenClient

HOME = Path("/srv/home")
UIDS = {ONE: 7, TWO: 8}
OTHERS = [backend for backend in Backend if backend is not Backend.UNSAFE_NONE]


class Silent:
    """Stands for a warden that nobody may speak to."""

    containers = None

    def when_gone(self, then: object) -> None:
        """Nobody goes."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the warden was asked to {name}")


CLIENT = cast(WardenClient, Silent())


def named(backend: Backend) -> dict[AgentId, AgentPolicy]:
    return policies(HOME, backend=backend)


def test_it_exists_for_agents_whose_policy_names_it() -> None:
    assert isinstance(UnsafeNoneBoxes(Footing(CLIENT, named(Backend.UNSAFE_NONE), UIDS, 5)), UnsafeNoneBoxes)


@pytest.mark.parametrize("backend", OTHERS)
def test_it_refuses_to_exist_for_any_other(backend: Backend) -> None:
    mixed = named(Backend.UNSAFE_NONE) | {TWO: named(backend)[TWO]}
    for agents in (named(backend), mixed, {}):
        with pytest.raises(NotPermitted) as refused:
            UnsafeNoneBoxes(Footing(CLIENT, agents, UIDS, 5))
        assert refused.value.code == "unsafe_none_unnamed"


def refusal(boxes: UnsafeNoneBoxes | RoutedBoxes) -> str:
    """The code with which a program is refused."""
    request = PipelineRequest(KEY, (ProgramRun(("true",), program("true")),), b"", LIMITS)
    with pytest.raises(BasculeError) as refused:
        asyncio.run(boxes.run(request))
    return refused.value.code


def test_an_agent_that_left_it_is_refused_before_anything_is_asked_for() -> None:
    agents = named(Backend.UNSAFE_NONE)
    boxes = UnsafeNoneBoxes(Footing(CLIENT, agents, UIDS, 5))
    agents[ONE] = replace(agents[ONE], sandbox=replace(agents[ONE].sandbox, backend=Backend.BUBBLEWRAP))
    assert refusal(boxes) == "unsafe_none_unnamed"


def test_an_agent_that_came_to_it_under_a_running_gateway_is_refused() -> None:
    agents = named(Backend.BUBBLEWRAP)
    boxes = RoutedBoxes(Footing(CLIENT, agents, UIDS, 5))
    agents[ONE] = named(Backend.UNSAFE_NONE)[ONE]
    assert refusal(boxes) == "unsafe_none_unnamed"


def test_without_an_account_of_its_own_there_is_no_bare_host() -> None:
    agents = named(Backend.UNSAFE_NONE)
    assert refusal(UnsafeNoneBoxes(Footing(CLIENT, agents, {ONE: 5, TWO: 5}, 5))) == "unsafe_none_single"


@pytest.mark.parametrize("backend", list(Backend))
@pytest.mark.parametrize("on_host", [True, False])
def test_what_the_warden_was_told_must_be_what_policy_says(backend: Backend, on_host: bool) -> None:
    measured = Measurement(7, 0, 2, True, (), 1, 1, 1000, "", on_host)
    if on_host is (backend is Backend.UNSAFE_NONE):
        check_ground(ONE, measured, backend)
        return
    with pytest.raises(Unavailable) as refused:
        check_ground(ONE, measured, backend)
    assert (refused.value.code, refused.value.remedy) == ("bare_host_differs", "run: bascule gateway restart")
