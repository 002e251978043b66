"""A pipeline over a simulated warden: what the real one cannot be made to do on demand."""

from __future__ import annotations

import asyncio
import os

from bascule.core.box import BoxKey, PipelineRequest, ProgramRun
from bascule.core.confinement import Limits
from bascule.core.ids import AgentId, main_session
from bascule.core.plan import Program, ProgramKind
from bascule.sandboxes.bubblewrap.pipeline import Pipeline
from bascule.sandboxes.warden.client import Exit, RunningBox

AGENT = AgentId("one")
YES = Program("yes", "/usr/bin/yes", ProgramKind.NATIVE, "a" * 64)
LIMITS = Limits(64 << 20, 16, 20, 30, 4096, 1 << 20)


class Warden:
    """Answers only after the program has said more than the limit, and ends a box when it is told to kill it."""

    def __init__(self) -> None:
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.killed: list[int] = []

    async def run(self, _request, streams):
        os.set_blocking(streams[1], False)
        os.write(streams[1], b"y\n" * 8192)
        while not self.heard:
            await asyncio.sleep(0)
        return RunningBox(7, 0, 0, self.exit)

    async def kill(self, number):
        self.killed.append(number)
        if not self.exit.done():
            self.exit.set_result(Exit(137))

    heard = False


def test_output_that_overflows_before_the_box_has_a_name_still_ends_it():
    async def attempt():
        warden = Warden()
        request = PipelineRequest(BoxKey(AGENT, main_session(AGENT)), (ProgramRun(("yes",), YES),), b"", LIMITS)
        pipeline = Pipeline(warden, request)
        running = asyncio.ensure_future(pipeline.run())
        while not any(collector.truncated for collector in pipeline._collectors):
            await asyncio.sleep(0)
        warden.heard = True
        return await asyncio.wait_for(running, 60), warden.killed

    result, killed = asyncio.run(attempt())
    assert (len(result.stdout), result.truncated, result.timed_out, result.exits) == (4096, True, False, (137,))
    assert killed == [7]
