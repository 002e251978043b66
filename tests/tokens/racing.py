"""A program in which ten processes use one link at once. Run as ``python -m tests.tokens.racing DIRECTORY``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.simulators import Time
from tests.tokens.opened import Opened, Silent

from bascule.core.errors import NotPermitted
from bascule.state.connection import DATABASE_FILE, Database
from bascule.tokens.browsers import Browsers

RACERS = 10


def prepare(state: Path) -> None:
    """In a process of its own, for a process that forks must never have had a database."""
    child = os.fork()
    if child == 0:
        with Opened(state) as home:
            (state / "link").write_text(asyncio.run(home.browsers.make_link(by="root"))[0])
        os._exit(0)
    os.waitpid(child, 0)


def race(state: Path, gun: int) -> None:
    browsers = Browsers(Database(state / DATABASE_FILE), Time(), Silent())
    link = (state / "link").read_text()
    os.read(gun, 1)
    try:
        asyncio.run(browsers.redeem(link))
    except NotPermitted as refused:
        os.write(1, f"{refused.code}\n".encode())
    else:
        os.write(1, b"in\n")
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
