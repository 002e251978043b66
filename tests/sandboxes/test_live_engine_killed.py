"""A real engine killed, frozen, filled up and brought back, in the middle of calls: refused with the reason, and back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandboxes.boxed import KEY, TWO, Boxed, Ground, grounded, policies, within
from tests.sandboxes.containing import docker
from tests.sandboxes.second_engine import SecondEngine, small_root

from bascule.core.box import BoxKey, PipelineRequest, ProgramRun
from bascule.core.errors import BasculeError
from bascule.core.ids import SessionKey
from bascule.host.programs import HostPrograms
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes
from bascule.sandboxes.docker.argv import LABEL_HOME, LABEL_PLACE
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.footing import Footing

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)

SECONDS = 15.0
"""Within which a call must be refused; a silent engine is asked twice, four seconds each."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_root(tmp_path_factory.mktemp("root") / "root.tar")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[tuple[SecondEngine, str]]:
    engine = SecondEngine(tmp_path_factory.mktemp("engine"))
    engine.start()
    try:
        yield engine, engine.load(root)
    finally:
        engine.end()


@pytest.fixture
def ground(tmp_path: Path, second: tuple[SecondEngine, str]) -> Iterator[Ground]:
    engine, image = second
    if not engine.answers():
        engine.start()
    with grounded(tmp_path / "home", "docker", str(engine.socket)) as made:
        engine.record(made.home, image)
        note = made.root() / "notes.md"
        note.write_text("needle\n")
        note.chmod(0o644)
        yield made


def containers(engine: SecondEngine, home: Path) -> list[str]:
    return [str(found["Id"]) for found in engine.engine.containers({LABEL_HOME: str(home)})]


async def reads(boxed: Boxed) -> bool:
    files = await boxed.boxes.files(KEY)
    return (await files.read("/workspace/notes.md", offset=0, limit=10)).content == b"needle\n"


async def beside(boxed: Boxed) -> bool:
    """Another agent's bubblewrap box over the same warden works."""
    boxes = BubblewrapBoxes(Footing(boxed.client, policies(boxed.ground.home), boxed.ground.uids, boxed.ground.gateway))
    key = BoxKey(TWO, SessionKey("agent:two:cli"))
    limits = policies(boxed.ground.home)[TWO].sandbox.limits
    program = ProgramRun(("true",), HostPrograms().look("true", "/nonexistent"))
    return (await boxes.run(PipelineRequest(key, (program,), b"", limits))).exits == (0,)


async def refused(call: object) -> str:
    begun = time.monotonic()
    with pytest.raises(BasculeError) as error:
        await call
    assert time.monotonic() - begun < SECONDS
    return error.value.code


async def begun(boxed: Boxed) -> tuple[asyncio.Future[object], str]:
    """A call under way, and the word by which its program is found."""
    word = f"600.{os.getpid()}{time.monotonic_ns() % 10**9}"
    running = asyncio.ensure_future(boxed.run("sleep", word))
    while not _runs(word):
        assert not running.done(), running.result()
        await asyncio.sleep(0.02)
    return running, word


def _runs(word: str) -> bool:
    return bool(subprocess.run(["/usr/bin/pgrep", "-f", f"sleep {word}"], check=False, capture_output=True).stdout)


def test_killed_while_a_call_runs(ground: Ground, second: tuple[SecondEngine, str]) -> None:
    engine, _ = second

    async def body(boxed: Boxed) -> tuple[bool, str, bool, str, bool, bool, int]:
        running, word = await begun(boxed)
        engine.kill()
        assert not engine.answers()
        others = await beside(boxed)
        first = await refused(running)
        gone = not _runs(word)
        again = await refused(boxed.boxes.files(KEY))
        assert await beside(boxed)
        engine.start()
        back = await reads(boxed)
        await docker(boxed).tidy()
        return others, first, gone, again, back, await beside(boxed), len(containers(engine, ground.home))

    found = within(ground, body)
    assert found == (True, "docker_unreachable", True, "docker_unreachable", True, True, 1)
    assert containers(engine, ground.home) == []


