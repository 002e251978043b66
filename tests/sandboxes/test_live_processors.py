"""A box keeps no more processors busy than policy says: by the kernel's own count of how often it held the box back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandboxes.boxed import KEY, ONE, Boxed, Ground, grounded, within

from bascule.core.confinement import Limits
from bascule.core.policy import SandboxPolicy
from bascule.linux.groups import parse_mounts, parse_own

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("boxes of both modes can be tried by root only", allow_module_level=True)

BUSY = "while :; do :; done"
TENTH = Limits(64 << 20, 16, 60, 60, 4096, 1 << 20, cpus=100)


@pytest.fixture(scope="module", params=["root", "rootless", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp(request.param) / "home", request.param) as made:
        yield made


def times_held_back(process: Path) -> int:
    """How often the kernel made a process's group wait; -1 if it is in a group that has no such count."""
    controllers, unified = parse_mounts(Path("/proc/self/mounts").read_text())
    own = parse_own((process / "cgroup").read_text())
    place = controllers["cpu"] + own["cpu"] if "cpu" in controllers else unified + own[""]
    try:
        said = dict(line.split() for line in Path(place, "cpu.stat").read_text().splitlines())
    except OSError:
        return -1
    return int(said.get("nr_throttled", -1))


def busy_processes(uid: int) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid and BUSY.encode() in (process / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    return found


def test_the_limit_is_read_back(ground: Ground) -> None:
    async def body(boxed: Boxed) -> int:
        await boxed.boxes.files(KEY)
        return (await boxed.boxes.posture(KEY)).cpus_limit

    has_controller = ground.mode != "rootless"
    assert within(ground, body) == (SandboxPolicy().limits.cpus if has_controller else 0)


def test_a_busy_program_is_held_back(tmp_path: Path) -> None:
    async def body(boxed: Boxed) -> int:
        task = asyncio.create_task(boxed.run("dash", "-c", BUSY, limits=TENTH))
        counts = [0]
        while not task.done() and max(counts) < 3:
            await asyncio.sleep(0.05)
            counts = [times_held_back(process) for process in busy_processes(boxed.ground.uids[ONE])] or [0]
        await boxed.boxes.stop(ONE)
        await asyncio.wait([task])
        return max(counts)

    with grounded(tmp_path / "home", "root") as made:
        assert within(made, body) >= 3
