"""T08: a call holds on to what the kernel lets it hold, so that the next one finds it, or waits for it.

Locks, leases, watches, memory, files without a name, descriptors that only hold each other, and processes in every state
that a signal does not end at once. Without boxes the next program meets them; in boxes nobody does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.attacks.killing import Aside, client_of
from tests.attacks.probing import BACKENDS, LASTING, inside, list_probe, outside
from tests.living import MAIN, Living, content, living
from tests.ordinary import until

pytestmark = pytest.mark.live

READING, WRITING = "tools/lasting.py", "tools/lasting-writing.py"
OTHER = "bruba-guru"
PLACE = "/workspace/workspace"
NAMES = ("lease", "flock", "ofd", "lockf")
STATES = {"stopped", "headless", "notified", "borrowed", "namespaces", "timers"}
HELD = {"lease", "flock", "lock of an open file", "record lock", "adrift", "watches"}
NEVER = {"lease", "io_uring", "userfaultfd", "keyring", "fanotify", "memfd"}
"""What no box lets its program have at all."""


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        for agent in (MAIN, OTHER):
            list_probe(made, agent, LASTING, (READING, WRITING))

    with living(tmp_path_factory.mktemp("t08held") / "home", prepare, request.param) as made:
        yield made


def processes(uid: int, word: str = "lasting") -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and f"Uid:\t{uid}\t" in (entry / "status").read_text():
                found += [int(entry.name)] if word in (entry / "cmdline").read_text() else []
    return found


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[tuple[int, str, str]]:
    """An account that has no box, a directory of its own and a scratch place."""
    uid = 610_000_000 + os.getpid()
    folder = Path(tempfile.mkdtemp(prefix="bascule-attack-", dir="/tmp"))
    scratch = folder / "scratch"
    scratch.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0777", "none", str(scratch)], check=True)
    try:
        os.chown(folder, uid, uid)
        yield uid, str(folder), str(scratch)
    finally:
        for pid in processes(uid):
            os.kill(pid, signal.SIGKILL)
        subprocess.run(["umount", "-l", str(scratch)], check=True)
        shutil.rmtree(folder)


def test_without_boxes_the_next_program_meets_it_all(bare: tuple[int, str, str]) -> None:
    uid, folder, scratch = bare
    left = outside("leave", folder, scratch, uid=uid, program=LASTING)
    assert {name for name, said in left.items() if said == "ok"} >= HELD - {"watches"} | {"deleted", "memfd"}
    assert {name for name, said in left.items() if said.isdecimal()} == STATES
    met = outside("meet", folder, scratch, uid=uid, program=LASTING)
    assert met.keys() >= HELD - {"adrift"} | {"room", "closed"}
    assert len([name for name in met if name.startswith("process")]) >= len(STATES)


def leave(house: Living, tool: str, **options: object) -> None:
    left = inside(house, "leave", PLACE, "/tmp", tool=tool, **options)
    assert {name for name in NEVER if left[name] not in {"EPERM", "EACCES", "EROFS", "ENOSYS"}} == set()
    assert left["flock"] == "ok" or tool == READING
    assert left["deleted"] == "ok"
    assert {name for name, said in left.items() if said.isdecimal()} == STATES


@pytest.mark.parametrize("tool", [READING, WRITING])
def test_the_next_call_is_as_if_there_had_been_none(house: Living, tool: str) -> None:
    sessions = ("agent:bruba-main:one", "agent:bruba-main:two")
    for first, second in ((sessions[0], sessions[0]), sessions):
        leave(house, tool, session=first)
        assert inside(house, "meet", PLACE, "/tmp", tool=WRITING, session=second) == {}
        leave(house, tool, session=first)
        for name in ("lease", "flock"):
            path = f"workspace/{name}"
            assert house.call("write", {"path": path, "content": "mine"}, session=second)["outcome"]["ok"]
            assert content(house.call("read", {"path": path}, session=second)) == "mine"
            assert content(house.run(f"cat {path}", session=second)) == "mine"
    assert until(lambda: processes(house.uid()) == [])


def test_another_agent_meets_nothing_either(house: Living) -> None:
    leave(house, WRITING)
    assert inside(house, "meet", PLACE, "/tmp", tool=WRITING, agent=OTHER) == {}


def test_a_call_that_is_ended_in_the_midst_of_it_leaves_as_little(house: Living) -> None:
    words = " ".join(word.encode().hex() for word in (PLACE, "/tmp"))
    report = house.call("exec", {"command": f"{WRITING} stay {words}", "timeout": 2})
    assert report["outcome"]["exit"] > 128
    assert inside(house, "meet", PLACE, "/tmp", tool=WRITING) == {}


def test_while_it_lasts_nobody_waits_for_what_it_holds(house: Living) -> None:
    """Whoever reads as the same agent, and all of another; the same agent's writers wait for each other anyway."""
    for name in NAMES:
        assert house.call("write", {"path": f"workspace/{name}", "content": "mine"})["outcome"]["ok"]
    words = " ".join(word.encode().hex() for word in (PLACE, "/tmp"))
    args = json.dumps({"command": f"{WRITING} stay {words}", "timeout": 15})
    options = {"session": "agent:bruba-main:held", "dry_run": False, "wait": 0.0, "as_operator": False}

    def hold() -> object:
        with client_of(house.home) as client:
            return client.request("call", agent=MAIN, tool="exec", args_text=args, **options)

    holding = Aside(hold)
    assert until(lambda: len(processes(house.uid())) > len(STATES))
    for name in NAMES if house.backend == "bubblewrap" else ():  # a container does one thing at a time
        assert content(house.call("read", {"path": f"workspace/{name}"})) == "mine"
    assert inside(house, "meet", PLACE, "/tmp", tool=WRITING, agent=OTHER) == {}
    assert len(processes(house.uid())) > len(STATES), "it was over before anybody could have waited for it"
    for pid in processes(house.uid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    holding.join()
