"""What a gateway attends to ends together, and nothing of it dies unseen."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import NoReturn

import pytest

from bascule.app import process
from bascule.app.process import Inheritance, run, together
from bascule.app.start import READY, _refusal, tell_refusal
from bascule.core.errors import BasculeError, Tampered


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


def test_a_gateway_that_fails_inside_says_so_to_its_starter_and_in_its_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(_born: Inheritance, _reached: object) -> NoReturn:
        await asyncio.sleep(0)
        raise ZeroDivisionError("\x1b[2J")

    monkeypatch.setattr(process, "_serve", fails)
    told, tell = os.pipe()
    mask = os.umask(0o077)
    try:
        with caplog.at_level(logging.ERROR):
            assert run(Inheritance(Path("/nowhere"), 0, "listener", tell, tell, tell, tell)) == 1
    finally:
        os.umask(mask)
    os.close(tell)
    refused = _refusal(told)
    assert (refused is not None and refused.code, "ZeroDivisionError" in caplog.text) == ("internal_error", True)


@pytest.mark.parametrize("serves", [True, False])
def test_only_a_gateway_that_said_so_serves(serves: bool) -> None:
    told, tell = os.pipe()
    if serves:
        os.write(tell, READY)
    os.close(tell)
    found = _refusal(told)
    assert (found is None, "" if found is None else found.code) == (serves, "" if serves else "gateway_ended")


def test_a_refusal_is_told_whole() -> None:
    told, tell = os.pipe()
    tell_refusal(tell, Tampered("policy_exposed", "it could be changed", "see to it"))
    os.close(tell)
    found = _refusal(told)
    assert isinstance(found, BasculeError)
    assert (type(found), found.code, found.message, found.remedy) == (
        Tampered, "policy_exposed", "it could be changed", "see to it",
    )  # fmt: skip
