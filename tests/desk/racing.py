"""A program in which ten processes take one approval at once. Run as ``python -m tests.desk.racing DIRECTORY``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.keeping import Keeping, call, rules
from tests.racers import all_at_once, aside
from tests.simulators import Time

from bascule.core.answer import State
from bascule.desk.pending import PendingDesk
from bascule.state.connection import DATABASE_FILE, Database


class Silent:
    """No ledger: two chains cannot share a file, two desks must."""

    def record(self, change, kind, body):
        return 1


async def approve(kept: Keeping) -> None:
    asked = await kept.asked()
    await kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=("operator",))


def prepare(state: Path) -> None:
    with Keeping(state) as kept:
        asyncio.run(approve(kept))


def take(state: Path, gun: Callable[[], object]) -> str:
    desk = PendingDesk(Database(state / DATABASE_FILE), Time(), Silent())
    gun()
    taken = asyncio.run(desk.take(call(), rules()))
    return taken.id if taken else "none"


if __name__ == "__main__":
    home = Path(sys.argv[1])
    aside(partial(prepare, home))
    all_at_once(partial(take, home))
