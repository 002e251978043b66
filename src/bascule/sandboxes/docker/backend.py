"""The Docker backend: implements :class:`bascule.core.ports.Boxes` over a warden that speaks to the engine.

Stops: a container being used whose configuration policy has left behind, whose worker failed its self-test, in which
something of an earlier call may be left, or that anybody but the agent's own account answers from. One call at a time
runs programs in a container. Does not decide what may run.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from bascule.core.box import BoxKey, PipelineRequest, PipelineResult, Standing
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId, cli_session
from bascule.core.paths import shown
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Files
from bascule.core.posture import Posture
from bascule.sandboxes.attendance import Attendance, check_ways
from bascule.sandboxes.bound import bound, standing_mounts
from bascule.sandboxes.bubblewrap.pipeline import Pipeline
from bascule.sandboxes.docker.leftovers import clear_places, is_lost, remove_unknown
from bascule.sandboxes.docker.line import ContainerLine
from bascule.sandboxes.docker.place import Place
from bascule.sandboxes.docker.shelf import Shelf
from bascule.sandboxes.docker.wanting import Wanting, is_bridged
from bascule.sandboxes.docker.watch import EngineWatch
from bascule.sandboxes.docker.working import Scope, Working, roster, turn_of, with_tools
from bascule.sandboxes.files import WorkerFiles, connect
from bascule.sandboxes.fitness import Unfit, held_against, roots
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.hello import Hello, Setup
from bascule.sandboxes.keeping import is_due
from bascule.sandboxes.oneshot import OneShot
from bascule.sandboxes.pages import PageReader
from bascule.sandboxes.warden.client import Measurement
from bascule.sandboxes.warden.container_requests import Contain
from bascule.sandboxes.warden.stage import BOX_CANARY

_CONNECT_SECONDS = 8.0
_START_SECONDS = 15.0
_OPERATION_SECONDS = 30.0


class DockerBoxes:
    """All containers of one gateway."""

    def __init__(self, footing: Footing) -> None:
        self._on = footing
        self._client = footing.client
        self._containers: dict[Scope, Working] = {}
        self._alone: list[Working] = []
        self._making: set[str] = set()
        self._shelves: dict[str, Shelf] = {}
        self._watch = EngineWatch(self._client.containers, footing.clock)
        # Gone with the last that waits in it: sessions come and go for as long as a gateway lives.
        self._turns: WeakValueDictionary[Scope, asyncio.Lock] = WeakValueDictionary()
        self._client.when_gone(self._let_go)

    async def files(self, key: BoxKey, mounts: tuple[Mount, ...] = ()) -> Files:
        """Return the container's warm file worker; with mounts, one in a container that ends after its first operation.

        Raises:
            Unavailable: it cannot start, or its self-test failed.
        """
        if mounts:
            alone = await self._start(key, mounts, await self._client.tools(key.agent))
            try:
                found = await self._worker(alone, mounts)
            except BaseException:
                await asyncio.shield(self._end(alone))
                raise
            return OneShot(found, lambda: self._end(alone))
        known = self._containers.get(self._scope(key))
        # What tools/ has become matters to programs, and they are asked for anew; here it is mounted read-only.
        tools = None if known is None else known.measured.tools
        async with turn_of(lambda: self._standing(key, tools)) as container:
            return await self._worker(container, ())

    async def run(self, request: PipelineRequest) -> PipelineResult:
        """Run a pipeline in the agent's container; with granted paths, in one of its own.

        Raises:
            Unavailable: the container or a program in it cannot be had; nothing ran.
        """
        rules = self._policy(request.key.agent)
        check_ways(request, self._on.way if self._has_way(request.key.agent) else None, bridged=is_bridged(rules))
        mounts = tuple(dict.fromkeys(mount for run in request.runs for mount in run.mounts))
        tools = await self._client.tools(request.key.agent)
        root = f"{rules.layout.agent_root}/tools/"
        if tools and any(path.startswith(root) for run in request.runs for path in (run.program.path, *run.needs)):
            raise Unavailable("tools_unsafe", "tools/ is not mounted, for an agent could change it")
        if mounts:
            alone = await self._start(request.key, mounts, tools)
            try:
                return await self._watch.hold(Pipeline(alone.line, bound(request, rules)).run())
            finally:
                await asyncio.shield(self._end(alone))
        async with turn_of(lambda: self._standing(request.key, tools)) as container:
            try:
                return await self._watch.hold(Pipeline(container.line, bound(request, rules)).run())
            finally:
                container.used = self._on.clock()
                await asyncio.shield(self._clear(container))

    async def look(self, agent: AgentId, paths: Sequence[str]) -> tuple[str, str, bytes]:
        """Return real path, SHA-256 and first bytes of the first executable file of these in the agent's image.

        Raises:
            Unavailable: no container can be had.
        """
        container = await self._standing(BoxKey(agent, cli_session(agent)))
        return await container.line.look(paths)

    async def posture(self, key: BoxKey, *, fresh: bool = False) -> Posture:
        """Return the self-test of the session's container, or the agent's newest, or a new one.

        Raises:
            Unavailable: none can be had.
        """
        newest = next((made for scope, made in reversed(self._containers.items()) if scope[0] == key.agent), None)
        known = self._containers.get(self._scope(key), newest)
        if not fresh and known is not None and known.line.alive and known.posture is not None:
            await self._must_answer()
            return known.posture
        whose = known.key if known is not None else key
        async with turn_of(lambda: self._standing(whose)) as container:
            try:
                await self._worker(container, ())
            except Unfit as unfit:
                return unfit.posture
        if container.posture is None:
            raise ContainerLine.gone()
        return container.posture

    async def text(self, agent: AgentId, content: bytes, charset: str) -> str:
        """See :class:`bascule.core.ports.Pages`; the page's reader takes the file worker's place, and ends with it."""
        async with turn_of(lambda: self._standing(BoxKey(agent, cli_session(agent)))) as container:
            try:
                reader = await PageReader.meet(await self._begin_worker(container), BOX_CANARY, _START_SECONDS)
                try:
                    found = self._held(reader.hello, container)
                    if found.problems:
                        raise Unfit(found)
                    return await reader.text(content, charset)
                finally:
                    reader.close()
            finally:
                container.used = self._on.clock()
                await asyncio.shield(self._clear(container))

    async def stop(self, agent: AgentId | None) -> None:
        """End every container of one agent, or of all; returns when they are gone."""
        chosen = [scope for scope in self._containers if agent in (None, scope[0])]
        alone = [container for container in self._alone if agent in (None, container.key.agent)]
        for container in (*(self._containers.pop(scope) for scope in chosen), *alone):
            self._close(container)
        self._alone = [container for container in self._alone if container not in alone]
        if (chosen or alone) and self._client.alive:
            await self._client.discharge(agent)

    async def end(self, key: BoxKey) -> None:
        """End the container a session uses, and those it has for granted paths; returns when they are gone."""
        scope = self._scope(key)
        found = [container for known, container in self._containers.items() if known == scope]
        for container in (*found, *(alone for alone in self._alone if alone.key == key)):
            await self._end(container)

    async def forget(self, key: BoxKey) -> None:
        """Leave nothing of a session in its container, which stays: no program, no file worker, no file.

        A program of another session that runs there now is killed with the rest, for nobody could tell them apart.
        """
        for container in [container for container in self._alone if container.key == key]:
            await self._end(container)
        kept = self._containers.get(self._scope(key))
        if kept is None or not kept.line.alive:
            return
        await self._clear(kept)
        async with kept.turn:
            if kept.files is not None:
                kept.files.close()
                with contextlib.suppress(BasculeError):
                    # In its place, for a worker that was taken over would not end by itself.
                    await self._worker(kept, ())
            await self._clear(kept)

    async def tidy(self) -> None:
        """Remove containers of this home that none of ours are: a gone gateway's, and half-made ones.

        Raises:
            Unavailable: Docker does not answer.
        """
        standing = (*self._containers.values(), *self._alone)
        known = {*self._making, *(container.place for container in standing)}
        for home in {rules.layout.home for rules in self._on.agents.values()}:
            clear_places(Path(home) / "state" / "boxes", known)
        await remove_unknown(self._client, known)

    async def _must_answer(self) -> None:
        """Let nothing go on in containers whose engine is gone; one that is merely slow costs this call alone."""
        try:
            await self._watch.must_answer()
        except Unavailable as error:
            if is_lost(error):
                for scope in list(self._containers):
                    self._close(self._containers.pop(scope))
            raise

    async def prune(self) -> None:
        """End what policy does not keep any longer: unused too long, or too old."""
        now = self._on.clock()
        for scope, container in list(self._containers.items()):
            due = is_due(self._policy(scope[0]).sandbox.docker, container.made, container.used, now)
            if due and not container.turn.locked():
                await self._end(container)

    async def standing(self) -> tuple[Standing, ...]:
        """Return every container of this home that Docker knows.

        Raises:
            Unavailable: Docker does not answer.
        """
        return roster(await self._client.containers(), self._containers, self._on.clock())

    # -- containers

    def _policy(self, agent: AgentId) -> AgentPolicy:
        return self._on.policy(agent)

    def _scope(self, key: BoxKey) -> Scope:
        return key.agent, key.session if self._policy(key.agent).sandbox.docker.per_session else ""

    async def _standing(self, key: BoxKey, tools: str | None = None) -> Working:
        """Return the container of a scope as policy and ``tools/`` now want it, made if need be."""
        scope = self._scope(key)
        unsafe = await self._client.tools(key.agent) if tools is None else tools
        async with self._turns.setdefault(scope, asyncio.Lock()):
            found = self._containers.get(scope)
            if (
                found is not None
                and found.line.alive
                and found.digest == self._wanting(key.agent, unsafe).digest(self._policy(key.agent))
            ):
                await self._must_answer()
                found.used = self._on.clock()
                return found
            if found is not None:
                async with found.turn:  # known till then, so that whoever stops the agent finds what runs in it
                    await asyncio.shield(self._end(found))
            made = self._containers[scope] = await self._start(key, (), unsafe)
            return made

    def _wanting(self, agent: AgentId, tools: str) -> Wanting:
        rules = self._policy(agent)
        home = rules.layout.home
        image = self._shelves.setdefault(home, Shelf(Path(home))).id_of(rules.sandbox.docker.image)
        return Wanting(image, self._on.uids[agent], self._has_way(agent), not tools)

    def _has_way(self, agent: AgentId) -> bool:
        return self._on.way is not None and self._policy(agent).sandbox.network == "proxy"

    async def _start(self, key: BoxKey, mounts: tuple[Mount, ...], tools: str) -> Working:
        rules = self._policy(key.agent)
        wanting = self._wanting(key.agent, tools)
        digest = wanting.digest(rules)
        with Place(Path(rules.layout.home) / "state" / "boxes") as place:
            request = wanting.request(rules, place.name, digest, mounts)
            self._making.add(place.name)
            try:
                measured, end_way = await self._contain(request)
                self._watch.answered()
                try:
                    connection = await place.accept(self._on.uids[key.agent], _CONNECT_SECONDS)
                except BaseException:
                    end_way()
                    await asyncio.shield(self._discharge(key.agent, place.name))
                    raise
            finally:
                self._making.discard(place.name)
        line = ContainerLine.open(connection, f"{rules.layout.home}/shared", rules.layout.agent_root)
        line.at_end(end_way)
        now = self._on.clock()
        made = Working(key, place.name, digest, line, with_tools(measured, tools), now, now)
        if mounts:
            self._alone.append(made)
        return made

    async def _contain(self, request: Contain) -> tuple[Measurement, Callable[[], None]]:
        """Have a container made; return what the kernel says of it, and what ends the answering at its way out."""
        if self._on.way is None or not request.proxy:
            return (await self._client.contain(request)).measured, lambda: None
        with Attendance(self._on.way, request.agent) as attendance:
            measured = (await self._client.contain(request, attendance.descriptor)).measured
            try:
                return measured, attendance.begin()
            except BaseException:
                await asyncio.shield(self._discharge(request.agent, request.place))
                raise

    async def _worker(self, container: Working, mounts: tuple[Mount, ...]) -> WorkerFiles:
        if container.files is not None and not container.files.dead:
            return container.files
        rules = self._policy(container.key.agent)
        ours = await self._begin_worker(container)
        given = standing_mounts(rules, mounts)
        setup = Setup(roots(rules, given, writable=rules.sandbox.workspace_access == "rw"), BOX_CANARY)
        files = await connect(
            ours,
            setup,
            seconds=_START_SECONDS,
            operation_seconds=_OPERATION_SECONDS,
            name=lambda box: shown(box, rules.layout),
        )
        found = self._held(files.hello, container)
        if found.problems:
            files.close()
            raise Unfit(found)
        container.files, container.posture = files, found
        return files

    def _held(self, hello: Hello, container: Working) -> Posture:
        agent = container.key.agent
        uids = self._on.uids[agent], self._on.gateway_uid
        return held_against(hello, container.measured, *uids, bridged=is_bridged(self._policy(agent)))

    async def _begin_worker(self, container: Working) -> socket.socket:
        """Start a worker in place of the one there may be; return our end of the line to it."""
        if container.files is not None:
            container.files.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                await container.line.worker(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        return ours

    async def _clear(self, container: Working) -> None:
        """Leave nothing of a call; a container that cannot show it is not used again."""
        outfit = self._policy(container.key.agent).sandbox.outfit
        try:
            clean, worker = await container.line.clear([path for path, _ in outfit.scratches])
        except Unavailable:
            clean, worker = False, False
        if not worker and container.files is not None:
            container.files.close()
        if not clean:
            await self._end(container)

    def _let_go(self) -> None:
        """End every container without the warden's help: nothing runs that nobody could look at or remove."""
        for container in (*self._containers.values(), *self._alone):
            container.line.close()

    def _close(self, container: Working) -> None:
        if container.files is not None:
            container.files.close()
        container.line.end()

    async def _end(self, container: Working) -> None:
        """Let go of a container, which ends it, and see to it that Docker has none of it left."""
        self._alone = [each for each in self._alone if each is not container]
        self._containers = {scope: each for scope, each in self._containers.items() if each is not container}
        self._close(container)
        await self._discharge(container.key.agent, container.place)

    async def _discharge(self, agent: AgentId, place: str) -> None:
        with contextlib.suppress(BasculeError):  # an engine that is gone: its resident ended with the line
            await self._client.discharge(agent, place)
