"""One pipeline: a box for each program, pipes between them, output collected, everything gone at the end.

Stops: half a pipeline running because the other half could not be made: where there are several boxes, none starts its
program before all of them stand, nor before somebody answers at their ways out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bascule.core.box import PipelineRequest, PipelineResult, ProgramRun
from bascule.core.confinement import Network
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.plan import ProgramKind
from bascule.core.ports import WayOut
from bascule.sandboxes.attendance import Attendance
from bascule.sandboxes.bubblewrap.streams import Collector, Feeder
from bascule.sandboxes.warden.client import Exit, RunningBox
from bascule.sandboxes.warden.messages import RunProgram

_GRACE_SECONDS = 5.0
"""Beyond the wall limit, which the warden keeps; then the gateway kills by itself."""

_MOST_PROGRAMS = 16


@dataclass(slots=True)
class _Descriptors:
    """Descriptors that are the gateway's only until the boxes have them."""

    held: list[int] = field(default_factory=list)

    def pipe(self) -> tuple[int, int]:
        """Make a pipe; both ends are closed by :meth:`close`."""
        ends = os.pipe2(os.O_CLOEXEC)
        self.held += ends
        return ends

    def null(self) -> int:
        """Open ``/dev/null`` both ways."""
        self.held.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        return self.held[-1]

    def keep(self, descriptor: int) -> int:
        """Give one up to its new owner."""
        self.held.remove(descriptor)
        return descriptor

    def close(self) -> None:
        """Close what nobody kept."""
        while self.held:
            os.close(self.held.pop())


class Hands(Protocol):
    """What starts and kills programs: a warden, or a container's resident."""

    async def run(self, request: RunProgram, streams: Sequence[int]) -> RunningBox:
        """Run a program on streams that stay the caller's; raises :class:`Unavailable`."""

    async def kill(self, box: int) -> None:
        """Kill one; its exit follows. Raises :class:`Unavailable`."""

    def gone(self) -> Unavailable:
        """What it means that these hands are gone."""


