"""A program that kills itself with SIGKILL at every named point of the database in turn, and looks at what is left.

Run as ``python -m tests.state.killed DIRECTORY``; prints one JSON object a killing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from itertools import count
from pathlib import Path

from tests.keeping import Keeping, call, rules
from tests.simulators import Time

from bascule.core.answer import State

FILES = ("1.md", "2.md")


class Executioner:
    """Kills this process at the nth named point."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.point = ""

    def __call__(self, point: str) -> None:
        self.left -= 1
        if self.left == 0:
            say(f"killed {point}")
            os.kill(os.getpid(), signal.SIGKILL)


def say(line: str) -> None:
    """Write down at once what has been promised; the file outlives the process."""
    fd = os.open("said", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)


async def life(kept: Keeping) -> None:
    for name in FILES:
        asked = await kept.asked(name)
        say(f"asked {name}")
        await kept.desk.answer(asked.id, State.APPROVED, by="operator", approvers=("operator",))
        say(f"approved {name}")
        await kept.ledger.append("note", {"about": name}, durable=True)
        say(f"noted {name}")
        if await kept.desk.take(call(name), rules()) is not None:
            say(f"used {name}")
    kept.ledger.anchor()
    say("anchored")


async def afterlife(kept: Keeping, said: list[str]) -> list[str]:
    """What does not hold, now that the process is dead."""
    wrong = [f"chain: {problem.code} at {problem.seq}" for problem in kept.verified().problems]
    if kept.database.read("PRAGMA integrity_check") != [("ok",)]:
        wrong.append("the database is damaged")
    notes = [json.loads(found.body)["about"] for found in kept.ledger.tail(99, kind="note")]
    wrong += [f"lost the note on {name}" for name in FILES if f"noted {name}" in said and name not in notes]
    for name in FILES:
        found = await kept.desk.matching(call(name), rules())
        used = len(kept.ledger.tail(99, kind="consumed")) > FILES.index(name)
        if f"asked {name}" in said and found is None and not used:
            wrong.append(f"lost the question about {name}")
        if f"approved {name}" in said and not used and (found is None or found.state is not State.APPROVED):
            wrong.append(f"lost the approval of {name}")
        if used and await kept.desk.take(call(name), rules()) is not None:
            wrong.append(f"used the approval of {name} twice")
        if f"used {name}" in said and not used:
            wrong.append(f"forgot that {name} was used")
        if found is not None and found.state is State.APPROVED and await kept.desk.take(call(name), rules()) is None:
            wrong.append(f"the approval of {name} no longer works")
    if not kept.verified().ok:
        wrong.append("the chain does not go on")
    return wrong


def die(home: Path, nth: int) -> bool:
    """Live until the nth point in a process of its own; True if it was killed."""
    child = os.fork()
    if child == 0:
        kept = Keeping(home, hook=Executioner(nth))
        asyncio.run(life(kept))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def look(home: Path) -> dict[str, object]:
    said = Path("said").read_text().splitlines() if Path("said").exists() else []
    with Keeping(home, Time()) as kept:
        wrong = asyncio.run(afterlife(kept, said))
    return {"point": next((line.split()[1] for line in said if line.startswith("killed")), ""), "wrong": wrong}


def main() -> None:
    for nth in count(1):
        home = Path(sys.argv[1]).absolute() / str(nth)
        home.mkdir(mode=0o700)
        os.chdir(home)
        killed = die(home, nth)
        child = os.fork()  # looking opens a database: this process, which forks again, must never have had one
        if child == 0:
            os.write(1, f"{json.dumps(look(home))}\n".encode())
            os._exit(0)
        os.waitpid(child, 0)
        if not killed:
            return


if __name__ == "__main__":
    main()
