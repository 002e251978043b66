"""What a program pays that asks for a page through its box's way out, from proposal to outcome; of either backend.

All is in it that such a call costs: the gate, the box or the warm container, its network and its listener, curl's own
start, the proxy's judgement and its record on disk, the page. Between two calls the client waits as long as the proxy
has two connections of one box wait, and the wait is not measured.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from socket import socket

from bascule.core.canonical import Json
from bascule.egress.proxy import PACE_SECONDS
from bench.boxes import as_row, cross
from bench.house import Line, a_home, a_house, started
from bench.keeping import BUILD
from bench.measure import MILLISECONDS, CannotRun, Effort, Figures, Rival, Row, figures

CURL = "/usr/bin/curl"
_ROUNDS = 3


def row(backend: str, port: int, effort: Effort, prepare: Callable[[Path], None] = lambda _home: None) -> Iterator[Row]:
    """Yield the row of a backend.

    Args:
        backend: as policy names it.
        port: of a server on loopback that answers a GET with 4 KB.
        effort: how often.
        prepare: makes the home ready for the backend.

    Raises:
        CannotRun: there is no curl, no box can be made, or the answer is wrong.
    """
    if not os.access(CURL, os.X_OK):
        raise CannotRun(f"there is no {CURL}: apt-get install curl")
    address = f"http://localhost:{port}/"
    rules: Json = {"allowPrivate": [f"localhost:{port}"], "requestsPerMinute": 1_000_000, "maxResponseBytes": 1 << 30}
    sandbox: Mapping[str, Json] = {"backend": backend, "network": "proxy"}
    with a_home(BUILD, sandbox, egress={"defaults": rules}) as home:
        prepare(home)
        with started(home, _body(backend, address, effort)) as (line, _):
            heard = line.hear()
            if heard is None or "row" not in heard:
                raise CannotRun(heard["failed"] if heard else "the gateway ended")
            line.say(go=True)
        yield as_row(heard["row"], (Rival("the same program, no box and no proxy", _bare(address, effort)),))


def _body(backend: str, address: str, effort: Effort) -> Callable[[Path, socket, Line], None]:
    def body(home: Path, warden: socket, line: Line) -> None:
        asyncio.run(_measure(home, warden, line, (backend, address, effort)))

    return body


async def _measure(home: Path, warden: socket, line: Line, asked: tuple[str, str, Effort]) -> None:
    backend, address, effort = asked
    async with a_house(home, warden) as (house, _):
        rounds: list[Figures] = []
        await cross(house, "exec", command=f"curl -sSf {address}")
        for _ in range(_ROUNDS):
            times = []
            for _ in range(effort.n(60)):
                await asyncio.sleep(1.5 * PACE_SECONDS)
                began = time.perf_counter_ns()
                await cross(house, "exec", command=f"curl -sSf {address}")
                times.append(float(time.perf_counter_ns() - began))
            rounds.append(figures(times, MILLISECONDS))
        best = min(rounds, key=lambda each: each.p50)
        name = f"exec `curl` of 4 KB by its box's way out, {backend}"
        line.say(row=asdict(Row(name, "ms", best)) | {"rivals": ()})
        line.hear()


def _bare(address: str, effort: Effort) -> Figures:
    rounds = []
    for _ in range(_ROUNDS):
        times = []
        for _ in range(effort.n(60)):
            began = time.perf_counter_ns()
            done = subprocess.run(  # noqa: S603 -- one fixed program and an address of ours
                [CURL, "-sSf", address], capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=30
            )
            times.append(float(time.perf_counter_ns() - began))
            if len(done.stdout) != 4096:
                raise CannotRun(f"curl said {done.stderr[:200]!r}")
        rounds.append(figures(times, MILLISECONDS))
    return min(rounds, key=lambda each: each.p50)
