"""Docker absent, hanging, stopped or dying in a call: refused with the reason, others go on, and it recovers by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandboxes import daemon
from tests.sandboxes.boxed import KEY, TWO, Boxed, Ground, grounded, policies, within

from bascule.core.box import BoxKey, PipelineRequest, ProgramRun
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import SessionKey
from bascule.host.programs import HostPrograms
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes
from bascule.sandboxes.docker.backend import DockerBoxes
from bascule.sandboxes.footing import Footing

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)

SECONDS = 15.0
"""Within which a refusal must come; the engine's first word is waited for four, the rest is for a busy machine."""


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Where the warden looks for an engine; a link leads to the real one."""
    path = tmp_path / "engine.sock"
    path.symlink_to(daemon.SOCKET)
    return path


@pytest.fixture
def ground(tmp_path: Path, socket_path: Path) -> Iterator[Ground]:
    with grounded(tmp_path / "home", "docker", str(socket_path)) as made:
        note = made.root() / "notes.md"
        note.write_text("needle\n")
        note.chmod(0o644)
        yield made


async def refused(boxed: Boxed) -> str:
    """The code with which a call is refused, soon."""
    begun = time.monotonic()
    with pytest.raises(BasculeError) as error:
        await boxed.boxes.files(KEY)
    assert time.monotonic() - begun < SECONDS
    return error.value.code


async def reads(boxed: Boxed) -> bool:
    files = await boxed.boxes.files(KEY)
    return (await files.read("/workspace/notes.md", offset=0, limit=10)).content == b"needle\n"


async def beside(boxed: Boxed) -> bool:
    """Another agent's bubblewrap box over the same warden still works."""
    boxes = BubblewrapBoxes(Footing(boxed.client, policies(boxed.ground.home), boxed.ground.uids, boxed.ground.gateway))
    found = HostPrograms().look("true", "/nonexistent")
    key = BoxKey(TWO, SessionKey("agent:two:cli"))
    limits = policies(boxed.ground.home)[TWO].sandbox.limits
    done = await boxes.run(PipelineRequest(key, (ProgramRun(("true",), found),), b"", limits))
    return done.exits == (0,)


def test_an_engine_that_is_absent_and_comes_back(ground: Ground, socket_path: Path) -> None:
    async def body(boxed: Boxed) -> tuple[str, bool, bool]:
        socket_path.unlink()
        code = await refused(boxed)
        others = await beside(boxed)
        socket_path.symlink_to(daemon.SOCKET)
        return code, others, await reads(boxed)

    assert within(ground, body) == ("docker_unreachable", True, True)


def test_an_engine_that_hangs_holds_up_nobody_else(ground: Ground, socket_path: Path) -> None:
    async def body(boxed: Boxed) -> tuple[str, bool, bool]:
        socket_path.unlink()
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(socket_path))
            silent.listen()
            asking = asyncio.ensure_future(refused(boxed))
            await asyncio.sleep(0.05)
            others = await beside(boxed)
            assert not asking.done()
            code = await asking
        socket_path.unlink()
        socket_path.symlink_to(daemon.SOCKET)
        return code, others, await reads(boxed)

    assert within(ground, body) == ("docker_silent", True, True)


def test_a_container_that_dies_in_a_call(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[str, bool, bool]:
        long = f"50.{os.getpid()}"
        running = asyncio.ensure_future(boxed.run("sleep", long))
        while not subprocess.run(
            ["/usr/bin/pgrep", "-fx", f"/usr/bin/sleep {long}"], check=False, capture_output=True
        ).stdout:
            await asyncio.sleep(0.02)
        begun = time.monotonic()
        daemon.kill_containers(ground.home)
        with pytest.raises(Unavailable) as error:
            await running
        assert time.monotonic() - begun < SECONDS
        return error.value.code, await beside(boxed), await reads(boxed)

    assert within(ground, body) == ("container_gone", True, True)


def test_a_container_that_dies_between_calls_costs_no_call(ground: Ground) -> None:
    async def body(boxed: Boxed) -> tuple[bool, tuple[int, ...], bool]:
        before = await reads(boxed)
        await boxed.kill_everything(KEY.agent)
        return before, (await boxed.run("true")).exits, await reads(boxed)

    assert within(ground, body) == (True, (0,), True)


def test_without_an_engine_stopping_still_ends_what_runs(ground: Ground, socket_path: Path) -> None:
    async def body(boxed: Boxed) -> None:
        await reads(boxed)
        assert len(daemon.containers(ground.home)) == 1
        socket_path.unlink()
        with pytest.raises(Unavailable):
            await boxed.boxes.stop(KEY.agent)
        while daemon.containers(ground.home):
            await asyncio.sleep(0.02)

    within(ground, body)
    assert daemon.containers(ground.home) == []


def running(ground: Ground) -> list[int]:
    """The host's numbers of the processes of the first agent's account in this ground's container."""
    (container,) = daemon.containers(ground.home)
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):
            found += [int(path.parent.name)] if container in path.read_text() else []
    return found


def are_dead(handles: list[int], seconds: float) -> bool:
    """Whether all of these end within some time."""
    end = time.monotonic() + seconds
    return all(select.select([handle], [], [], max(0.0, end - time.monotonic()))[0] for handle in handles)


def test_what_hears_nobody_is_ended_without_an_engine(ground: Ground, socket_path: Path) -> None:
    async def body(boxed: Boxed) -> tuple[int, bool, bool]:
        await reads(boxed)
        found = running(ground)
        handles = [os.pidfd_open(pid) for pid in found]
        try:
            for handle in handles:
                signal.pidfd_send_signal(handle, signal.SIGSTOP)
            assert isinstance(boxed.boxes, DockerBoxes)
            boxed.boxes._containers[KEY.agent, ""].line.close()
            survives = not are_dead(handles, 0.2)  # it cannot hear that the line is gone
            socket_path.unlink()
            with pytest.raises(Unavailable):
                await boxed.boxes.stop(KEY.agent)
            return len(found), survives, are_dead(handles, 5)
        finally:
            for handle in handles:
                os.close(handle)
            socket_path.symlink_to(daemon.SOCKET)

    assert within(ground, body) == (2, True, True)
