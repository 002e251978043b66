"""T03: links swapped in where a mount comes from, or planted where it goes, so that a box sees another file than meant.

Whoever mounts by path is fooled, Docker as well: that is the control. What lies outside is neither seen nor written.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.attacks.canaries import WORD
from tests.attacks.race import flipping
from tests.sandboxes import daemon
from tests.sandboxes.boxed import ONE, Boxed, Ground, grounded, within

from bascule.core.confinement import Mount
from bascule.core.errors import BasculeError
from bascule.core.policy import DEFAULT_IMAGE
from bascule.linux.calls import CLONE_NEWNS, stop_propagation, unmount, unshare
from bascule.sandboxes.docker.engine import Engine

pytestmark = [pytest.mark.live, pytest.mark.slow]
if os.geteuid() != 0:
    pytest.skip("boxes of every mode can be tried by root only", allow_module_level=True)

MOST_ROUNDS = 80
PATIENCE = 30.0
"""Seconds somebody careless may take to be fooled once; it takes milliseconds."""

MINE, THEIRS = b"mine", WORD.encode()
LENT = "/lent"
KINDS = ("directory", "parent", "file")
LIBRARY = "/usr/lib/python3.11"
MODULE = "struct"
"""What Python imports for a container's first process, and where it looks for it."""

PLANTED = "open('/team/ran', 'w').write('ran')\n"