class Pipeline:
    """Runs once. ``run`` returns or raises with nothing of it left."""

    def __init__(self, client: Hands, request: PipelineRequest, way: WayOut | None = None) -> None:
        """Run ``request`` by ``client``; ``way`` answers for each box with a network of its own, None for none such."""
        if not 1 <= len(request.runs) <= _MOST_PROGRAMS:
            raise Malformed("pipeline_length", f"a pipeline has 1 to {_MOST_PROGRAMS} programs")
        self._client = client
        self._request = request
        self._way = way
        self._boxes: list[RunningBox] = []
        self._descriptors = _Descriptors()
        self._kills: set[asyncio.Task[None]] = set()
        self._feeder: Feeder | None = None
        self._collectors: list[Collector] = []
        self._go: int | None = None

    async def run(self) -> PipelineResult:
        """Run it.

        Raises:
            Unavailable: a box could not be made; no program ran.
        """
        try:
            await self._start()
            exits = await self._finish()
        except Unavailable as error:
            await asyncio.shield(self._kill_and_wait())
            if error.code == "box_failed":
                raise self._explained() from None
            raise
        except BaseException:
            await asyncio.shield(self._kill_and_wait())
            raise
        finally:
            self._descriptors.close()
            for stream in (*self._collectors, *((self._feeder,) if self._feeder else ())):
                stream.close()
        stdout, stderr = self._collectors
        if any(done.problem for done in exits):
            gone = self._client.gone()
            raise gone if any(done.problem == gone.code for done in exits) else self._explained()
        return PipelineResult(
            tuple(done.status for done in exits),
            bytes(stdout.content),
            bytes(stderr.content),
            truncated=stdout.truncated or stderr.truncated,
            timed_out=any(done.timed_out for done in exits),
        )

    def _explained(self) -> Unavailable:
        """A box that did not come up, with bubblewrap's own first words."""
        errors = self._collectors[1]
        errors.drain()
        told = bytes(errors.content[:200]).decode("utf-8", "replace").strip().splitlines()
        detail = f": {ascii(told[0])[1:-1]}" if told else ""
        return Unavailable("box_failed", f"a box did not come up{detail}", "see: bascule sandbox probe")

    async def _start(self) -> None:
        out_read, out_write = self._descriptors.pipe()
        err_read, err_write = self._descriptors.pipe()
        limit = self._request.limits.output_bytes
        self._collectors = [
            Collector(self._descriptors.keep(end), limit, self._kill_soon) for end in (out_read, err_read)
        ]
        source = self._input()
        block = None
        if len(self._request.runs) > 1 or self._has_ways():
            block, self._go = self._descriptors.pipe()
        last = len(self._request.runs) - 1
        starts = []
        for index, run in enumerate(self._request.runs):
            following, sink = self._descriptors.pipe() if index < last else (-1, out_write)
            starts.append(self._start_one(run, source, sink, err_write, block))
            source = following
        # All at once; each either stands or has failed before anything is said of any.
        ends = await asyncio.gather(*starts, return_exceptions=True)
        failures = [end for end in ends if isinstance(end, BaseException)]
        if failures:
            raise failures[0]
        self._boxes = [end for end in ends if isinstance(end, RunningBox)]
        # Closing every copy lets readers see the end, and lets waiting boxes go.
        self._descriptors.close()
        if any(collector.truncated for collector in self._collectors):
            # It said too much before the warden's answer had named it, so nothing could be killed then.
            self._kill_soon()

    def _input(self) -> int:
        if not self._request.stdin:
            return self._descriptors.null()
        reading, writing = self._descriptors.pipe()
        self._feeder = Feeder(self._descriptors.keep(writing), self._request.stdin)
        return reading

    async def _start_one(self, run: ProgramRun, source: int, sink: int, errors: int, block: int | None) -> RunningBox:
        """Start one box, which from then on is among those that are killed if anything fails."""
        out = self._descriptors.null() if run.drop_stdout else sink
        if run.merge_stderr:
            errors = out
        elif run.drop_stderr:
            errors = self._descriptors.null()
        streams = [source, out, errors, *(() if block is None else (block,))]
        if self._way is None or run.network is not Network.PROXY:
            box = await self._client.run(program_request(run, self._request), streams)
            self._boxes.append(box)
            return box
        with Attendance(self._way, self._request.key.agent) as attendance:
            streams.append(attendance.descriptor)
            box = await self._client.run(program_request(run, self._request), streams)
            self._boxes.append(box)
            end = attendance.begin()
        # However it ends, and whether or not anybody still waits for it.
        box.exit.add_done_callback(lambda _: end())
        return box

    def _has_ways(self) -> bool:
        return self._way is not None and any(run.network is Network.PROXY for run in self._request.runs)

    async def _finish(self) -> list[Exit]:
        try:
            async with asyncio.timeout(self._request.limits.wall_seconds + _GRACE_SECONDS):
                exits = [await box.exit for box in self._boxes]
        except TimeoutError:
            await self._kill_and_wait()
            exits = [Exit(done.status, "", timed_out=True) for done in [await box.exit for box in self._boxes]]
        for collector in self._collectors:
            await collector.end
        return exits

    def _kill_soon(self) -> None:
        task = asyncio.ensure_future(self._kill())
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    async def _kill(self) -> None:
        for box in self._boxes:
            if not box.exit.done():
                with contextlib.suppress(BasculeError):
                    await self._client.kill(box.number)

    async def _kill_and_wait(self) -> None:
        await self._kill()
        for box in self._boxes:
            await box.exit


def program_request(run: ProgramRun, request: PipelineRequest) -> RunProgram:
    """Return what the warden is asked for one program.

    Raises:
        Malformed: a program that was not found, or is one file under many names.
    """
    program = run.program
    if program.kind not in {ProgramKind.NATIVE, ProgramKind.SCRIPT}:
        raise Malformed("program_not_runnable", f"{program.asked[:100]!r} is not one program in a file of its own")
    return RunProgram(
        0,
        request.key.agent,
        run.argv,
        program.path,
        program.sha256,
        program.kind,
        program.interpreter,
        run.needs,
        run.writable,
        run.mounts,
        request.limits,
        proxy=run.network is Network.PROXY,
        bridge=run.network is Network.ANY,
        bare=run.bare,
        outfit=run.outfit,
    )
