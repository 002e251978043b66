"""T27: something of a home outlives its gateway, its warden, both, or the engine's own help.

Each kind is there to be found while a program runs, which is the control: what looks for it can find it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.attacks.killing import Aside, client_of, processes_of
from tests.attacks.remains import groups_of, remains, settled
from tests.attacks.rootless import MODES, in_mode
from tests.living import MAIN, Living, content, effect, living
from tests.sandboxes import daemon

pytestmark = pytest.mark.live

OTHER = "bruba-guru"
ALL = ("process", "mount", "namespace", "container", "place", "socket", "descriptor")
LASTING = {
    "bubblewrap": ("process", "mount", "namespace", "group", "descriptor"),
    "docker": (*ALL[:4], "group", "descriptor"),
    "rootless": ("process", "mount", "namespace", "descriptor"),
}
"""What is there while a program runs."""


def wardens(made: Living) -> list[int]:
    return [pid for pid, words in processes_of(made.home).items() if "warden.process" in words]


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


ENDINGS: dict[str, Callable[[Living], None]] = {
    "stopped": lambda made: made.stop(),
    "gateway killed": lambda made: kill([made.pid]),
    "both killed": lambda made: kill([*wardens(made), made.pid]),
    "warden killed": lambda made: kill(wardens(made)),
    "warden stopped, gateway killed": lambda made: kill([made.pid]),
}


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Living]:
    with in_mode(tmp_path, request.param) as made:
        yield made


def busy(made: Living) -> Aside:
    """Two agents with warm workers, and a program that goes on by itself."""
    for agent in (MAIN, OTHER):
        assert content(made.call("read", {"path": "MEMORY.md"}, agent=agent)) is not None
        assert content(made.run("ls -d .", agent=agent)) == ".\n"
    options = {"agent": MAIN, "tool": "exec", "args_text": '{"command": "tail -f /dev/null"}', "session": None}

    def run() -> object:
        with client_of(made.home) as connection:
            return connection.request("call", dry_run=False, wait=0.0, as_operator=False, **options)

    running = Aside(run)
    deadline = time.monotonic() + 60
    while not any(words.startswith("/usr/bin/tail -f") for words in processes_of(made.home).values()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return running


@pytest.mark.parametrize(
    ("made", "ending"),
    [(mode, ending) for mode in MODES for ending in ENDINGS if mode != "rootless" or ending.endswith(" killed")],
    indirect=["made"],
)
def test_whatever_ends_it_nothing_of_it_is_left(made: Living, ending: str) -> None:
    running = busy(made)
    groups = groups_of(made)
    found = remains(made)
    assert {kind for kind in LASTING[made.backend] if not found[kind]} == set()
    if ending.startswith("warden stopped"):
        for pid in wardens(made):  # it cannot so much as notice that its gateway is gone
            os.kill(pid, signal.SIGSTOP)
        ENDINGS[ending](made)
        time.sleep(0.2)
        kill(wardens(made))
    else:
        ENDINGS[ending](made)
    lost = running.join()
    assert getattr(lost, "code", "") or lost["outcome"]["exit"] != 0
    gone = ALL if ending != "warden killed" else ("mount", "container", "place")
    left = settled(made, gone)
    assert {kind: left[kind] for kind in gone if left[kind]} == {}
    own = {pid: words for pid, words in processes_of(made.home).items() if "bascule" not in words}
    assert own == {}, "a program of an agent's goes on"
    made.stop()
    # A killed warden cannot remove its control groups; they hold nobody, and the next warden of the place removes them.
    held = [Path(group) for group in groups]
    assert held or made.backend == "rootless", "an ordinary user may have no group of processes"
    for group in [group for group in held if group.exists()]:
        assert all(path.read_text() == "" for path in group.glob("**/cgroup.procs"))
    made.start()
    assert content(made.run("ls -d .")) == ".\n"
    assert not any(group.exists() for group in held)
    made.stop()
    left = settled(made, ALL)
    assert {kind: left[kind] for kind in ALL if left[kind]} == {}


@pytest.mark.parametrize("made", ["docker"], indirect=True)
def test_a_shim_that_dies_costs_its_container_and_nothing_more(made: Living) -> None:
    running = busy(made)
    before = remains(made)["container"]
    assert len(before) == 2
    shims = [pid for container in before for pid in shims_of(container)]
    assert shims
    kill(shims)
    lost = running.join()
    assert not lost["outcome"]["ok"] if isinstance(lost, dict) else lost.code
    for agent in (MAIN, OTHER):
        assert content(until_runs(made, agent)) == ".\n"
    after = remains(made)["container"]
    assert after.isdisjoint(before)
    assert not [words for words in processes_of(made.home).values() if words.startswith("/usr/bin/tail")]


def shims_of(container: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if b"containerd-shim" in words.split(b"\0")[0] and container.encode() in words:
                found.append(int(entry.name))
    return found


def until_runs(made: Living, agent: str) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while True:
        report = made.run("ls -d .", agent=agent)
        if (effect(report) == "allow" and report["outcome"]["ok"]) or time.monotonic() > deadline:
            return report
        time.sleep(0.1)


def test_a_gateway_killed_while_its_container_is_made_leaves_no_place(tmp_path: Path) -> None:
    engine = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(engine))
        silent.listen()
        with living(tmp_path / "home", backend="docker", DOCKER_HOST=f"unix://{engine}") as made:
            asking = Aside(lambda: made.run("ls"))
            deadline = time.monotonic() + 60
            boxes = made.home / "state" / "boxes"
            while not (boxes.exists() and list(boxes.iterdir())):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            kill([made.pid])
            asking.join()
            assert list(boxes.iterdir()) != [], "it was not killed in the midst of it"
            made.stop()
            engine.unlink()
            engine.symlink_to(daemon.SOCKET)
            made.start(DOCKER_HOST=f"unix://{engine}")
            assert list(boxes.iterdir()) == []
            assert content(made.run("ls -d .")) == ".\n"


@pytest.mark.parametrize("made", MODES, indirect=True)
def test_an_agent_that_is_stopped_leaves_nothing_running(made: Living) -> None:
    running = busy(made)
    made.client.request("contain", agent=MAIN, reason="an attack")
    assert processes(made.uid()) == [], "something ran on after it was said to be over"
    running.join()
    made.run("ls -d .")
    made.run("ls *")
    assert made.client.request("agents_show", agent=MAIN)  # looking at it wakes nobody
    assert made.client.request("sandbox_explain", agent=MAIN)
    assert made.client.request("sandbox_probe", agent=MAIN, session=None)
    assert processes(made.uid()) == []
    assert daemon.containers(made.home) == [] or made.backend == "docker"
    assert content(made.run("ls -d .", agent=OTHER)) == ".\n"


def processes(uid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and entry.stat().st_uid == uid:
                found.append(int(entry.name))
    return found


def test_without_its_home_nothing_remembers_it(tmp_path: Path) -> None:
    with living(tmp_path / "home", backend="docker") as made:
        running = busy(made)
        made.stop()
        running.join()
        home = made.home
        shutil.rmtree(home)
        left = remains(made)
        assert {kind: left[kind] for kind in ALL if left[kind]} == {}
        assert not home.exists()
