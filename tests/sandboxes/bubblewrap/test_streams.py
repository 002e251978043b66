"""Collecting with a cap, feeding without waiting."""

from __future__ import annotations

import asyncio
import os

import pytest

from bascule.sandboxes.bubblewrap.streams import Collector, Feeder


@pytest.mark.parametrize(
    ("content", "limit", "kept", "told"),
    [(b"", 3, b"", 0), (b"abc", 3, b"abc", 0), (b"abcd", 3, b"abc", 1), (b"a", 0, b"", 1)],
)
def test_collector_keeps_to_its_limit_and_tells_once(content: bytes, limit: int, kept: bytes, told: int) -> None:
    async def main() -> tuple[bytes, bool, int]:
        reading, writing = os.pipe()
        count: list[int] = []
        collector = Collector(reading, limit, lambda: count.append(1))
        os.write(writing, content)
        await asyncio.sleep(0)
        if content:
            os.write(writing, content)
        os.close(writing)
        await asyncio.wait_for(collector.end, 60)
        return bytes(collector.content), collector.truncated, len(count)

    doubled = (content * 2)[:limit]
    found = asyncio.run(main())
    assert found[0] == doubled
    assert found[0].startswith(kept)
    assert (found[1], found[2]) == ((True, 1) if len(content) * 2 > limit else (False, told))


def test_feeder_gives_all_and_then_the_end() -> None:
    async def main() -> bytes:
        reading, writing = os.pipe()
        Feeder(writing, b"x" * 300_000)
        collector = Collector(reading, 1 << 20, lambda: None)
        await asyncio.wait_for(collector.end, 60)
        return bytes(collector.content)

    assert asyncio.run(main()) == b"x" * 300_000


def test_feeder_survives_a_reader_that_leaves() -> None:
    async def main() -> int:
        reading, writing = os.pipe()
        feeder = Feeder(writing, b"x" * 300_000)
        os.close(reading)
        while feeder._descriptor >= 0:
            await asyncio.sleep(0)
        return feeder._descriptor

    assert asyncio.run(asyncio.wait_for(main(), 60)) == -1
