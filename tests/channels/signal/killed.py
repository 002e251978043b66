"""A gateway of one bridge as a process of its own, to be killed: it writes down every turn before it runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.channels.signal.acting_house import FAST, Clock, LiveChannel, open_database, policy

from bascule.channels.signal.bridge import Bridge
from bascule.channels.signal.parts import Surroundings
from bascule.service.port import Caller


class Writing(LiveChannel):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    async def approvals_approve(self, caller: Caller, *, ref: str) -> Any:
        # On disk before anybody hears of it, as a gateway's own desk does it.
        with (self.path.with_name("answered")).open("x") as file:
            file.write(caller.name)
        return await super().approvals_approve(caller, ref=ref)

    async def hear(self, caller: Caller, heard: Any) -> AsyncIterator[Any]:
        with self.path.open("a") as file:
            file.write(f"{heard.text}\n")
        async for event in super().hear(caller, heard):
            yield event


async def main(home: Path, url: str) -> None:
    channel = Writing(home / "turns")
    row = channel.ask()
    known = policy()
    if (home / "answered").exists():
        channel.settle(row, "approved", "root")
    signal = replace(known.signal, url=url)  # type: ignore[type-var]
    around = Surroundings(open_database(home), Clock(), lambda _line: None, FAST)
    running = asyncio.create_task(Bridge(channel, replace(known, signal=signal), around).run())
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
