"""Every agent's boxes by the backend its policy names: implements :class:`bascule.core.ports.Boxes`, and its ``Pages``.

Stops: a call of an agent running in another backend's box than policy says, and a contained agent having a box made
for it by whoever only looks. Moving an agent is a change of one key.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bascule.core.box import BoxKey, PipelineRequest, PipelineResult, Standing
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import Backend
from bascule.core.ports import Files
from bascule.core.posture import Posture
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes
from bascule.sandboxes.docker.backend import DockerBoxes
from bascule.sandboxes.docker.record import FILE
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.unsafe_none.backend import UnsafeNoneBoxes


class RoutedBoxes:
    """Every backend over one warden; the bare host only where policy names it."""

    def __init__(self, footing: Footing) -> None:
        self._on = footing
        self._has_tidied = False
        self._contained: Callable[[AgentId], str] = lambda _agent: ""
        self._bubblewrap = BubblewrapBoxes(footing)
        bare = {name: rules for name, rules in footing.agents.items() if rules.sandbox.backend is Backend.UNSAFE_NONE}
        self._bare = UnsafeNoneBoxes(replace(footing, agents=bare)) if bare else None
        self.docker = DockerBoxes(footing)

    def heed(self, contained: Callable[[AgentId], str]) -> None:
        """Make no box for an agent that ``contained`` gives a reason for: asking, looking or measuring wakes no one."""
        self._contained = contained

    def _of(self, agent: AgentId) -> BubblewrapBoxes | DockerBoxes:
        rules = self._on.policy(agent)
        if rules.sandbox.backend is Backend.UNSAFE_NONE:
            if self._bare is None:
                raise Unavailable("unsafe_none_unnamed", f"{agent} was not on the bare host when the gateway started")
            return self._bare
        return self.docker if rules.sandbox.backend is Backend.DOCKER else self._bubblewrap

    @asynccontextmanager
    async def _making(self, agent: AgentId) -> AsyncIterator[BubblewrapBoxes | DockerBoxes]:
        """Yield an agent's backend for what may make a box.

        Whoever contains the agent while one is being made finds none to end: it is ended here.
        """
        why = self._contained(agent)
        if why:
            raise Unavailable("contained", f"{agent} is contained: {why}", f"run: bascule release {agent}")
        try:
            yield self._of(agent)
        finally:
            if self._contained(agent):
                await asyncio.shield(self.stop(agent))

    async def files(self, key: BoxKey, mounts: tuple[Mount, ...] = ()) -> Files:
        """See :class:`bascule.core.ports.Boxes`."""
        async with self._making(key.agent) as boxes:
            return await boxes.files(key, mounts)

    async def run(self, request: PipelineRequest) -> PipelineResult:
        """See :class:`bascule.core.ports.Boxes`."""
        async with self._making(request.key.agent) as boxes:
            return await boxes.run(request)

    async def text(self, agent: AgentId, content: bytes, charset: str) -> str:
        """See :class:`bascule.core.ports.Pages`."""
        async with self._making(agent) as boxes:
            return await boxes.text(agent, content, charset)

    async def look(self, agent: AgentId, paths: Sequence[str]) -> tuple[str, str, bytes]:
        """See :meth:`DockerBoxes.look`; the programs of other agents are those of this machine."""
        async with self._making(agent):
            return await self.docker.look(agent, paths)

    async def posture(self, key: BoxKey, *, fresh: bool = False) -> Posture:
        """See :class:`bascule.core.ports.Boxes`."""
        async with self._making(key.agent) as boxes:
            return await boxes.posture(key, fresh=fresh)

    async def stop(self, agent: AgentId | None) -> None:
        """See :class:`bascule.core.ports.Boxes`; one backend that cannot stop keeps no other from anything."""
        try:
            await self.docker.stop(agent)
        finally:
            for boxes in self._of_warden:
                await boxes.stop(agent)

    async def end(self, key: BoxKey) -> None:
        """See :class:`bascule.core.ports.Boxes`."""
        await self._of(key.agent).end(key)

    async def forget(self, key: BoxKey) -> None:
        """See :class:`bascule.core.ports.Boxes`; an agent that policy no longer has, has no box."""
        if self._contained(key.agent):
            await self.stop(key.agent)  # what forgets may make a file worker anew, which it gets no more
        elif key.agent in self._on.agents:
            await self._of(key.agent).forget(key)

    async def tidy(self) -> None:
        """Remove containers that a gateway which is gone left behind, or that were only half made.

        Raises:
            Unavailable: Docker does not answer, where policy names it.
        """
        if self._names_docker:
            await self.docker.tidy()
        elif not self._has_tidied:
            # Policy names Docker no longer, and a crash may have come in between. Once is enough.
            self._has_tidied = True
            if self._had_images():
                with contextlib.suppress(BasculeError):
                    await self.docker.tidy()

    def _had_images(self) -> bool:
        return any(Path(rules.layout.home, FILE).exists() for rules in self._on.agents.values())

    @property
    def _of_warden(self) -> tuple[BubblewrapBoxes, ...]:
        return (self._bubblewrap,) if self._bare is None else (self._bubblewrap, self._bare)

    @property
    def _names_docker(self) -> bool:
        return any(rules.sandbox.backend is Backend.DOCKER for rules in self._on.agents.values())

    async def prune(self) -> None:
        """End what policy does not keep any longer: unused too long, or too old."""
        for boxes in self._of_warden:
            await boxes.prune()
        await self.docker.prune()

    async def standing(self) -> tuple[Standing, ...]:
        """See :class:`bascule.core.ports.Boxes`; Docker is asked only where policy names it."""
        found = tuple([row for boxes in self._of_warden for row in await boxes.standing()])
        if self._names_docker:
            found += await self.docker.standing()
        return found
