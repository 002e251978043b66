"""Keeping boxes while a gateway lives: ready where policy says so, let go when nobody needs them, swept after a crash.

Stops: an agent's first words waiting for a container that could have stood, what nobody uses staying, what a dead
gateway left staying. Works beside everything else and delays nothing: what fails stands in the status, and is tried
again a minute later. Does not keep a contained agent's box.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from bascule.core.box import BoxKey
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError
from bascule.core.ids import AgentId, main_session
from bascule.core.policy import Policy
from bascule.core.ports import Files
from bascule.service.shapes import ErrorBody

ROUND_SECONDS = 60.0
"""Between two rounds; policy counts in hours and days."""

FIRST_SECONDS = 4.0
"""After a round in which something failed; twice as long each time it goes on failing."""


class Kept(Protocol):
    """Boxes that can be kept."""

    async def files(self, key: BoxKey, mounts: tuple[Mount, ...] = ()) -> Files:
        """Make a session's box, if it does not stand. Raises :class:`BasculeError`."""

    async def prune(self) -> None:
        """End what policy keeps no longer. Raises :class:`BasculeError`."""

    async def tidy(self) -> None:
        """Remove what was left behind. Raises :class:`BasculeError`."""


class Keeper:
    """Goes its rounds in one task; see :meth:`keep`."""

    def __init__(self, policy: Policy, boxes: Kept, log: Callable[[str], None]) -> None:
        """Keep ``boxes`` as ``policy`` says; ``log`` takes one line."""
        self._policy = policy
        self._boxes = boxes
        self._log = log
        self._engine: BasculeError | None = None
        self._cold: dict[AgentId, BasculeError] = {}

    def problems(self) -> tuple[ErrorBody, ...]:
        """Return what the last round could not do, for the status."""
        found: list[ErrorBody] = []
        if self._engine is not None:
            said = f"warn: containers cannot be looked after: {self._engine.message}"
            found.append(ErrorBody(code=self._engine.code, message=said, remedy=self._engine.remedy))
        for agent, error in sorted(self._cold.items()):
            said = f"warn: the box of {agent} is not ready: {error.message}"
            found.append(ErrorBody(code="box_not_ready", message=said, remedy=f"bascule sandbox probe {agent}"))
        return tuple(found)

    async def keep(self, contained: Callable[[AgentId], str]) -> None:
        """Go round until cancelled; ``contained`` returns why an agent is, or the empty string."""
        pause = FIRST_SECONDS
        while True:
            await self.round(contained)
            pause = min(ROUND_SECONDS, 2 * pause) if self.problems() else FIRST_SECONDS
            await asyncio.sleep(pause if self.problems() else ROUND_SECONDS)

    async def round(self, contained: Callable[[AgentId], str]) -> None:
        """Sweep, let go, make ready."""
        self._engine = await self._tried(self._boxes.tidy())
        with contextlib.suppress(BasculeError):
            await self._boxes.prune()
        warm = [agent for agent, rules in self._policy.agents.items() if rules.sandbox.warm and not contained(agent)]
        # One after another, so that a gateway that starts does not make every box at once.
        cold = {agent: await self._tried(self._warm(agent)) for agent in warm}
        for agent, error in cold.items():
            if error is not None and agent not in self._cold:
                self._log(f"the box of {agent} is not ready: {error.message}")
        self._cold = {agent: error for agent, error in cold.items() if error is not None}

    async def _warm(self, agent: AgentId) -> None:
        await self._boxes.files(BoxKey(agent, main_session(agent)))

    @staticmethod
    async def _tried(work: Awaitable[None]) -> BasculeError | None:
        try:
            await work
        except BasculeError as error:
            return error
        return None
