"""What a box may use up, how it ends, and that nothing is left; every attack first succeeds without the wall."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ordinary import until
from tests.sandboxes.boxed import KEY, ONE, TWO, Boxed, Ground, grounded, within

from bascule.core.box import BoxKey
from bascule.core.confinement import Limits
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import SessionKey, cli_session

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("boxes of both modes can be tried by root only", allow_module_level=True)

PYTHON = os.path.realpath("/usr/bin/python3")
PYTHON_LIBRARY = f"/usr/lib/{Path(PYTHON).name}"


@pytest.fixture(scope="module", params=["root", "rootless", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp(request.param) / "home", request.param) as made:
        note = made.root() / "notes.md"
        note.write_text("needle\n")
        note.chmod(0o644)
        yield made


def plain(*argv: str) -> subprocess.CompletedProcess[bytes]:
    """The same program without a box: the positive control."""
    return subprocess.run(argv, capture_output=True, check=False, timeout=20, stdin=subprocess.DEVNULL)


def seconds(ground: Ground, number: int) -> str:
    """A sleep nobody else on this machine is having, so that it can be looked for."""
    return str(100_000 + os.getpid() % 100_000 * 40 + number * 4 + len(ground.mode) % 4)


SHORT = Limits(64 << 20, 16, 20, 2, 4096, 1 << 20)


def test_endless_sleep_ends_with_the_wall(ground: Ground) -> None:
    found = within(ground, lambda boxed: boxed.run("sleep", "100", limits=Limits(64 << 20, 16, 20, 1, 4096, 1)))
    assert (found.exits, found.timed_out) == ((137,), True)


def test_endless_output_is_cut_and_ended(ground: Ground) -> None:
    found = within(ground, lambda boxed: boxed.run("yes", limits=SHORT))
    assert (len(found.stdout), found.truncated, found.exits, found.timed_out) == (4096, True, (137,), False)


def test_fork_bomb_is_bounded(ground: Ground) -> None:
    bomb = "n=0; while :; do sleep 50 & n=$((n+1)); echo $n; [ $n -gt 400 ] && exit; done"
    assert b"\n401\n" in plain("/bin/dash", "-c", bomb.replace("sleep 50", ":")).stdout
    words = ("dash", "-c", bomb)
    found = within(ground, lambda boxed: boxed.run(*words, needs=("/usr/bin/sleep",), limits=SHORT))
    started = [int(line) for line in found.stdout.split()]
    assert 0 < max(started) < 100
    assert b"401" not in found.stdout.split()


def test_memory_hog_is_bounded(ground: Ground) -> None:
    code = "b = bytearray(300 << 20); print(len(b))"
    assert plain(PYTHON, "-I", "-S", "-c", code).stdout == b"314572800\n"
    words = (PYTHON, "-I", "-S", "-c", code)
    found = within(ground, lambda boxed: boxed.run(*words, needs=(PYTHON_LIBRARY,), limits=SHORT))
    assert found.stdout == b""
    assert found.exits[0] != 0


def test_cpu_hog_is_bounded(ground: Ground) -> None:
    limits = Limits(64 << 20, 16, 1, 10, 4096, 1 << 20)
    found = within(ground, lambda boxed: boxed.run("dash", "-c", "while :; do :; done", limits=limits))
    assert (found.exits, found.timed_out) == ((137,), False)


def test_large_file_is_bounded(ground: Ground) -> None:
    words = ("dd", "if=/dev/zero", "of=workspace/big", "bs=1M", "count=8")
    found = within(ground, lambda boxed: boxed.run(*words, writable=True, limits=SHORT))
    place = ground.root() / "workspace" / "big"
    assert found.exits != (0,)
    assert place.stat().st_size <= 1 << 20
    place.unlink()


def test_nothing_is_left_of_a_call(ground: Ground) -> None:
    long = seconds(ground, 1)
    leave = f"(sleep {long} &) ; echo x > /tmp/left; echo gone"

    async def body(boxed: Boxed) -> tuple[bytes, bytes, bytes]:
        first = await boxed.run("dash", "-c", leave, needs=("/usr/bin/sleep",))
        second = await boxed.run("find", "/tmp", "/proc", "-maxdepth", "1", "-name", "[0-9l]*")
        return first.stdout, second.stdout, plain("/usr/bin/pgrep", "-fx", f"sleep {long}").stdout

    first, second, left = within(ground, body)
    assert (first, left) == (b"gone\n", b"")
    assert b"left" not in second


def test_worker_reads_writes_and_shows_its_posture(ground: Ground) -> None:
    async def body(boxed: Boxed) -> None:
        files = await boxed.boxes.files(KEY)
        assert (await files.read("/workspace/notes.md", offset=0, limit=100)).content == b"needle\n"
        await files.write("/workspace/workspace/made.md", b"made", append=False)
        posture = await boxed.boxes.posture(KEY)
        assert posture.problems == ()
        assert (posture.kernel_uid, posture.canary_denied) == (boxed.ground.uids[ONE], True)
        assert await boxed.boxes.files(KEY) is files

    within(ground, body)
    made = ground.root() / "workspace" / "made.md"
    assert (made.read_bytes(), made.stat().st_uid) == (b"made", ground.uids[ONE])
    made.unlink()


def test_a_sessions_first_question_makes_the_box_that_its_first_call_uses(ground: Ground) -> None:
    first = BoxKey(ONE, SessionKey("agent:one:first"))

    async def body(boxed: Boxed) -> tuple[int, int]:
        await boxed.boxes.stop(ONE)
        await boxed.boxes.posture(first)
        asked = len(await boxed.boxes.standing())
        await boxed.boxes.files(first)
        await boxed.boxes.posture(KEY)
        return asked, len(await boxed.boxes.standing())

    assert within(ground, body) == (1, 1)


def test_stop_ends_one_agents_boxes_and_no_others(ground: Ground) -> None:
    long = seconds(ground, 2)

    async def body(boxed: Boxed) -> tuple[tuple[int, ...], bool]:
        other = BoxKey(TWO, cli_session(TWO))
        beside = await boxed.boxes.files(other)
        sleeping = asyncio.create_task(boxed.run("sleep", long))
        while not plain("/usr/bin/pgrep", "-fx", f"/usr/bin/sleep {long}").stdout:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)  # for whoever made the box to have said so
        await boxed.boxes.stop(ONE)
        assert plain("/usr/bin/pgrep", "-fx", f"/usr/bin/sleep {long}").stdout == b""
        return (await sleeping).exits, await boxed.boxes.files(other) is beside

    assert within(ground, body) == ((137,), True)


def test_dead_worker_is_replaced(ground: Ground) -> None:
    async def body(boxed: Boxed) -> bool:
        first = await boxed.boxes.files(KEY)
        await boxed.kill_everything(ONE)
        with pytest.raises(Unavailable):
            await first.read("/workspace/notes.md", offset=0, limit=10)
        second = await boxed.boxes.files(KEY)
        return (await second.read("/workspace/notes.md", offset=0, limit=10)).content == b"needle\n"

    assert within(ground, body)


@pytest.mark.parametrize("mode", ["root", "rootless", "docker"])
@pytest.mark.parametrize("ending", ["gateway", "warden"])
def test_boxes_end_with_gateway_and_with_warden(tmp_path: Path, mode: str, ending: str) -> None:
    long = str(1_000_000 + os.getpid() * 8 + len(mode) % 4 * 2 + (ending == "warden"))
    pattern = f"/usr/bin/sleep {long}"

    def running() -> list[str]:
        return plain("/usr/bin/pgrep", "-fx", pattern).stdout.decode().split()

    async def body(boxed: Boxed) -> None:
        task = asyncio.create_task(boxed.run("sleep", long, limits=Limits(64 << 20, 16, 20, 50, 4096, 1)))
        while not running():
            await asyncio.sleep(0.02)
        if ending == "gateway":
            boxed.client.close()
            boxed.ground.socket.close()
        else:
            os.kill(warden_of(boxed.ground), 9)
        with pytest.raises(BasculeError):
            await boxed.boxes.files(KEY)
        task.cancel()
        await asyncio.wait([task])

    with grounded(tmp_path / "home", mode) as made:
        within(made, body)
        assert until(lambda: running() == []), running()


def warden_of(ground: Ground) -> int:
    """The warden's pid on the host: the oldest process that names the home in its command line."""
    found = plain("/usr/bin/pgrep", "-of", f"warden.process.*{ground.home}").stdout.split()
    return int(found[0])


def test_a_warden_short_of_descriptors_refuses_and_leaves_nothing_running(tmp_path: Path) -> None:
    async def attempt(boxed: Boxed) -> str:
        try:
            await boxed.run("sleep", "0")
        except BasculeError as refused:
            return refused.code
        return "ran"

    async def body(boxed: Boxed) -> list[str]:
        assert await attempt(boxed) == "ran"
        warden = warden_of(boxed.ground)
        before = resource.prlimit(warden, resource.RLIMIT_NOFILE)
        found = [""]
        for most in range(8, before[0]):
            resource.prlimit(warden, resource.RLIMIT_NOFILE, (most, before[1]))
            found.append(await attempt(boxed))
            if found[-1] == "ran":  # how many it takes changes with what the warden has ready for the next box
                break
        resource.prlimit(warden, resource.RLIMIT_NOFILE, before)
        return [*found, await attempt(boxed)]

    with grounded(tmp_path / "home", "root") as made:
        found = within(made, body)
        assert found[-1] == "ran"
        assert {"box_order", "ran"} <= set(found[:-1]), found
        words = ("/usr/bin/pgrep", "-U", str(made.uids[ONE]))
        assert until(lambda: plain(*words).stdout == b""), plain(*words).stdout
