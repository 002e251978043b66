"""What a gateway attends to ends together, and nothing of it dies unseen."""

from __future__ import annotations

import asyncio

import pytest

from bascule.app.process import together


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_dies_by_itself_ends_the_rest_and_is_told(failing: int) -> None:
    async def crash() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def main() -> tuple[list[bool], int]:
        last = 0

        async def before() -> None:
            nonlocal last
            last += 1

        tasks = [asyncio.ensure_future(crash() if place == failing else forever()) for place in range(3)]
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(together(tasks, before), 10)
        return [task.done() for task in tasks], last

    assert asyncio.run(main()) == ([True] * 3, 1)


def test_what_ends_in_order_ends_the_rest_quietly() -> None:
    async def main() -> list[bool]:
        async def over() -> None:
            await asyncio.sleep(0)

        tasks = [asyncio.ensure_future(over()), asyncio.ensure_future(forever())]
        await asyncio.wait_for(together(tasks, over), 10)
        return [task.cancelled() for task in tasks]

    assert asyncio.run(main()) == [False, True]


def test_a_last_act_that_fails_keeps_nothing_going() -> None:
    async def main() -> bool:
        async def fails() -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        tasks = [asyncio.ensure_future(asyncio.sleep(0)), asyncio.ensure_future(forever())]
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(together(tasks, fails), 10)
        return tasks[1].cancelled()

    assert asyncio.run(main())
