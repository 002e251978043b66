"""A pipeline over a simulated warden: what the real one cannot be made to do on demand."""

from __future__ import annotations

import asyncio
import os

from bascule.core.box import BoxKey, PipelineRequest, ProgramRun
from bascule.core.confinement import Limits
from bascule.core.errors import Unavailable
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


class Crowd:
    """Answers nobody before all have asked, then the last first; refuses those it is told to."""

    def __init__(self, count: int, refused: frozenset[int] = frozenset()) -> None:
        self.count, self.refused = count, refused
        self.asked: list[str] = []
        self.boxes: dict[int, asyncio.Future[Exit]] = {}
        self.killed: list[int] = []
        self.released_early: list[int] = []
        self.ends: list[asyncio.Future[None]] = []

    async def run(self, request, streams):
        number = len(self.asked)
        self.asked.append(request.argv[1])
        while len(self.asked) < self.count:
            await asyncio.sleep(0)
        for _ in range(self.count - number):
            await asyncio.sleep(0)
        if number in self.refused:
            raise Unavailable("box_order", f"no box {number}")
        self.boxes[number] = asyncio.get_running_loop().create_future()
        self.ends.append(asyncio.ensure_future(self._end(number, os.dup(streams[3]))))
        return RunningBox(number, 0, 0, self.boxes[number])

    async def _end(self, number, waits):
        os.set_blocking(waits, False)
        while not self.boxes[number].done():
            try:
                assert os.read(waits, 1) == b""
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            if len(self.boxes) < self.count:
                self.released_early.append(number)
            self.boxes[number].set_result(Exit(40 + number))
        os.close(waits)

    async def kill(self, number):
        self.killed.append(number)
        self.boxes[number].set_result(Exit(137))


def crowded(count, refused=frozenset()):
    async def attempt():
        crowd = Crowd(count, refused)
        runs = tuple(ProgramRun(("yes", str(each)), YES) for each in range(count))
        request = PipelineRequest(BoxKey(AGENT, main_session(AGENT)), runs, b"", LIMITS)
        try:
            return crowd, await asyncio.wait_for(Pipeline(crowd, request).run(), 60)
        except Unavailable as error:
            return crowd, error
        finally:
            await asyncio.gather(*crowd.ends)

    return asyncio.run(attempt())


def test_boxes_are_asked_for_together_and_none_starts_before_all_stand():
    crowd, result = crowded(4)
    assert crowd.asked == ["0", "1", "2", "3"]
    assert list(crowd.boxes) == [3, 2, 1, 0]
    assert (crowd.released_early, crowd.killed) == ([], [])
    assert result.exits == (40, 41, 42, 43)


def test_those_that_stand_are_ended_when_another_cannot_be_made():
    crowd, error = crowded(4, frozenset({1}))
    assert (error.code, error.message) == ("box_order", "no box 1")
    assert sorted(crowd.killed) == [0, 2, 3]
    assert crowd.released_early == []
