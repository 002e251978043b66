"""T08: something of one session passes to another of the same agent: by files, names, processes, kernel objects, loopback.

In containers for each session (``scope: "session"``) and for the agent, and in bubblewrap's boxes. The controls: without
walls, and within the container of the session that left it, all of it is found. What lies in the agent's own directory
is both sessions' and is not meant.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.killing import Aside, client_of
from tests.attacks.probing import PASSING, inside, list_probe, outside
from tests.living import MAIN, Living, effect, living
from tests.ordinary import until
from tests.sandboxes import daemon

from bascule.sandboxes.docker.engine import Engine

pytestmark = pytest.mark.live

READING, WRITING = "tools/passing.py", "tools/passing-writing.py"
ONE, TWO = f"agent:{MAIN}:one", f"agent:{MAIN}:two"
OTHER = "bruba-guru"
KERNELS = {"shared memory", "message queue", "semaphores", "named queue", "user keyring"}
"""What the kernel keeps when whoever made it is gone."""

ALONE = ("/usr/bin/unshare", "--uts")
"""What is tried without walls is to rename no machine."""

LASTING = {"file in /tmp", "file in /dev/shm", "process's environ", "process's cmdline", "process's comm"}
HAD = {
    "docker": {"file in /tmp", "file in /dev/shm", "name", "open file"},
    "bubblewrap": {"file in /tmp", "name", "open file", *KERNELS} - {"named queue", "user keyring"},
}
"""What a program in a box may do for as long as it lasts; nothing of it leads out of its box, or past its end."""


@pytest.fixture(scope="module", params=["session", "agent", "bubblewrap"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    scope = "agent" if request.param == "bubblewrap" else request.param

    def prepare(made: Living) -> None:
        # With a way out, for without one no program may so much as make a socket.
        own = f'id: "{MAIN}", sandbox: {{ network: "proxy", scope: "{scope}" }},'
        made.change("bascule.json5", lambda text: text.replace(f'id: "{MAIN}",', own, 1))
        for agent in (MAIN, OTHER):
            list_probe(made, agent, PASSING, (READING, WRITING))

    backend = "bubblewrap" if request.param == "bubblewrap" else "docker"
    with living(tmp_path_factory.mktemp("t08sessions") / "home", prepare, backend) as made:
        yield made


only_session = pytest.mark.parametrize("house", ["session"], indirect=True)


@pytest.fixture
def word() -> str:
    return "passed-" + secrets.token_hex(8)


def meet(house: Living, word: str, tool: str = READING, **options: Any) -> dict[str, str]:
    """What a program finds of a word in its box."""
    return inside(house, "meet", word, tool=tool, **options)


def containers(house: Living) -> dict[str, str]:
    """The ids of the agent's containers, by session; empty for one that is for all of them."""
    rows = house.client.request("sandbox_list")
    return {row["session"]: row["id"] for row in rows if row["agent"] == MAIN and row["backend"] == "docker"}


