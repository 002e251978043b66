"""A container's place: one connection, of the right account, and nothing left."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from bascule.core.errors import Unavailable
from bascule.sandboxes.docker.place import Place


def dial(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)  # a socket's name is short, a test's directory is not
    made.connect(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    return made


def test_the_right_account_gets_in_once_and_nothing_is_left(tmp_path: Path) -> None:
    async def body() -> bytes:
        with Place(tmp_path) as place:
            line = tmp_path / place.name / "line"
            assert line.stat().st_mode & 0o777 == 0o666
            assert line.parent.stat().st_mode & 0o777 == 0o711
            with dial(line) as ours:
                theirs = await place.accept(os.getuid(), 5)
                ours.send(b"hello")
                with theirs:
                    return theirs.recv(10)

    assert asyncio.run(body()) == b"hello"
    assert list(tmp_path.iterdir()) == []


def test_another_account_is_turned_away(tmp_path: Path) -> None:
    async def body() -> bytes:
        with Place(tmp_path) as place, dial(tmp_path / place.name / "line") as ours:
            with pytest.raises(Unavailable) as refused:
                await place.accept(os.getuid() + 1, 0.1)
            assert refused.value.code == "container_silent"
            return ours.recv(10)

    assert asyncio.run(body()) == b""
    assert list(tmp_path.iterdir()) == []


def test_a_place_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    async def body() -> None:
        with Place(deep) as place, pytest.raises(Unavailable):
            await place.accept(0, 0.01)

    asyncio.run(body())
    assert list(deep.iterdir()) == []


def test_a_state_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unavailable) as refused, Place(tmp_path / "file" / "boxes"):
        pass
    assert refused.value.code == "box_place"
