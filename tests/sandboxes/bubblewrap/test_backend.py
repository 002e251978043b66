"""What the backend keeps of workers: no more than there are, and none for longer than policy says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tests.sandboxes.boxed import KEY, ONE, TWO, policies

from bascule.core.box import BoxKey
from bascule.core.ids import SessionKey
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes, _Worker
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.warden.client import Exit, RunningBox, WardenClient


class Killing:
    """A warden that only kills."""

    def __init__(self) -> None:
        self.killed: list[int] = []

    async def kill(self, box: int) -> None:
        self.killed.append(box)


class Files:
    """A worker's conversation."""

    def __init__(self) -> None:
        self.dead = False

    def close(self) -> None:
        self.dead = True

    def worn(self, _seconds: float) -> bool:
        return False


def boxes(warden: Killing, clock: list[float]) -> BubblewrapBoxes:
    agents = policies(Path("/srv/home"))
    # Kept for ever, so that nothing goes for its age.
    agents[ONE] = replace(
        agents[ONE],
        sandbox=replace(agents[ONE].sandbox, docker=replace(agents[ONE].sandbox.docker, idle_seconds=0, age_seconds=0)),
    )
    return BubblewrapBoxes(Footing(cast(WardenClient, warden), agents, {ONE: 7, TWO: 8}, 5, clock=lambda: clock[0]))


def stand(made: BubblewrapBoxes, key: BoxKey, number: int) -> _Worker:
    exit_of: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
    worker = _Worker(cast(Any, Files()), RunningBox(number, 0, 0, exit_of), cast(Any, None), 0.0, 0.0, 10)
    made._workers[key] = worker
    return worker


def test_a_worker_that_has_ended_is_let_go_of_and_a_living_one_kept() -> None:
    async def main() -> None:
        warden, clock = Killing(), [0.0]
        made = boxes(warden, clock)
        living, gone = stand(made, KEY, 1), stand(made, BoxKey(ONE, SessionKey("agent:one:gone")), 2)
        other = stand(made, BoxKey(TWO, SessionKey("agent:two:old")), 3)
        gone.box.exit.set_result(Exit(0))
        other.box.exit.set_result(Exit(0))
        await made.prune()
        assert list(made._workers.values()) == [living]
        assert gone.files.dead

    asyncio.run(main())


def test_a_session_that_is_over_leaves_no_turn_to_wait_for() -> None:
    async def main() -> None:
        made = boxes(Killing(), [0.0])
        for number in range(100):
            key = BoxKey(ONE, SessionKey(f"agent:one:{number}"))
            stand(made, key, number)
            await made._warm(key)
        assert len(made._turns) == 0

    asyncio.run(main())
