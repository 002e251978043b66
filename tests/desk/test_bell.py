"""Rings reach those who wait, from any thread, and nobody else."""

from __future__ import annotations

import asyncio
import threading

from bascule.core.answer import Approval, State
from bascule.desk.bell import Bell, Waiter


def moved(name: str) -> Approval:
    return Approval(name, "", "", "", "", "", State.DENIED, 0, 0, (), "", "", 1)


def test_a_ring_from_another_thread_wakes_the_one_who_waits() -> None:
    bell = Bell()

    async def waits() -> tuple[bool, bool]:
        mine, other = Waiter("apr_1"), Waiter("apr_2")
        bell.add(mine)
        bell.add(other)
        thread = threading.Thread(target=bell.ring, args=([moved("apr_1")],))
        thread.start()
        heard = await mine.heard(30), await other.heard(0.001)
        thread.join()
        mine.rearm()
        assert not await mine.heard(0.001)
        bell.remove(mine)
        bell.remove(other)
        return heard

    assert asyncio.run(waits()) == (True, False)
    bell.ring([moved("apr_1")])
    assert bell._waiters == {}


def test_a_waiter_whose_loop_has_ended_is_passed_over() -> None:
    async def made() -> Waiter:
        return Waiter("apr_1")

    bell, told = Bell(), []
    bell.add(asyncio.run(made()))
    bell.listen(told.append)
    bell.ring([moved("apr_1")])
    assert [found.id for found in told] == ["apr_1"]


def test_listeners_hear_everything_until_they_stop() -> None:
    bell, told = Bell(), []
    stop = bell.listen(told.append)
    bell.ring([moved("a"), moved("b")])
    stop()
    stop()
    bell.ring([moved("c")])
    assert [found.id for found in told] == ["a", "b"]
