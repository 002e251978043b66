"""T14: what works in a container is killed in the midst of a call: its first process, its file worker, a program, all.

The call ends with one clear line and a record of its end, the next one works, and one container is there, not two.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.attacks.killing import Aside, client_of
from tests.living import MAIN, Living, content, living
from tests.ordinary import until
from tests.sandboxes import daemon

pytestmark = pytest.mark.live

KILLED = ("first", "worker", "program", "all")
NAMED = "sandboxes.resident.main"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("t14container") / "home", backend="docker") as made:
        yield made


def found(uid: int) -> dict[str, list[int]]:
    """Processes of an agent's container by what they are; the worker is a copy of the first."""
    seen: dict[str, list[int]] = {name: [] for name in KILLED}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if not entry.name.isdecimal() or entry.stat().st_uid != uid:
                continue
            inner = next(line for line in (entry / "status").read_text().splitlines() if line.startswith("NSpid"))
            is_ours = NAMED in (entry / "cmdline").read_text()
            kind = "first" if inner.split()[-1] == "1" else ("worker" if is_ours else "program")
            seen[kind].append(int(entry.name))
            seen["all"].append(int(entry.name))
    return seen


@pytest.mark.parametrize("kind", KILLED)
def test_its_call_ends_once_and_the_next_one_works(house: Living, kind: str) -> None:
    uid = house.uid()
    assert house.call("write", {"path": "memory/x.md", "content": "mine"})["outcome"]["ok"]
    before = len(house.records())

    def run() -> object:
        with client_of(house.home) as client:
            text = '{"command": "tail -f /dev/null"}'
            options = {"session": None, "dry_run": False, "wait": 0.0, "as_operator": False}
            return client.request("call", agent=MAIN, tool="exec", args_text=text, **options)

    calling = Aside(run)
    assert until(lambda: all(found(uid)[each] for each in KILLED))
    victims = found(uid)[kind]
    for pid in random.Random(kind).sample(victims, len(victims)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if kind == "worker":  # the call goes on without it
        assert found(uid)["program"]
        for pid in found(uid)["program"]:
            os.kill(pid, signal.SIGKILL)
    outcome = calling.join()["outcome"]
    assert not outcome["ok"]
    assert outcome["exit"] == 137 or "the container ended" in outcome["content"], outcome
    kinds = [record["kind"] for record in house.records()][before:]
    assert kinds.count("started") == kinds.count("finished") == 1
    assert content(house.call("read", {"path": "memory/x.md"})) == "mine"
    assert content(house.run("ls -d .")) == ".\n"
    assert until(lambda: len(daemon.containers(house.home)) == 1 and not found(uid)["program"])
    assert len(found(uid)["first"]) == 1
    assert list((house.home / "state" / "boxes").iterdir()) == []
