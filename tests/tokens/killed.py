"""A program that is killed at every named point of the database while a link is used up and a token revoked.

Run as ``python -m tests.tokens.killed DIRECTORY``; prints one JSON object a killing.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from itertools import count
from pathlib import Path

from tests.state.killed import Executioner
from tests.tokens.opened import Opened

from bascule.core.errors import BasculeError


def in_a_process(work) -> int:
    """Return the status of a process of its own, for one that forks must never have had a database."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepare(state: Path) -> None:
    state.mkdir()
    with Opened(state) as home:
        _, secret = asyncio.run(home.made())
        link, _ = asyncio.run(home.browsers.make_link(by="root"))
    (state / "secrets").write_text(json.dumps([secret, link]))


def use(state: Path, nth: int) -> None:
    """Say what has been promised the moment it is."""
    secret, link = json.loads((state / "secrets").read_text())
    home = Opened(state)
    home.database._hook = Executioner(nth)
    os.chdir(state)
    assert asyncio.run(home.doors.enter(secret))
    (state / "browser").write_text(asyncio.run(home.doors.redeem(link)))
    asyncio.run(home.tokens.revoke("phone", by="root"))
    (state / "revoked").touch()


def works(attempt) -> bool:
    try:
        asyncio.run(attempt)
    except BasculeError:
        return False
    return True


def look(state: Path) -> None:
    secret, link = json.loads((state / "secrets").read_text())
    with Opened(state) as home:
        kept = home.database.read("SELECT count(*) FROM tokens_browsers")[0][0]
        recorded = len(home.records("signed_in"))
        found = {
            "redeemed": (state / "browser").exists(),
            "revoked": (state / "revoked").exists(),
            "browsers": kept,
            "recorded": recorded,
            "ended": len(home.records("token_revoked")),
            "link": works(home.doors.redeem(link)),
            "token": works(home.doors.enter(secret)),
            "verified": home.verified().ok,
        }
    os.write(1, f"{json.dumps(found)}\n".encode())


def main() -> None:
    root = Path(sys.argv[1])
    for nth in count(1):
        state = root / str(nth)
        in_a_process(lambda state=state: prepare(state))
        killed = in_a_process(lambda state=state, nth=nth: use(state, nth)) != 0
        in_a_process(lambda state=state: look(state))
        if not killed:
            return


if __name__ == "__main__":
    main()
