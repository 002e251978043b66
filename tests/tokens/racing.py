"""A program in which ten processes use one link at once. Run as ``python -m tests.tokens.racing DIRECTORY``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.racers import all_at_once, aside
from tests.simulators import Time
from tests.tokens.opened import Opened, Silent

from bascule.core.errors import NotPermitted
from bascule.state.connection import DATABASE_FILE, Database
from bascule.tokens.browsers import Browsers


def prepare(state: Path) -> None:
    with Opened(state) as home:
        (state / "link").write_text(asyncio.run(home.browsers.make_link(by="root"))[0])


def redeem(state: Path, gun: Callable[[], object]) -> str:
    browsers = Browsers(Database(state / DATABASE_FILE), Time(), Silent())
    link = (state / "link").read_text()
    gun()
    try:
        asyncio.run(browsers.redeem(link))
    except NotPermitted as refused:
        return refused.code
    return "in"


if __name__ == "__main__":
    home = Path(sys.argv[1])
    aside(partial(prepare, home))
    all_at_once(partial(redeem, home))
