"""Ten who use one approval at once: exactly one does, in threads and in processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

from tests.builders import LAYOUT
from tests.desk.racing import approve
from tests.keeping import Keeping, call, rules
from tests.racers import RACERS

from bascule.core.answer import State
from bascule.desk.grants import Terms

ROOT = Path(__file__).parents[2]


def together(work) -> list:
    results, gun = [], threading.Barrier(RACERS)

    def one(number: int) -> None:
        gun.wait()
        results.append(asyncio.run(work(number)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_threads_that_take_at_once(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asyncio.run(approve(kept))
        taken = together(lambda _: kept.desk.take(call(), rules()))
        assert (len(taken), sum(found is not None for found in taken)) == (RACERS, 1)
        assert len(kept.ledger.tail(99, kind="consumed")) == 1
        assert kept.verified().ok


def test_coroutines_that_take_at_once(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:

        async def race() -> list:
            await approve(kept)
            return await asyncio.gather(*(kept.desk.take(call(), rules()) for _ in range(RACERS)))

        assert sum(found is not None for found in asyncio.run(race())) == 1


def test_threads_that_answer_at_once(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = asyncio.run(kept.asked())
        names = [str(number) for number in range(RACERS)]
        answers = (State.APPROVED, State.DENIED)
        said = together(
            lambda number: kept.desk.answer(asked.id, answers[number % 2], by=names[number], approvers=names)
        )
        assert sum(answered.won for answered in said) == 1
        assert len({(answered.approval.state, answered.approval.answered_by) for answered in said}) == 1


def test_threads_that_ask_at_once(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        assert len({asked.id for asked in together(lambda _: kept.asked())}) == 1


def test_processes_that_take_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.desk.racing", str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    taken = done.stdout.split()
    assert (done.returncode, len(taken), taken.count("none")) == (0, RACERS, RACERS - 1), done.stderr


def test_a_grant_of_three_uses_is_used_three_times_by_ten(tmp_path: Path) -> None:
    with Keeping(tmp_path) as kept:
        asked = asyncio.run(kept.asked())
        wider = Terms("exact", LAYOUT, uses=3)
        approvers = ("operator",)
        asyncio.run(kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=approvers, wider=wider))
        taken = together(lambda _: kept.desk.take(call(), rules()))
        assert (len(taken), sum(found is not None for found in taken)) == (RACERS, 4)
        assert len(kept.ledger.tail(99, kind="consumed")) == 1
        assert [found.uses_left for found in asyncio.run(kept.desk.grants.list(everything=True))] == [0]
        assert kept.verified().ok
