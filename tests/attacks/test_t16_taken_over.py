"""T16: what answers from inside a box has been taken over: it says garbage, half of it, too much, something else, nothing.

Its box is real, and so is what it says. The control: a lie that makes sense is believed, so it is the subverted one that
speaks. All else ends the conversation within its time; the next call has a fresh box, and other agents notice nothing.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.subverted import subverted
from tests.sandboxes import daemon
from tests.sandboxes.boxed import KEY, ONE, TWO, Boxed, Ground, grounded, within

from bascule.core.box import BoxKey
from bascule.core.errors import BasculeError
from bascule.core.ids import cli_session
from bascule.sandboxes.docker.line import ContainerLine
from bascule.sandboxes.warden.config import WardenConfig, config_here

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("boxes of both kinds can be tried by root only", allow_module_level=True)

SECONDS = 1.0
"""How long each answer may take here."""

ENOUGH = 20.0
THEIRS = BoxKey(TWO, cli_session(TWO))
WORKER_MODES = ("junk", "half", "huge", "more", "many", "code", "gone", "talk", "mute")
RESIDENT_MODES = ("junk", "half", "huge", "othr", "twce", "deep", "exit", "gift", "talk", "shut", "quit", "mute")


@pytest.fixture(scope="module", params=["root", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp(request.param)
    place.chmod(0o755)
    code = subverted(place / "code")

    def told(*words: Any, **options: Any) -> WardenConfig:
        return replace(config_here(*words, **options), worker_code=code)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.sandboxes.boxed.config_here", told)
        standing = grounded(place / "home", request.param)
        made = standing.__enter__()
    with ExitStack() as ending:
        ending.push(standing)
        (made.root() / "notes.md").write_text("needle")
        (made.root() / "notes.md").chmod(0o644)
        yield made


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bascule.sandboxes.bubblewrap.backend._OPERATION_SECONDS", SECONDS)
    monkeypatch.setattr("bascule.sandboxes.docker.backend._OPERATION_SECONDS", SECONDS)
    monkeypatch.setattr("bascule.sandboxes.pages._READ_SECONDS", SECONDS)


async def came(asked: Awaitable[object]) -> str:
    """What came of it: the code of the refusal, or what was answered."""
    try:
        return str(await asyncio.wait_for(asked, ENOUGH))
    except BasculeError as refused:
        return refused.code


async def read(boxed: Boxed, name: str, key: BoxKey = KEY) -> str:
    files = await boxed.boxes.files(key)
    return (await files.read(f"/workspace/{name}", offset=0, limit=100)).content.decode()


async def beside(boxed: Boxed, bad: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[str]]) -> list[str]:
    """What comes of something bad, and of another agent's call made meanwhile."""
    return list(await asyncio.gather(came(bad()), came(other())))


async def theirs(boxed: Boxed) -> str:
    files = await boxed.boxes.files(THEIRS)
    await files.ping()
    return "served"


def held() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_worker_that_was_taken_over_ends_its_own_conversation(ground: Ground, hurried: None) -> None:
    async def body(boxed: Boxed) -> tuple[str, dict[str, list[str]], list[int]]:
        assert await theirs(boxed) == "served"
        lie = await read(boxed, "mode-lies")
        found, counts = {}, []
        for mode in WORKER_MODES:
            found[mode] = await beside(boxed, lambda mode=mode: read(boxed, f"mode-{mode}"), lambda: theirs(boxed))
            found[mode].append(await came(read(boxed, "notes.md")))
            counts.append(held())
        return lie, found, counts

    lie, found, counts = within(ground, body)
    assert lie == "lied"
    expected = {"worker_garbled", "worker_timeout", "worker_dead"}
    assert {
        mode: said for mode, said in found.items() if said[0] not in expected or said[1:] != ["served", "needle"]
    } == {}
    assert {found[mode][0] for mode in ("half", "mute")} == {"worker_timeout"}
    assert counts[-1] <= counts[0] + 1


def test_so_does_a_reader_of_pages(ground: Ground, hurried: None) -> None:
    async def body(boxed: Boxed) -> tuple[str, dict[str, list[str]], str]:
        assert await theirs(boxed) == "served"
        lie = await boxed.boxes.text(ONE, b"mode-lies", "")
        found = {}
        for mode in WORKER_MODES:
            page = f"mode-{mode}".encode()
            found[mode] = await beside(boxed, lambda page=page: boxed.boxes.text(ONE, page, ""), lambda: theirs(boxed))
        return lie, found, await boxed.boxes.text(ONE, b"<p>next", "")

    lie, found, after = within(ground, body)
    assert (lie, after) == ("lied", "next")
    expected = {"worker_garbled", "worker_timeout", "worker_dead", "page_unread"}
    assert {mode: said for mode, said in found.items() if said[0] not in expected or said[1] != "served"} == {}


@pytest.mark.parametrize("ground", ["docker"], indirect=True)
@pytest.mark.parametrize("mode", RESIDENT_MODES)
def test_a_first_process_that_was_taken_over_costs_its_container_alone(
    ground: Ground, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = ContainerLine.exchange
    patience = [30.0]

    async def hurried(line: ContainerLine, compose: object, files: object) -> object:
        monkeypatch.setattr("bascule.sandboxes.warden.client._ANSWER_SECONDS", patience[0])
        try:
            return await exchange(line, compose, files)  # type: ignore[arg-type] # handed on as they came
        finally:
            monkeypatch.setattr("bascule.sandboxes.warden.client._ANSWER_SECONDS", 30.0)

    monkeypatch.setattr(ContainerLine, "exchange", hurried)
    told = ground.root() / "workspace" / "mode"

    async def body(boxed: Boxed) -> tuple[list[str], float, bytes, bool]:
        assert await theirs(boxed) == "served"
        cat = await boxed.program("cat")
        assert (await boxed.run("cat", "notes.md")).stdout == b"needle"

        async def known(_word: str) -> object:
            return cat

        monkeypatch.setattr(boxed, "program", known)
        say(told, "lies")
        assert await came(boxed.run("cat", "notes.md")) == "program_changed"
        say(told, "")
        assert (await boxed.run("cat", "notes.md")).stdout == b"needle"
        before = set(daemon.containers(ground.home))
        say(told, mode)
        patience[0], began = SECONDS, time.monotonic()
        found = await beside(boxed, lambda: boxed.run("cat", "notes.md"), lambda: theirs(boxed))
        took, patience[0] = time.monotonic() - began, 30.0
        say(told, "")
        after = (await boxed.run("cat", "notes.md")).stdout
        return found, took, after, len(before & set(daemon.containers(ground.home))) == 1

    count = held()
    found, took, after, replaced = within(ground, body)
    assert found[0] in {"container_gone", "container_silent", "container_error"}, found
    assert found[1] == "served"
    assert took < ENOUGH
    assert (after, replaced) == (b"needle", True)
    assert held() <= count + 1


def say(told: Path, mode: str) -> None:
    told.write_text(mode)
    told.chmod(0o644)
