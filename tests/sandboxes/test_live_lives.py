"""Containers through a session's end, an agent's stop and their own age; nothing of what was stays behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator

import pytest
from tests.sandboxes import daemon
from tests.sandboxes.boxed import KEY, ONE, Boxed, Ground, grounded, within
from tests.sandboxes.containing import configure, docker, python

from bascule.core.box import BoxKey
from bascule.core.confinement import Mount
from bascule.core.errors import Unavailable
from bascule.core.ids import SessionKey

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp("lives") / "home", "docker") as made:
        yield made
    assert daemon.containers(made.home) == []


STAYS = """
import os
libc = __import__('ctypes').CDLL(None)
programs = [open(f'/proc/{n}/cmdline').read().split(chr(0))[0] for n in os.listdir('/proc') if n.isdigit()]
print(sorted(os.listdir('/tmp')), os.listdir('/dev/shm'), sorted(os.environ), libc.shmget(4711, 4096, 0), sorted(programs))
"""
LINGER = """
import os, sys, time
for place in ('/tmp/left', '/dev/shm/left'): open(place, 'w').write(sys.argv[1])
os.environ['LEFT'] = sys.argv[1]
if os.fork() == 0: os.setsid()
time.sleep(600)
"""


def test_a_container_outlives_a_session_and_holds_nothing_of_it(ground: Ground) -> None:
    mark = f"linger-{os.getpid()}"

    def lingers() -> bytes:
        return subprocess.run(["/usr/bin/pgrep", "-f", f" {mark}$"], check=False, capture_output=True).stdout

    async def body(boxed: Boxed) -> tuple[bytes, list[str], list[str], bytes, bool, tuple[int, ...]]:
        files = await boxed.boxes.files(KEY)
        fresh = await python(boxed, STAYS)
        before = daemon.containers(ground.home)
        running = asyncio.ensure_future(python(boxed, LINGER, mark))
        while lingers().count(b"\n") < 2:
            await asyncio.sleep(0.02)
        await docker(boxed).forget(KEY)
        ended = await running
        after = daemon.containers(ground.home)
        found = await python(boxed, STAYS)
        again = await boxed.boxes.files(KEY)
        return fresh.stdout, before, after, found.stdout, again is not files, ended.exits

    fresh, before, after, found, replaced, ended = within(ground, body)
    assert (after, len(after)) == (before, 1)
    assert found == fresh
    assert b"left" not in found.lower()
    assert (replaced, ended, lingers()) == (True, (137,), b"")


def test_one_sessions_container_ends_alone(ground: Ground) -> None:
    other = BoxKey(ONE, SessionKey("agent:one:other"))

    async def body(boxed: Boxed) -> tuple[set[str], set[str]]:
        configure(boxed, per_session=True)
        await boxed.boxes.posture(other)
        await boxed.boxes.files(other)
        kept = set(daemon.containers(ground.home))
        await boxed.boxes.files(KEY)
        await boxed.boxes.end(KEY)
        return kept, set(daemon.containers(ground.home))

    kept, left = within(ground, body)
    assert (kept, len(kept)) == (left, 1)


def test_stopping_an_agent_ends_a_container_that_lives_for_one_call(ground: Ground) -> None:
    outside = Mount("/usr/lib/os-release")

    async def body(boxed: Boxed) -> tuple[int, int]:
        once = await boxed.boxes.files(KEY, (outside,))
        before = len(daemon.containers(ground.home))
        await boxed.boxes.stop(ONE)
        with pytest.raises(Unavailable):
            await once.read(outside.path, offset=0, limit=10)
        return before, len(daemon.containers(ground.home))

    assert within(ground, body) == (1, 0)


def test_a_container_whose_end_waits_for_a_call_is_ended_by_a_stop(ground: Ground) -> None:
    sleeping = "import time\nprint('on', flush=True)\ntime.sleep(60)"

    async def body(boxed: Boxed) -> tuple[tuple[int, ...], int, int]:
        await boxed.boxes.files(KEY)
        running = asyncio.ensure_future(python(boxed, sleeping))
        while not docker(boxed)._containers[ONE, ""].turn.locked():
            await asyncio.sleep(0.01)
        configure(boxed, workspace_access="ro")
        # Whoever needs the new one waits for the old one's turn, and may go away meanwhile.
        waiting = asyncio.ensure_future(boxed.boxes.files(KEY))
        await asyncio.sleep(0.2)
        waiting.cancel()
        await asyncio.wait((waiting,))
        before = len(daemon.containers(ground.home))
        await boxed.boxes.stop(ONE)
        left = len(daemon.containers(ground.home))
        return (await asyncio.wait_for(running, 20)).exits, before, left

    assert within(ground, body) == ((137,), 1, 0)


def test_what_is_left_of_a_stopped_container_costs_no_new_one(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[bool, int]:
        await boxed.boxes.files(KEY)
        old = docker(boxed)._containers[ONE, ""]
        await boxed.boxes.stop(ONE)
        await boxed.boxes.files(KEY)
        new = docker(boxed)._containers[ONE, ""]
        await docker(boxed)._clear(old)  # as the call does that ran in it
        return docker(boxed)._containers.get((ONE, "")) is new, len(daemon.containers(ground.home))

    assert within(ground, body) == (True, 1)
