"""The engine is asked when somebody needs it, and a call ends with it."""

from __future__ import annotations

import asyncio

import pytest

from bascule.core.errors import Unavailable
from bascule.sandboxes.docker import watch
from bascule.sandboxes.docker.watch import EngineWatch

LOST = Unavailable("docker_unreachable", "no engine")
SILENT = Unavailable("docker_silent", "no word")


class Engine:
    """Answers as ``words`` say, then as the last of them does for ever; None is an answer."""

    def __init__(self, *words: Unavailable | None) -> None:
        self.words, self.asked, self.now = list(words), 0, 0.0
        self.watch = EngineWatch(self.ask, lambda: self.now)

    async def ask(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        if word is not None:
            raise word


def test_an_answer_counts_for_a_while() -> None:
    engine = Engine(None)

    async def body() -> list[int]:
        counts = []
        for now in (0.0, 1.9, 2.0, 3.9):
            engine.now = now
            await engine.watch.must_answer()
            counts.append(engine.asked)
        engine.watch.answered()
        engine.now = 5.0
        await engine.watch.must_answer()
        return [*counts, engine.asked]

    assert asyncio.run(body()) == [1, 1, 2, 2, 2]


def test_a_refusal_is_remembered_by_nobody() -> None:
    engine = Engine(LOST, LOST, None)

    async def body() -> None:
        for _ in range(2):
            with pytest.raises(Unavailable, match="no engine"):
                await engine.watch.must_answer()
        await engine.watch.must_answer()

    asyncio.run(body())
    assert engine.asked == 3


def test_those_who_ask_together_share_one_question() -> None:
    engine = Engine(LOST)

    async def body() -> list[BaseException | None]:
        return await asyncio.gather(*(engine.watch.must_answer() for _ in range(5)), return_exceptions=True)

    assert [type(found) for found in asyncio.run(body())] == [Unavailable] * 5
    assert engine.asked == 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FRESH_SECONDS", 0.01)


async def long(ended: list[str]) -> str:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")
    return "never"


@pytest.mark.parametrize("words", [(None, None, LOST), (SILENT, SILENT), (SILENT, LOST)])
def test_work_ends_with_its_engine(quick: None, words: tuple[Unavailable | None, ...]) -> None:
    ended: list[str] = []

    async def body() -> None:
        with pytest.raises(Unavailable) as error:
            await Engine(*words).watch.hold(long(ended))
        assert error.value is words[-1]
        assert ended == ["ended"]

    asyncio.run(body())


@pytest.mark.parametrize("words", [(None,), (SILENT, None)])
def test_one_silence_ends_nothing(quick: None, words: tuple[Unavailable | None, ...]) -> None:
    async def some() -> str:
        await asyncio.sleep(0.1)
        return "done"

    engine = Engine(*words)
    assert asyncio.run(engine.watch.hold(some())) == "done"
    assert engine.asked >= 2


def test_short_work_asks_nothing_and_its_own_failure_is_its_own() -> None:
    async def fails() -> None:
        raise ValueError("its own")

    engine = Engine(LOST)
    with pytest.raises(ValueError, match="its own"):
        asyncio.run(engine.watch.hold(fails()))
    assert engine.asked == 0


def test_who_is_cancelled_leaves_no_work_behind() -> None:
    ended: list[str] = []

    async def body() -> None:
        task = asyncio.ensure_future(Engine(None).watch.hold(long(ended)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["ended"]

    asyncio.run(body())
