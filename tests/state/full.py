"""A program that fills the disk under a home and looks at what is left. The directory is a small file system.

Run as ``python -m tests.state.full DIRECTORY``; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.keeping import Keeping

from bascule.core.answer import State
from bascule.core.errors import BasculeError
from bascule.desk.pending import Answered


def fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


def refused(action) -> str:
    """Do it until the disk refuses (room that is allocated already may take a little), and return the code."""
    for _ in range(50):
        try:
            action()
        except BasculeError as error:
            return f"{type(error).__name__} {error.code}"
    return "never refused"


def rows(kept: Keeping) -> list[int]:
    return [kept.database.read(f"SELECT count(*) FROM {table}")[0][0] for table in ("ledger", "desk")]


async def one_durable(kept: Keeping) -> None:
    await kept.ledger.append("note", {"text": "x" * 5000}, durable=True)


async def yes(kept: Keeping, reference: str) -> Answered:
    return await kept.desk.answer(reference, State.APPROVED, by="operator", approvers=("operator",))


def main() -> None:
    state = Path(sys.argv[1])
    with Keeping(state) as kept:
        asked = asyncio.run(kept.asked("1.md"))
        fill(state / "filler")
        found: dict[str, object] = {"durable": refused(lambda: asyncio.run(one_durable(kept)))}
        before = rows(kept)
        found["buffered"] = refused(lambda: kept.ledger.append_now("note", {"text": "x" * 9000}, durable=False))
        found["answer"] = refused(lambda: asyncio.run(yes(kept, asked.id)))
        found["question"] = refused(lambda: asyncio.run(kept.asked("2.md")))
        found["state"] = asyncio.run(kept.desk.show(asked.id)).state
        found["same"] = rows(kept) == before
        found["chain"] = [problem.code for problem in kept.verified().problems]
        (state / "filler").unlink()
        asyncio.run(one_durable(kept))
        found["after"] = asyncio.run(yes(kept, asked.id)).approval.state
        kept.ledger.anchor()
    with Keeping(state) as kept:
        found["end"] = [problem.code for problem in kept.verified().problems]
        found["integrity"] = kept.database.read("PRAGMA integrity_check")[0][0]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