@pytest.mark.parametrize("busy", [True, False])
def test_frozen(ground: Ground, second: tuple[SecondEngine, str], busy: bool) -> None:
    engine, _ = second

    async def body(boxed: Boxed) -> tuple[str, bool, bool]:
        assert await reads(boxed)
        running = (await begun(boxed))[0] if busy else None
        docker(boxed)._watch._answered = float("-inf")  # as if the last word were some seconds old
        engine.freeze()
        try:
            waiting = asyncio.ensure_future(refused(boxed.boxes.files(KEY) if running is None else running))
            others = await beside(boxed)
            code = await waiting
        finally:
            engine.thaw()
        return code, others, await reads(boxed)

    assert within(ground, body) == ("docker_silent", True, True)
    assert containers(engine, ground.home) == []


def test_killed_while_a_container_is_made(ground: Ground, second: tuple[SecondEngine, str]) -> None:
    engine, _ = second

    async def body(boxed: Boxed) -> tuple[str, bool, int]:
        making = asyncio.ensure_future(refused(boxed.boxes.files(KEY)))
        while not containers(engine, ground.home):
            await asyncio.sleep(0)
        engine.kill()
        code = await making
        engine.start()
        await docker(boxed).tidy()
        assert containers(engine, ground.home) == []
        return code, await reads(boxed), len(containers(engine, ground.home))

    code, back, left = within(ground, body)
    assert code in {"docker_unreachable", "docker_refused", "docker_silent", "container_silent"}
    assert (back, left) == (True, 1)
    assert containers(engine, ground.home) == []


def test_what_was_half_made_goes_and_another_homes_stays(ground: Ground, second: tuple[SecondEngine, str]) -> None:
    engine, image = second

    def half(home: str, place: str) -> str:
        labels = {LABEL_HOME: home, LABEL_PLACE: place, "bascule.warden": "gone"}
        body = {"Image": image, "Cmd": ["/usr/bin/sleep", "1000"], "Labels": labels}
        return engine.engine.create(f"bascule-half-{place[:6]}", body)[0]

    async def body(boxed: Boxed) -> tuple[bool, bool, bool]:
        assert await reads(boxed)
        own = containers(engine, ground.home)
        ours, other = half(str(ground.home), "a" * 32), half(f"{ground.home}-other", "b" * 32)
        await docker(boxed).tidy()
        found = [engine.engine.inspect(one) is not None for one in (ours, other, *own)]
        engine.engine.remove(other)
        return tuple(found)

    assert within(ground, body) == (False, True, True)


def fill(path: Path) -> None:
    with open(path, "wb") as file:
        while True:
            file.write(bytes(1 << 20))


def test_its_disk_is_full(tmp_path: Path, root: Path) -> None:
    data = tmp_path / "engine" / "data"
    data.mkdir(parents=True)
    subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(data)], check=True)
    engine = SecondEngine(tmp_path / "engine")
    try:
        engine.start()
        image = engine.load(root)
        with grounded(tmp_path / "home", "docker", str(engine.socket)) as made:
            engine.record(made.home, image)
            (made.root() / "notes.md").write_text("needle\n")

            async def body(boxed: Boxed) -> tuple[bool, str, bool, bool]:
                before = await reads(boxed)
                await boxed.boxes.stop(KEY.agent)
                with pytest.raises(OSError, match="No space"):
                    fill(data / "full")
                code = await refused(boxed.boxes.files(KEY))
                others = await beside(boxed)
                (data / "full").unlink()
                return before, code, others, await reads(boxed)

            assert within(made, body) == (True, "docker_refused", True, True)
            assert [found["Id"] for found in Engine(str(engine.socket)).containers({})] == []
    finally:
        engine.end()
        subprocess.run(["/usr/bin/umount", "-l", str(data)], check=False, capture_output=True)
