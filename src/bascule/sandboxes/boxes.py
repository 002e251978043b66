"""Every agent's boxes by the backend its policy names: implements :class:`bascule.core.ports.Boxes`, and its ``Pages``.

Stops: a call of an agent running in another backend's box than policy says, and a contained agent having a box made
for it by whoever only looks. Moving an agent is a change of one key.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bascule.core.box import BoxKey, PipelineRequest, PipelineResult, Standing
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import AgentPolicy, Backend
from bascule.core.ports import Files, WayOut
from bascule.core.posture import Posture
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes
from bascule.sandboxes.docker.backend import DockerBoxes
from bascule.sandboxes.docker.record import FILE
from bascule.sandboxes.unsafe_none.backend import UnsafeNoneBoxes
from bascule.sandboxes.warden.client import WardenClient


class RoutedBoxes:
    """Every backend over one warden; the bare host only where policy names it."""

    def __init__(  # noqa: PLR0913 -- each is a neighbour of its own
        self,
        client: WardenClient,
        agents: Mapping[AgentId, AgentPolicy],
        uids: Mapping[AgentId, int],
        gateway_uid: int,
        way: WayOut | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use ``client``; ``uids`` are kernel uids as the host counts; ``way`` answers for boxes with a way out.

        ``clock`` counts seconds.
        """
        self._agents = agents
        self._has_tidied = False
        self._contained: Callable[[AgentId], str] = lambda _agent: ""
        self._bubblewrap = BubblewrapBoxes(client, agents, uids, gateway_uid, way, clock=clock)
        bare = {name: rules for name, rules in agents.items() if rules.sandbox.backend is Backend.UNSAFE_NONE}
        self._bare = UnsafeNoneBoxes(client, bare, uids, gateway_uid, way, clock=clock) if bare else None
        self.docker = DockerBoxes(client, agents, uids, gateway_uid, way, clock=clock)

    def heed(self, contained: Callable[[AgentId], str]) -> None:
        """Make no box for an agent that ``contained`` gives a reason for: asking, looking or measuring wakes no one."""
        self._contained = contained

    def _of(self, agent: AgentId) -> BubblewrapBoxes | DockerBoxes:
        why = self._contained(agent)
        if why:
            raise Unavailable("contained", f"{agent} is contained: {why}", f"run: bascule release {agent}")
        rules = self._agents.get(agent)
        if rules is None:
            raise Unavailable("agent_without_account", f"agent {agent} has no account here", "restart the gateway")
        if rules.sandbox.backend is Backend.UNSAFE_NONE:
            if self._bare is None:
                raise Unavailable("unsafe_none_unnamed", f"{agent} was not on the bare host when the gateway started")
            return self._bare
        return self.docker if rules.sandbox.backend is Backend.DOCKER else self._bubblewrap

    async def files(self, key: BoxKey, mounts: tuple[Mount, ...] = ()) -> Files:
        """See :class:`bascule.core.ports.Boxes`."""
        return await self._of(key.agent).files(key, mounts)

    async def run(self, request: PipelineRequest) -> PipelineResult:
        """See :class:`bascule.core.ports.Boxes`."""
        return await self._of(request.key.agent).run(request)

    async def text(self, agent: AgentId, content: bytes, charset: str) -> str:
        """See :class:`bascule.core.ports.Pages`."""
        return await self._of(agent).text(agent, content, charset)

    async def look(self, agent: AgentId, paths: Sequence[str]) -> tuple[str, str, bytes]:
        """See :meth:`DockerBoxes.look`; the programs of other agents are those of this machine."""
        self._of(agent)
        return await self.docker.look(agent, paths)

    async def posture(self, key: BoxKey, *, fresh: bool = False) -> Posture:
        """See :class:`bascule.core.ports.Boxes`."""
        return await self._of(key.agent).posture(key, fresh=fresh)

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
        if key.agent in self._agents:
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
        return any(Path(rules.layout.home, FILE).exists() for rules in self._agents.values())

    @property
    def _of_warden(self) -> tuple[BubblewrapBoxes, ...]:
        return (self._bubblewrap,) if self._bare is None else (self._bubblewrap, self._bare)

    @property
    def _names_docker(self) -> bool:
        return any(rules.sandbox.backend is Backend.DOCKER for rules in self._agents.values())

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
