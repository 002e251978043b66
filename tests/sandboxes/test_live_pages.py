"""Pages read in boxes of every backend."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from tests.sandboxes.boxed import KEY, ONE, Boxed, Ground, grounded, within

from bascule.core.errors import Unavailable

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("boxes of both modes can be tried by root only", allow_module_level=True)


@pytest.fixture(scope="module", params=["root", "rootless", "docker"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with grounded(tmp_path_factory.mktemp(request.param) / "home", request.param) as made:
        note = made.root() / "notes.md"
        note.write_text("needle\n")
        note.chmod(0o644)
        yield made


def test_a_page_becomes_text(ground: Ground) -> None:
    page = "<title>T</title><p>seen é<p hidden>unseen".encode("iso-8859-1")
    assert within(ground, lambda boxed: boxed.boxes.text(ONE, page, "iso-8859-1")) == "T\n\nseen é"


def test_a_reader_and_a_file_worker_get_on(ground: Ground) -> None:
    async def both(boxed: Boxed) -> tuple[list[str], list[bytes]]:
        files = await boxed.boxes.files(KEY)
        notes = [(await files.read("/workspace/notes.md", offset=0, limit=100)).content]
        texts = await asyncio.gather(*(boxed.boxes.text(ONE, f"<p>{number}".encode(), "") for number in range(3)))
        again = await boxed.boxes.files(KEY)
        return texts, [*notes, (await again.read("/workspace/notes.md", offset=0, limit=100)).content]

    assert within(ground, both) == (["0", "1", "2"], [b"needle\n", b"needle\n"])


def test_a_page_that_cannot_be_read_keeps_nobody_else_from_theirs(ground: Ground) -> None:
    async def three(boxed: Boxed) -> tuple[str, str]:
        with pytest.raises(Unavailable) as refused:
            await boxed.boxes.text(ONE, b"x", "utf-7")
        return refused.value.code, await boxed.boxes.text(ONE, b"<p>next", "")

    assert within(ground, three) == ("page_unread", "next")


def test_no_reader_is_left_behind(ground: Ground) -> None:
    async def several(boxed: Boxed) -> int:
        for _ in range(3):
            await boxed.boxes.text(ONE, b"<p>x", "")
        return len(os.listdir("/proc/self/fd"))

    assert within(ground, several) == within(ground, several)
