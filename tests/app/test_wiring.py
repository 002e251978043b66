"""What a gateway does at its end when something it leans on is gone."""

from __future__ import annotations

import asyncio

import pytest

from bascule.app.wiring import end_boxes
from bascule.core.errors import Unavailable


class Boxes:
    def __init__(self, lost: str) -> None:
        self.lost = lost
        self.stopped: list[object] = []

    async def stop(self, agent: object) -> None:
        self.stopped.append(agent)
        if self.lost:
            raise Unavailable("docker_unreachable", self.lost)


@pytest.mark.parametrize("lost", ["", "the engine does not answer"])
def test_a_lost_engine_does_not_keep_a_gateway_from_ending_in_order(lost: str) -> None:
    boxes, said = Boxes(lost), list[str]()
    asyncio.run(end_boxes(boxes, said.append))  # type: ignore[arg-type] # only what the end asks of them
    assert boxes.stopped == [None]
    assert said == ([f"boxes may still be there: {lost}"] if lost else [])