def holders(house: Living, word: str) -> list[int]:
    """Processes that hold a word."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and entry.stat().st_uid == house.uid():
                words = (entry / "cmdline").read_text()
                found += [int(entry.name)] if word in words or word.encode().hex() in words else []
    return found


@contextmanager
def held(house: Living, word: str, session: str) -> Iterator[Aside]:
    """While a program of a session holds a word everywhere."""
    said = house.root() / "workspace" / "held.json"
    said.unlink(missing_ok=True)
    args = json.dumps({"command": f"{WRITING} hold {word.encode().hex()}", "timeout": 60})
    options = {"session": session, "dry_run": False, "wait": 0.0, "as_operator": False}

    def run() -> object:
        with client_of(house.home) as client:
            return client.request("call", agent=MAIN, tool="exec", args_text=args, **options)

    holding = Aside(run)
    try:
        assert until(said.exists)
        came = json.loads(said.read_text())
        assert {name for name, what in came.items() if what == "ok"} == HAD[house.backend]
        assert len(holders(house, word)) >= 2
        yield holding
    finally:
        for pid in holders(house, word):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        holding.join()


def within(house: Living, container: str, word: str) -> set[str]:
    """What a process finds that is simply put into a container, as ``docker exec`` does."""
    known = Engine(daemon.SOCKET).inspect(container)
    assert known is not None
    words = [
        "/usr/bin/nsenter",
        "-t",
        str(known["State"]["Pid"]),
        "-m",
        "-i",
        "-n",
        "-p",
        "-S",
        str(house.uid()),
        "-G",
        str(house.uid()),
    ]
    words += ["/usr/bin/python3", "-ISc", PASSING.read_text(), "meet", word.encode().hex()]
    return set(json.loads(subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout))


def test_without_walls_all_of_it_is_found(word: str) -> None:
    try:
        left = outside("leave", word, program=PASSING, before=ALONE)
        assert {name for name, came in left.items() if came == "ok"} >= KERNELS | {
            "file in /tmp",
            "tcp",
            "udp",
            "abstract SOCK_STREAM",
        }
        found = set(outside("meet", word, program=PASSING))
        assert found >= KERNELS | LASTING - {"process's comm"} | {"/proc/keys", "fifo"}
    finally:
        outside("clear", word, program=PASSING)
        subprocess.run(["/usr/bin/pkill", "-f", f"time.sleep.60. {word}$"], check=False)


def test_while_one_session_holds_it_another_finds_nothing(house: Living, word: str) -> None:
    meet(house, word, session=TWO)
    with held(house, word, ONE):
        if house.backend == "docker":
            by = containers(house)
            assert within(house, by.get(ONE, by.get("", "")), word) == LASTING
        if "" not in containers(house):  # in one that is for the agent, the next call waits for this one
            assert meet(house, word, session=TWO) == {}  # one that writes waits for others of its agent that do
            assert holders(house, word), "it was over before anybody could have met it"
        assert meet(house, word, agent=OTHER) == {}
        for path in (f"/tmp/{word}", f"/dev/shm/{word}"):
            report = house.call("read", {"path": path}, session=TWO)
            assert effect(report) != "allow" or not report["outcome"]["ok"]
    for session in (ONE, TWO):
        for tool in (READING, WRITING):
            assert meet(house, word, tool=tool, session=session) == {}


def test_what_one_left_is_not_there_for_the_next(house: Living, word: str) -> None:
    for first, second in ((ONE, TWO), (TWO, ONE), (ONE, ONE)):
        for tool in (READING, WRITING):
            left = inside(house, "leave", word, tool=tool, session=first)
            assert left["file in /tmp"] == left["name"] == "ok"
            assert meet(house, word, tool=tool, session=second) == {}
    assert until(lambda: holders(house, word) == [])
    assert outside("meet", word, program=PASSING) == {}


@only_session
def test_each_session_has_its_own_container_and_ends_it_alone(house: Living, word: str) -> None:
    for session in (ONE, TWO):
        meet(house, word, session=session)
    before = containers(house)
    assert {ONE, TWO} <= before.keys()
    assert before[ONE] != before[TWO]
    with held(house, word, TWO):
        house.client.request("sessions_reset", session=ONE)
        assert containers(house) == before
        assert meet(house, word, session=ONE) == {}
        house.client.request("sandbox_stop", agent=MAIN, session=ONE)
        after = containers(house)
        assert (ONE in after, after[TWO]) == (False, before[TWO])
        assert len(holders(house, word)) >= 2, "the other session's program was ended with it"
        assert within(house, after[TWO], word) == LASTING
        assert meet(house, word, session=ONE) == {}
        assert containers(house)[ONE] != before[ONE]
    assert containers(house)[TWO] == before[TWO]


def test_a_session_that_is_reset_leaves_nothing_though_its_program_ran(house: Living, word: str) -> None:
    before: Any = None
    with held(house, word, ONE) as holding:
        before = containers(house)
        house.client.request("sessions_reset", session=ONE)
        assert until(lambda: holders(house, word) == [])
        assert holding.join()["outcome"]["exit"] == 137
    assert containers(house) == before
    for session in (ONE, TWO):
        assert meet(house, word, session=session) == {}
