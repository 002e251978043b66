"""T03: a link is swapped in between a check and its use, as fast as the kernel lets names be exchanged."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.attacks.canaries import WORD
from tests.attacks.race import flipping
from tests.living import Living, content, living
from tests.sandboxes.boxed import KEY, ONE, Boxed, Ground, grounded, within

from bascule.sandboxes.worker.frames import HEAD, body_length, pack, unpack

pytestmark = [pytest.mark.live, pytest.mark.slow]

READS = 100_000
THROUGH_THE_GATE = 1_000
PATIENCE = 30.0
"""Seconds a careless reader may take to be fooled once; it takes milliseconds."""


@contextmanager
def trap(root: Path, secret: Path, uid: int, *, folder: bool) -> Iterator[str]:
    """Two names in an agent's directory, exchanged all the time: what is harmless, and a link to the secret."""
    place = root / "workspace"
    harmless, link = place / "harmless", place / "swapped"
    if folder:
        harmless.mkdir()
        (harmless / secret.name).write_text("harmless")
        os.chown(harmless / secret.name, uid, uid)
        link.symlink_to(secret.parent)
    else:
        harmless.write_text("harmless")
        link.symlink_to(secret)
    os.chown(harmless, uid, uid)
    with flipping(str(harmless), str(link)) as flips:
        yield f"workspace/swapped/{secret.name}" if folder else "workspace/swapped"
    assert flips.count > 1000


def careless(path: Path, root: Path) -> str:
    """What almost everybody writes: resolve, check, open."""
    if not os.path.realpath(path).startswith(f"{root}/"):
        return ""
    return path.read_text()


def fooled(read: Callable[[], str]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if WORD in read():
                return True
        except OSError:
            continue
    return False


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "outside" / "secret.md"
    path.parent.mkdir()
    path.write_text(WORD)
    return path


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with grounded(tmp_path / "home", "root") as found:
        yield found


def asked(channel: socket.socket, fields: list[bytes]) -> list[bytes]:
    """One question to a file worker, in its own language: what the gateway's side adds only costs time here."""
    channel.sendall(pack(fields))
    answer = channel.recv(1 << 16)
    assert len(answer) == HEAD + body_length(answer[:HEAD], 1 << 16)
    return unpack(answer[HEAD:])


@pytest.mark.parametrize("folder", [True, False])
def test_a_careless_reader_is_fooled_and_a_file_worker_never(ground: Ground, secret: Path, folder: bool) -> None:
    seen = {b"harmless": 0, b"path_is_link": 0}

    def read_on(channel: socket.socket, name: str) -> None:
        for _ in range(READS // 2):
            seen[asked(channel, [b"read", f"/workspace/{name}".encode(), b"0", b"4096"])[-1]] += 1

    async def race(boxed: Boxed, name: str) -> None:
        files = await boxed.boxes.files(KEY)
        with files._line._channel.dup() as channel:
            channel.setblocking(True)
            await asyncio.to_thread(read_on, channel, name)

    with trap(ground.root(), secret, ground.uids[ONE], folder=folder) as name:
        assert fooled(lambda: careless(ground.root() / name, ground.root()))
        within(ground, lambda boxed: race(boxed, name))
    assert sum(seen.values()) == READS // 2
    assert min(seen.values()) > 0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Living]:
    with living(tmp_path / "home") as made:
        yield made


def test_nothing_comes_through_the_whole_gate_either(house: Living, secret: Path) -> None:
    came = {"harmless": 0, "": 0}
    with trap(house.root(), secret, house.uid(), folder=True) as name:
        assert fooled(lambda: careless(house.root() / name, house.root()))
        for number in range(THROUGH_THE_GATE):
            report = house.run(f"cat {name}") if number % 20 == 0 else house.call("read", {"path": name})
            assert WORD not in content(report)
            came["harmless" if content(report) == "harmless" else ""] += 1
        written = [house.call("write", {"path": name, "content": "written"}) for _ in range(100)]
    assert min(came.values()) > 0
    assert any(report["outcome"]["ok"] for report in written)
    assert secret.read_text() == WORD
    assert [path.name for path in secret.parent.iterdir()] == [secret.name]
