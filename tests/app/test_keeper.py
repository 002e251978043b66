"""Boxes are made ready, let go and swept, beside everything else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.builders import agent_policy

from bascule.app.keeper import Keeper
from bascule.core.box import BoxKey
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import AgentPolicy, Policy

NOBODY = Unavailable("docker_unreachable", "no Docker engine", "start it")


class Boxes:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing: dict[str, BasculeError] = {}

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.failing:
            raise self.failing[what]

    async def files(self, key: BoxKey, mounts: object = ()) -> None:
        self._do(key.session)

    async def prune(self) -> None:
        self._do("prune")

    async def tidy(self) -> None:
        self._do("tidy")


def agent(name: str, *, warm: bool) -> AgentPolicy:
    rules = agent_policy()
    return replace(rules, id=AgentId(name), sandbox=replace(rules.sandbox, warm=warm))


POLICY = Policy(
    "v", {AgentId(name): agent(name, warm=name != "cold") for name in ("web", "stopped", "cold")}, AgentId("web")
)


def round_of(boxes: Boxes, logged: list[str] | None = None, rounds: int = 1) -> Keeper:
    keeper = Keeper(POLICY, boxes, [].append if logged is None else logged.append)

    async def body() -> None:
        for _ in range(rounds):
            await keeper.round(lambda name: "bad" if name == "stopped" else "")

    asyncio.run(body())
    return keeper


def test_only_what_policy_wants_warm_is_made_and_never_for_a_contained_agent() -> None:
    boxes = Boxes()
    assert round_of(boxes).problems() == ()
    assert boxes.done == ["tidy", "prune", "agent:web:main"]


def test_what_fails_is_told_tried_again_and_forgotten_when_it_works() -> None:
    boxes, logged = Boxes(), []
    boxes.failing = {"tidy": NOBODY, "agent:web:main": NOBODY}
    keeper = round_of(boxes, logged, rounds=2)
    assert [problem["code"] for problem in keeper.problems()] == ["docker_unreachable", "box_not_ready"]
    assert all("no Docker engine" in problem["message"] for problem in keeper.problems())
    assert len(logged) == 1
    boxes.failing = {}
    asyncio.run(keeper.round(lambda _: ""))
    assert keeper.problems() == ()
    assert "agent:stopped:main" in boxes.done


def test_failing_to_prune_keeps_nothing_from_being_made_ready() -> None:
    boxes = Boxes()
    boxes.failing = {"prune": NOBODY}
    assert round_of(boxes).problems() == ()
    assert boxes.done[-1] == "agent:web:main"


def test_rounds_go_on_until_cancelled() -> None:
    boxes = Boxes()
    keeper = Keeper(POLICY, boxes, [].append)

    async def body() -> None:
        task = asyncio.ensure_future(keeper.keep(lambda _: ""))
        while "agent:web:main" not in boxes.done:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()

    asyncio.run(body())
