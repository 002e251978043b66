"""Every agent's boxes by its backend, and none for an agent that is contained, whenever that came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
from tests.sandboxes.boxed import KEY, ONE, TWO, policies

from bascule.core.box import BoxKey
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import Backend
from bascule.sandboxes.boxes import RoutedBoxes
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.warden.client import WardenClient


class Quiet:
    """Stands for a warden that only listens."""

    containers = None

    def when_gone(self, then: object) -> None:
        """Nobody goes."""


class Slow:
    """A backend whose boxes stand once ``done`` is set, and whose every box is known."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.asked = asyncio.Event()
        self.standing: list[AgentId] = []
        self.forgotten: list[BoxKey] = []

    async def _make(self, agent: AgentId) -> str:
        self.asked.set()
        await self.done.wait()
        self.standing.append(agent)
        return "made"

    async def files(self, key: BoxKey, _mounts: object = ()) -> str:
        return await self._make(key.agent)

    async def posture(self, key: BoxKey, *, fresh: bool = False) -> str:
        del fresh
        return await self._make(key.agent)

    async def text(self, agent: AgentId, _content: bytes, _charset: str) -> str:
        return await self._make(agent)

    async def look(self, agent: AgentId, _paths: object) -> str:
        return await self._make(agent)

    async def stop(self, agent: AgentId | None) -> None:
        self.standing = [each for each in self.standing if agent not in (None, each)]

    async def end(self, key: BoxKey) -> None:
        await self.stop(key.agent)

    async def forget(self, key: BoxKey) -> None:
        self.forgotten.append(key)


Making = Callable[[RoutedBoxes], Coroutine[Any, Any, object]]


def slow(backend: Backend) -> tuple[RoutedBoxes, Slow]:
    agents = policies(Path("/srv/home"), backend=backend)
    boxes = RoutedBoxes(Footing(cast(WardenClient, Quiet()), agents, {ONE: 7, TWO: 8}, 5))
    one = Slow()
    boxes._bubblewrap = boxes.docker = cast(Any, one)
    return boxes, one


MAKING: dict[str, Making] = {
    "files": lambda boxes: boxes.files(KEY),
    "posture": lambda boxes: boxes.posture(KEY),
    "text": lambda boxes: boxes.text(ONE, b"", ""),
    "look": lambda boxes: boxes.look(ONE, ()),
}


@pytest.mark.parametrize("backend", [Backend.BUBBLEWRAP, Backend.DOCKER])
@pytest.mark.parametrize("making", MAKING.values(), ids=MAKING)
def test_a_box_that_is_being_made_does_not_outlive_containment(backend: Backend, making: Making) -> None:
    async def main() -> None:
        boxes, backed = slow(backend)
        contained: dict[AgentId, str] = {}
        boxes.heed(lambda agent: contained.get(agent, ""))
        backed.done.set()
        assert await making(boxes) == "made"  # without anybody containing it, it stands
        assert backed.standing == [ONE]
        await boxes.stop(None)
        backed.done.clear()
        backed.asked.clear()
        asking = asyncio.ensure_future(making(boxes))
        await backed.asked.wait()
        contained[ONE] = "a test"
        await boxes.stop(ONE)
        backed.done.set()
        await asking
        assert backed.standing == []
        with pytest.raises(Unavailable) as refused:
            await making(boxes)
        assert refused.value.code == "contained"

    asyncio.run(main())


def test_a_contained_agents_boxes_can_be_ended_and_its_sessions_forgotten() -> None:
    async def main() -> None:
        boxes, backed = slow(Backend.DOCKER)
        backed.done.set()
        await boxes.files(KEY)
        await boxes.forget(KEY)
        assert backed.forgotten == [KEY]
        boxes.heed(lambda _agent: "a test")
        await boxes.end(KEY)
        assert backed.standing == []
        backed.standing.append(ONE)
        # What forgets may make a file worker anew, which a contained agent gets no more.
        await boxes.forget(KEY)
        assert (backed.standing, backed.forgotten) == ([], [KEY])
        with pytest.raises(Unavailable):
            await boxes.files(KEY)

    asyncio.run(main())