@pytest.fixture(scope="module", params=["root", "rootless", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp(request.param)
    place.chmod(0o755)
    with grounded(place / "home", request.param) as made:
        yield made


class Trap:
    """What an agent may change, and what lies outside."""

    def __init__(self, folder: Path, uid: int) -> None:
        folder.chmod(0o755)
        self.team, self.outside = folder / "team", folder / "outside"
        for place, word in ((self.team, MINE), (self.outside, THEIRS)):
            (place / "in").mkdir(parents=True)
            (place / "in" / "note").write_bytes(word)
            for path in (place, place / "in", place / "in" / "note"):
                os.chown(path, uid, uid)  # what lies outside is held back by no mode
        self.link = self.team / "swapped"

    def set(self, kind: str) -> tuple[Path, Path]:
        """The two names that are exchanged, and what is lent, of one kind of trap."""
        swapped, lent = {
            "directory": (self.team / "in", self.team / "in"),
            "parent": (self.team / "in", self.team / "in" / "note"),
            "file": (self.team / "in" / "note", self.team / "in" / "note"),
        }[kind]
        self.link.symlink_to(self.outside / swapped.relative_to(self.team))
        return swapped, lent

    def untouched(self) -> bool:
        names = sorted(str(path.relative_to(self.outside)) for path in self.outside.rglob("*"))
        return names == ["in", "in/note"] and (self.outside / "in" / "note").read_bytes() == THEIRS


@pytest.fixture
def trap(ground: Ground) -> Trap:
    # In what a home may lend: of the machine's other places an ordinary user's warden sees few.
    folder = ground.home / "shared" / os.urandom(8).hex()
    folder.mkdir()
    return Trap(folder, ground.uids[ONE])


def seen_by_a_careless_mount(lent: Path, place: Path) -> bool:
    """Look, then mount by path, in a mount namespace of one's own; True as soon as that shows what lies outside."""
    child = os.fork()
    if child == 0:
        fooled = False
        try:
            unshare(CLONE_NEWNS)
            stop_propagation()
            until = time.monotonic() + PATIENCE
            while not fooled and time.monotonic() < until:
                with suppress(OSError):
                    if os.path.realpath(lent) == str(lent) and bound(lent, place):
                        fooled = (place / "note" if place.is_dir() else place).read_bytes() == THEIRS
                        unmount(str(place))
        finally:
            os._exit(not fooled)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def bound(source: Path, target: Path) -> bool:
    bind = ctypes.c_ulong(4096)
    return ctypes.CDLL(None).mount(os.fsencode(source), os.fsencode(target), None, bind, None) == 0


@contextmanager
def control() -> Iterator[Callable[[list[str], dict[str, Path]], None]]:
    """Docker asked by itself: start a program as it is, with directories mounted, and wait for its end."""
    engine, made = Engine(daemon.SOCKET, 60.0), list[str]()
    image = engine.image(DEFAULT_IMAGE)
    assert image is not None

    def run(words: list[str], mounts: dict[str, Path]) -> None:
        rows = [{"Type": "bind", "Source": str(path), "Target": target} for target, path in mounts.items()]
        body = {
            "Image": image["Id"],
            "Cmd": words,
            "Entrypoint": [],
            "HostConfig": {"Mounts": rows, "NetworkMode": "none"},
        }
        made.append(engine.create(f"bascule-test-{os.urandom(8).hex()}", body)[0])
        engine.start(made[-1])
        engine.wait(made[-1])

    try:
        yield run
    finally:
        for container in made:
            engine.remove(container)


async def lent_once(boxed: Boxed, lent: Path, *words: str, writable: bool = False) -> bytes:
    """What a program sees of a path that is granted to it alone, or the code of the refusal."""
    try:
        done = await boxed.run(*words, writable=writable, mounts=(Mount(str(lent), writable, LENT),))
    except BasculeError as refused:
        return refused.code.encode()
    return done.stdout if done.exits == (0,) else b"nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_swapped_source_is_never_what_a_box_sees_or_writes(ground: Ground, trap: Trap, kind: str) -> None:
    swapped, lent = trap.set(kind)
    name = LENT if lent.name == "note" else f"{LENT}/note"
    place = trap.team.parent / "place"
    place.touch() if lent.name == "note" else place.mkdir()
    came: dict[bytes, int] = {}

    async def race(boxed: Boxed) -> None:
        for number in range(MOST_ROUNDS):
            said = await lent_once(boxed, lent, "cat", name)
            came[said] = came.get(said, 0) + 1
            if number % 4 == 3:
                await lent_once(boxed, lent, "cp", "/workspace/notes.md", f"{LENT}/new", writable=True)
            if len(came) >= (3 if ground.mode == "docker" else 2) and number > 4 and MINE in came:
                return

    (ground.root() / "notes.md").write_text("notes")
    (ground.root() / "notes.md").chmod(0o644)
    with flipping(str(swapped), str(trap.link)) as flips:
        assert seen_by_a_careless_mount(lent, place)
        within(ground, race)
    assert flips.count > 1000
    refusals = {b"box_source", b"container_mount", b"docker_refused", b"box_mount"}
    assert MINE in came, came
    assert came.keys() - refusals == {MINE}, came
    assert came.keys() & refusals, came
    assert trap.untouched()
    assert ground.mode != "docker" or daemon.containers(ground.home) == []


def test_docker_follows_a_source_that_is_a_link_and_ours_is_never_made(ground: Ground, trap: Trap) -> None:
    trap.set("directory")
    if ground.mode == "docker":
        with control() as run:
            run(["/usr/bin/cp", "/lent/note", "/out/copy"], {LENT: trap.link, "/out": trap.team})
        assert (trap.team / "copy").read_bytes() == THEIRS
    assert within(ground, lambda boxed: lent_once(boxed, trap.link, "cat", f"{LENT}/note")) == b"box_source"


# -- where a mount goes


async def lent_both(boxed: Boxed, first: Mount, second: Mount, *words: str) -> bytes:
    """What a program says where policy lends these two, or the code of the refusal."""
    agents = boxed.boxes._on.agents
    assert isinstance(agents, dict)
    rules = agents[ONE]
    agents[ONE] = replace(rules, layout=replace(rules.layout, binds=(first, second)))
    try:
        return (await boxed.run(*words, writable=True)).stdout
    except BasculeError as refused:
        return refused.code.encode()


def test_no_link_leads_a_mount_over_something_of_the_boxes_own(ground: Ground, trap: Trap) -> None:
    planted = trap.team.parent / "planted"
    planted.write_text(PLANTED)
    planted.chmod(0o644)
    team = Mount(str(trap.team), True, "/team")
    if ground.mode == "docker":
        (trap.team / "over").symlink_to(LIBRARY)
        target, victim, code = f"/team/over/{MODULE}.py", f"{LIBRARY}/{MODULE}.py", b"mount_nested"
        with control() as run:
            start = ["/usr/bin/python3", "-I", "-S", "-c", f"import {MODULE}"]
            run(start, {"/team": trap.team, target: planted})
        assert (trap.team / "ran").read_text() == "ran"
        (trap.team / "ran").unlink()
    else:
        (trap.team / "over").symlink_to("/tmp/box/etc")  # what the root of a box is called while it is made
        target, victim, code = "/team/over/ld.so.preload", "/etc/ld.so.preload", b"box_failed"
    lent = Mount(str(planted), False, target)
    assert within(ground, lambda boxed: lent_both(boxed, team, lent, "cat", victim)) in {code, b"box_setup"}
    assert not (trap.team / "ran").exists()
    (trap.team / "over").unlink()
    # The same without a link: a container is not made, for it could be put there at any moment; a box shows it.
    beside = Mount(str(planted), False, "/team/over/planted")
    shown = within(ground, lambda boxed: lent_both(boxed, team, beside, "cat", "/team/over/planted"))
    assert shown == (b"mount_nested" if ground.mode == "docker" else PLANTED.encode())


def test_a_directory_within_another_is_led_nowhere_by_its_second_name(ground: Ground, trap: Trap) -> None:
    """Both are lent; by the operator's names one lies within what the agent writes."""
    swapped, _ = trap.set("directory")
    (trap.team / "in" / "deep").mkdir()
    (trap.outside / "in" / "deep").mkdir()
    for place, word in ((trap.team, MINE), (trap.outside, THEIRS)):
        (place / "in" / "deep" / "note").write_bytes(word)
    outer, inner = Mount(str(trap.team), True, "/team"), Mount(str(trap.team / "in" / "deep"), False, "/deep")
    quiet = within(ground, lambda boxed: lent_both(boxed, outer, inner, "cat", f"{inner.path}/note", "/deep/note"))
    assert quiet == MINE + MINE

    async def race(boxed: Boxed) -> set[bytes]:
        said = set()
        for _ in range(6):
            said.add(await lent_both(boxed, outer, inner, "cat", f"{inner.path}/note", "/deep/note"))
            await boxed.kill_everything(ONE)
            await asyncio.sleep(0)
        return said

    with flipping(str(swapped), str(trap.link)):
        said = within(ground, race)
    assert all(THEIRS not in word for word in said), said
    assert {path.name for path in trap.outside.rglob("*")} == {"in", "deep", "note"}
