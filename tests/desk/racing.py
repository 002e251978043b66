"""A program in which ten processes take one approval at once. Run as ``python -m tests.desk.racing DIRECTORY``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.keeping import Keeping, call, rules
from tests.simulators import Time

from bascule.core.answer import State
from bascule.desk.pending import PendingDesk
from bascule.state.connection import DATABASE_FILE, Database

RACERS = 10


class Silent:
    """No ledger: two chains cannot share a file, two desks must."""

    def record(self, change, kind, body):
        return 1


async def approve(kept: Keeping) -> None:
    asked = await kept.asked()
    await kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=("operator",))


def prepare(state: Path) -> None:
    """In a process of its own, for a process that forks must never have had a database."""
    child = os.fork()
    if child == 0:
        with Keeping(state) as kept:
            asyncio.run(approve(kept))
        os._exit(0)
    os.waitpid(child, 0)


def race(state: Path, gun: int) -> None:
    desk = PendingDesk(Database(state / DATABASE_FILE), Time(), Silent())
    os.read(gun, 1)
    taken = asyncio.run(desk.take(call(), rules()))
    os.write(1, f"{taken.id if taken else 'none'}\n".encode())
    os._exit(0)


def main() -> None:
    state = Path(sys.argv[1])
    prepare(state)
    gun, trigger = os.pipe()
    children = []
    for _ in range(RACERS):
        child = os.fork()
        if child == 0:
            os.close(trigger)
            race(state, gun)
        children.append(child)
    os.close(trigger)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
