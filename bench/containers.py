"""Group ``docker``: the same gate as in group ``gate``, with the agent's boxes in a container.

The child is the gateway, the parent measures what only root sees: memory, and the end of the last process. Both read
one monotonic clock. What Docker's own program and API take is measured in the same run, on the same image.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from socket import socket
from typing import Any

from bascule.app.wiring import House
from bascule.core.ids import AgentId
from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.record import FILE, Image, write
from bascule.sandboxes.warden.config import engine_socket
from bench import dockers, others, outward, ways
from bench.boxes import FILE as NOTES
from bench.boxes import SIZE, as_row, cross, starts
from bench.house import AGENT, Line, a_home, a_house, started
from bench.keeping import BUILD
from bench.measure import MILLISECONDS, CannotRun, Effort, Rival, Row, awaits, figures

_DEATH_SECONDS = 10.0


def rows(effort: Effort) -> Iterator[Row]:
    """Yield the rows of the Docker backend.

    Raises:
        CannotRun: no engine, no image, or no container can be made here; the reason is the gateway's own.
    """
    path, image = _engine()
    beside = {
        "start": dockers.starting(path, image, effort),
        "exec": dockers.executing(path, image, effort),
        "": (),
    }
    with a_home(BUILD, {"backend": "docker"}) as home:
        _record(home, image)
        with started(home, _body(effort)) as (line, uid):
            yield from _heard(line, uid, beside, dockers.killing(path, image, effort))
    with ways.serving() as (port, _):
        yield from outward.row("docker", port, effort, lambda home: _record(home, image))


def _record(home: Path, image: str) -> None:
    (home / FILE).write_text(json.dumps(write({DEFAULT_IMAGE: Image(image, "bench")})), "utf-8")
    (home / FILE).chmod(0o644)


def _engine() -> tuple[str, str]:
    path = engine_socket(os.environ.get("DOCKER_HOST", ""))
    found = Engine(path).image(DEFAULT_IMAGE)
    if found is None:
        raise CannotRun(f"Docker has no image {DEFAULT_IMAGE}: scripts/engine builds it")
    return path, str(found["Id"])


def _heard(line: Line, uid: int, beside: dict[str, tuple[Rival, ...]], killing: tuple[Rival, ...]) -> Iterator[Row]:
    """Yield the child's rows, then what was measured here while it waited."""
    memory: list[float] = []
    shims: list[float] = []
    ends: list[float] = []
    gone: list[float] = []
    while (heard := line.hear()) is not None:
        if "failed" in heard:
            raise CannotRun(heard["failed"])
        if "row" in heard:
            yield as_row(heard["row"], beside[heard["beside"]])
        elif "memory" in heard:
            memory.append(others.memory_of(uid))
            shims.append(others.memory_in(others.processes_called("containerd-shim", heard["memory"])))
        else:
            dead, said = _watched(line, uid)
            ends.append(float(dead - said["began"]))
            gone.append(float(said["gone"] - said["began"]))
        line.say(go=True)
    yield Row("docker: memory of a warm file worker and its resident, PSS", "MB", figures(memory, 1e6), 14)
    yield Row("docker: the engine's own shim beside them, PSS", "MB", figures(shims, 1e6))
    ending = figures(ends, MILLISECONDS)
    yield Row("docker: contain, until the last process is dead", "ms", ending, 150, rivals=killing)
    yield Row("docker: contain, until Docker has nothing left of it", "ms", figures(gone, MILLISECONDS))


def _watched(line: Line, uid: int) -> tuple[int, dict[str, Any]]:
    """Let the child stop its boxes; return when their last process was dead, and what the child says."""
    handles = [os.pidfd_open(pid) for pid in others.processes_of(uid)]
    if not handles:
        raise CannotRun("there is no process to end")
    line.say(go=True)
    left = dict.fromkeys(handles)
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    while left:
        ended = poll.poll(_DEATH_SECONDS * 1000)
        if not ended:
            raise CannotRun("a process did not end")
        for handle, _ in ended:
            poll.unregister(handle)
            left.pop(handle)
            os.close(handle)
    dead = time.perf_counter_ns()
    said = line.hear()
    if said is None or "began" not in said:
        raise CannotRun(str(said))
    return dead, said


def _body(effort: Effort) -> Callable[[Path, socket, Line], None]:
    def body(home: Path, warden: socket, line: Line) -> None:
        asyncio.run(_measure(home, warden, line, effort))

    return body


async def _measure(home: Path, warden: socket, line: Line, effort: Effort) -> None:
    async with a_house(home, warden) as (house, _):
        async for row, beside in _rows(house, effort):
            line.say(row=asdict(row) | {"rivals": ()}, beside=beside)
            line.hear()
        for _ in range(effort.n(10)):
            await cross(house, "read", path=NOTES)
            (standing,) = await house.boxes.standing()
            line.say(memory=standing.id)
            line.hear()
            line.say(stopping=True)
            line.hear()
            began = time.perf_counter_ns()
            await house.boxes.stop(AgentId(AGENT))
            line.say(began=began, gone=time.perf_counter_ns())
            line.hear()


async def _rows(house: House, effort: Effort) -> AsyncIterator[tuple[Row, str]]:
    cold, _ = await starts(house, effort.n(20))
    yield Row("docker: file worker, cold start with its self-test", "ms", cold, 250), "start"
    await cross(house, "write", path=NOTES, content="x" * SIZE)
    read = await awaits(lambda: cross(house, "read", path=NOTES), effort.n(100), per_unit=MILLISECONDS, rounds=5)
    yield Row("docker: read 4 KB through the whole gate", "ms", read, 1), "exec"
    run = await awaits(lambda: cross(house, "exec", command="true"), effort.n(50), per_unit=MILLISECONDS, rounds=5)
    yield Row("docker: exec `true` through the whole gate, cleared up", "ms", run), "exec"
