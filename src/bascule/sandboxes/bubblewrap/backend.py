"""The bubblewrap backend: implements :class:`bascule.core.ports.Boxes` over a warden.

Stops: a file worker being used that did not pass its self-test, a dead one being asked again, and a box of a contained
agent outliving ``stop``. Does not decide what may run: that was decided before anything gets here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from weakref import WeakValueDictionary

from bascule.core.box import BoxKey, PipelineRequest, PipelineResult, Standing
from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.core.paths import shown
from bascule.core.policy import AgentPolicy, Backend
from bascule.core.ports import Files
from bascule.core.posture import Posture
from bascule.sandboxes.attendance import check_ways
from bascule.sandboxes.bound import bound, is_bare, standing_mounts
from bascule.sandboxes.bubblewrap.pipeline import Pipeline
from bascule.sandboxes.files import WorkerFiles, connect
from bascule.sandboxes.fitness import Unfit, check_ground, held_against, roots
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.hello import Hello, Setup
from bascule.sandboxes.keeping import is_due
from bascule.sandboxes.oneshot import OneShot
from bascule.sandboxes.pages import PageReader
from bascule.sandboxes.warden.client import Measurement, RunningBox
from bascule.sandboxes.warden.messages import StartWorker
from bascule.sandboxes.warden.stage import BOX_CANARY

_START_SECONDS = 10.0
_WORN = 0.5
"""Which part of its processor time a file worker may have used up and still be given an operation."""
_OPERATION_SECONDS = 30.0


@dataclass(slots=True)
class _Worker:
    files: WorkerFiles
    box: RunningBox
    posture: Posture
    made: float
    used: float
    cpu_seconds: int

    @property
    def usable(self) -> bool:
        return not self.files.dead and not self.box.exit.done()

    @property
    def worn(self) -> bool:
        """True if the kernel might end it in its next operation, for it has a limit over its whole life."""
        return self.files.worn(self.cpu_seconds * _WORN)


class BubblewrapBoxes:
    """All boxes of one gateway."""

    BACKEND = Backend.BUBBLEWRAP
    """What policy calls the boxes made here."""

    def __init__(self, footing: Footing) -> None:
        self._on = footing
        self._client = footing.client
        self._workers: dict[BoxKey, _Worker] = {}
        # Gone with the last that waits in it: sessions come and go for as long as a gateway lives.
        self._turns: WeakValueDictionary[BoxKey, asyncio.Lock] = WeakValueDictionary()

    async def files(self, key: BoxKey, mounts: tuple[Mount, ...] = ()) -> Files:
        """Return the session's warm file worker; with mounts, one that ends after its first operation.

        Raises:
            Unavailable: it cannot start, or its self-test failed.
        """
        if mounts:
            worker = await self._start(key, mounts)
            return OneShot(worker.files, lambda: self._end(worker.files, worker.box))
        return (await self._warm(key)).files

    async def run(self, request: PipelineRequest) -> PipelineResult:
        """Run a pipeline, each program in its own fresh box.

        Raises:
            Unavailable: a box could not be made; nothing ran.
        """
        policy = self._policy(request.key.agent)
        check_ways(request, self._on.way)
        return await Pipeline(self._client, bound(request, policy), self._on.way).run()

    async def posture(self, key: BoxKey, *, fresh: bool = False) -> Posture:
        """Return the self-test of the session's worker, the agent's newest, or a new one; ``fresh`` measures again.

        Raises:
            Unavailable: no box can be made, or it went while it was measured.
        """
        newest = (worker for running, worker in reversed(self._workers.items()) if running.agent == key.agent)
        own = filter(None, (self._workers.get(key),))
        worker = next((worker for worker in (*own, *newest) if worker.usable), None)
        if worker is not None:
            if fresh:
                measured = await self._client.measure(worker.box.number)
                worker.posture = self._judge(key.agent, worker.files.hello, measured)
            return worker.posture
        try:
            return (await self._warm(key)).posture
        except Unfit as unfit:
            return unfit.posture

    async def text(self, agent: AgentId, content: bytes, charset: str) -> str:
        """See :class:`bascule.core.ports.Pages`; each page has a box of its own, which ends with it."""
        policy = self._policy(agent)
        ours, box = await self._box(StartWorker(0, agent, False, (), policy.sandbox.limits))  # noqa: FBT003 -- a record
        try:
            reader = await PageReader.meet(ours, BOX_CANARY, _START_SECONDS)
            try:
                found = self._judge(agent, reader.hello, await self._client.measure(box.number))
                if found.problems:
                    raise Unfit(found)
                return await reader.text(content, charset)
            finally:
                reader.close()
        finally:
            await asyncio.shield(self._end(None, box))

    async def stop(self, agent: AgentId | None) -> None:
        """End every box of one agent, or of all; returns when nothing of them is left."""
        for key in [key for key in self._workers if agent in (None, key.agent)]:
            self._workers.pop(key).files.close()
        try:
            await self._client.stop(agent)
        except Unavailable as error:
            if error.code != "warden_gone":  # then its boxes are gone too: the kernel ends its whole namespace
                raise

    async def end(self, key: BoxKey) -> None:
        """End a session's file worker; returns when nothing of it is left."""
        worker = self._workers.pop(key, None)
        if worker is not None:
            await self._end(worker.files, worker.box)

    async def forget(self, key: BoxKey) -> None:
        """End every box of the session's agent: a program that runs now may have been started by it."""
        await self.stop(key.agent)

    async def prune(self) -> None:
        """End the file workers that policy does not keep any longer, and let go of those that have ended."""
        for key, worker in list(self._workers.items()):
            kept = self._policy(key.agent).sandbox.docker
            if not worker.usable or is_due(kept, worker.made, worker.used, self._on.clock()):
                await self.end(key)

    async def standing(self) -> tuple[Standing, ...]:
        """Return the file workers that are warm."""
        now, today = self._on.clock(), time.time()
        return tuple(
            Standing(
                f"worker-{worker.box.number}", key.agent, self.BACKEND.value, "running", today - (now - worker.made),
                session=key.session, idle=now - worker.used,
            )
            for key, worker in self._workers.items()
            if worker.usable
        )  # fmt: skip

    def _policy(self, agent: AgentId) -> AgentPolicy:
        return self._on.policy(agent)

    async def _warm(self, key: BoxKey) -> _Worker:
        async with self._turns.setdefault(key, asyncio.Lock()):
            worker = self._workers.get(key)
            if worker is None or not worker.usable or worker.worn:
                if worker is not None:
                    await self._end(worker.files, worker.box)
                worker = self._workers[key] = await self._start(key, ())
            worker.used = self._on.clock()
            return worker

    async def _start(self, key: BoxKey, mounts: tuple[Mount, ...]) -> _Worker:
        policy = self._policy(key.agent)
        writable = policy.sandbox.workspace_access == "rw"
        mounts = standing_mounts(policy, mounts)
        request = StartWorker(0, key.agent, writable, mounts, policy.sandbox.limits, is_bare(policy))
        ours, box = await self._box(request)
        try:
            setup = Setup(roots(policy, mounts, writable=writable), BOX_CANARY)
            files = await connect(
                ours,
                setup,
                seconds=_START_SECONDS,
                operation_seconds=_OPERATION_SECONDS,
                name=lambda box: shown(box, policy.layout),
            )
        except BaseException:
            await asyncio.shield(self._end(None, box))
            raise
        try:
            found = self._judge(key.agent, files.hello, await self._client.measure(box.number))
        except BaseException:
            await asyncio.shield(self._end(files, box))
            raise
        if found.problems:
            await asyncio.shield(self._end(files, box))
            raise Unfit(found)
        return _Worker(files, box, found, self._on.clock(), self._on.clock(), policy.sandbox.limits.cpu_seconds)

    async def _box(self, request: StartWorker) -> tuple[socket.socket, RunningBox]:
        """Start a worker's box; return our end of the line to it, with the box."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                return ours, await self._client.start(request, theirs.fileno())
        except BaseException:
            ours.close()
            raise

    def _judge(self, agent: AgentId, hello: Hello, measured: Measurement) -> Posture:
        """Hold what the worker says of itself against what the warden measured from outside.

        Raises:
            Unavailable: the warden gives the agent's programs something else than policy says.
        """
        check_ground(agent, measured, self.BACKEND)
        return held_against(hello, measured, self._on.uids[agent], self._on.gateway_uid)

    async def _end(self, files: WorkerFiles | None, box: RunningBox) -> None:
        if files is not None:
            files.close()
        with contextlib.suppress(BasculeError):
            await self._client.kill(box.number)
        await box.exit
