"""Containers through a gateway's whole life: warm at start, gone at stop, replaced by a new policy, swept after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.attacks.killing import processes_of
from tests.living import Living, content, living, verb
from tests.sandboxes import daemon

from bascule.sandboxes.docker.argv import LABEL_AGENT, LABEL_HOME, LABEL_PLACE
from bascule.sandboxes.docker.engine import Engine

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("containers can be tried by root only", allow_module_level=True)

WEB = "bruba-web"
SECONDS = 60.0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def warm(made: Living) -> None:
    daemon.record(made.home)
    made.change("bascule.json5", lambda text: text.replace('scope: "agent",', 'scope: "agent", warm: true,', 1))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Living]:
    with living(tmp_path / "home", warm) as made:
        yield made
    assert daemon.containers(tmp_path / "home") == []


def listed(house: Living) -> list[dict[str, object]]:
    done = verb(house.home, "sandbox", "list", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_agent_that_policy_keeps_warm_has_its_container_before_it_is_spoken_to(house: Living) -> None:
    until(lambda: daemon.containers(house.home))
    until(lambda: [box for box in listed(house) if box["state"] == "running" and box["idle"] is not None])
    (box,) = listed(house)
    assert (box["agent"], box["backend"], box["orphan"], box["session"]) == (WEB, "docker", False, "")
    assert house.client.request("status")["problems"] == []
    before = daemon.containers(house.home)
    (house.root(WEB) / "workspace" / "x.md").write_text("here\n")
    (house.root(WEB) / "workspace" / "x.md").chmod(0o644)
    assert content(house.call("read", {"path": "workspace/x.md"}, agent=WEB)) == "here\n"
    assert daemon.containers(house.home) == before


def test_what_cannot_be_warmed_delays_nothing_and_is_told(tmp_path: Path) -> None:
    def prepare(made: Living) -> None:
        warm(made)
        made.change("images.json", lambda _: "{}")

    with living(tmp_path / "home", prepare) as house:
        until(lambda: house.client.request("status")["problems"])
        problems = {found["code"]: found["message"] for found in house.client.request("status")["problems"]}
        assert "was never built or fetched" in problems["box_not_ready"]
        assert house.run("ls")["outcome"]["exit"] == 0
        daemon.record(house.home)
        until(lambda: not house.client.request("status")["problems"])
        assert len(daemon.containers(house.home)) == 1


def test_a_changed_policy_replaces_the_container_and_a_stop_leaves_none(house: Living) -> None:
    until(lambda: daemon.containers(house.home))
    before = daemon.containers(house.home)
    house.stop()
    assert daemon.containers(house.home) == []
    house.change("bascule.json5", lambda text: text.replace("pidsLimit: 64", "pidsLimit: 30, cpus: 0.5", 1))
    house.start()
    assert house.call("read", {"path": "MEMORY.md"}, agent=WEB)["outcome"] is not None
    (after,) = daemon.containers(house.home)
    assert after not in before
    found = Engine(daemon.SOCKET).inspect(after)
    assert found is not None
    assert found["HostConfig"]["CpuQuota"] == 50_000


def test_a_reset_session_leaves_the_container(house: Living) -> None:
    assert house.call("read", {"path": "MEMORY.md"}, agent=WEB)["outcome"] is not None
    before = daemon.containers(house.home)
    assert verb(house.home, "sessions", "reset", f"agent:{WEB}:cli").returncode == 0
    assert daemon.containers(house.home) == before
    assert len(before) == 1


def test_recreate_and_stop_from_the_command_line(house: Living) -> None:
    until(lambda: daemon.containers(house.home))
    before = daemon.containers(house.home)
    for words in ((WEB,), ("--session", f"agent:{WEB}:main")):
        done = verb(house.home, "sandbox", "recreate", *words)
        assert done.returncode == 0, done.stderr
        after = daemon.containers(house.home)
        assert (len(after), set(after) & set(before)) == (1, set())
        before = after
    done = verb(house.home, "sandbox", "stop", "--all", "--json")
    assert WEB in json.loads(done.stdout)["stopped"]
    assert daemon.containers(house.home) == []


def test_explaining_starts_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with living(home, lambda made: daemon.record(made.home)) as house:
        image = json.loads((home / "images.json").read_text())["bascule-box:bookworm"]["id"]
        with_gateway = verb(home, "sandbox", "explain", WEB)
        assert listed(house) == []
    without = verb(home, "sandbox", "explain", WEB)
    assert with_gateway.stdout == without.stdout
    assert image in without.stdout
    assert daemon.containers(home) == []


def test_what_a_crash_left_goes_at_the_next_start_and_another_homes_stays(house: Living) -> None:
    until(lambda: daemon.containers(house.home))
    engine = Engine(daemon.SOCKET)
    (own,) = daemon.containers(house.home)
    found = engine.inspect(own)
    assert found is not None
    os.kill(found["State"]["Pid"], signal.SIGSTOP)  # one that does not notice that its gateway has gone
    body = {"Image": found["Image"], "Cmd": ["/usr/bin/sleep", "1000"]}
    labels = {LABEL_HOME: f"{house.home}-other", LABEL_AGENT: WEB, LABEL_PLACE: "c" * 32, "bascule.warden": "gone"}
    stranger, _ = engine.create(f"bascule-stranger-{os.getpid()}", {**body, "Labels": labels})
    try:
        house.client.close()
        # Stopped first, so that no one of them is left to clear up after another.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in processes_of(house.home):
                with suppress(ProcessLookupError):
                    if pid != found["State"]["Pid"]:
                        os.kill(pid, number)
        until(lambda: set(processes_of(house.home)) <= {found["State"]["Pid"], *_inside(found["State"]["Pid"])})
        assert daemon.containers(house.home) == [own], "the attack works: it outlives its gateway"
        house.start()
        until(lambda: own not in daemon.containers(house.home))
        until(lambda: len(daemon.containers(house.home)) == 1)
        assert engine.inspect(stranger) is not None
        until(lambda: len(list((house.home / "state" / "boxes").iterdir())) == 0)
    finally:
        engine.remove(stranger)


def _inside(pid: int) -> set[int]:
    done = subprocess.run(["/usr/bin/pgrep", "-P", str(pid)], check=False, capture_output=True, text=True)
    return {int(line) for line in done.stdout.split()}


def test_one_key_moves_an_agent_between_backends_with_its_files(tmp_path: Path) -> None:
    agent = "bruba-main"
    with living(tmp_path / "home", lambda made: daemon.record(made.home)) as house:
        assert house.call("write", {"path": "workspace/kept.md", "content": "one\n"}, agent=agent)["outcome"]["ok"]
        assert listed(house)[0]["backend"] == "bubblewrap"
        for backend, other in (("docker", "bubblewrap"), ("bubblewrap", "docker")):
            house.stop()
            old, new = f'backend: "{other}",   //', f'backend: "{backend}",   //'
            house.change("bascule.json5", lambda text, old=old, new=new: text.replace(old, new, 1))
            house.start()
            read = house.call("read", {"path": "workspace/kept.md"}, agent=agent)
            assert content(read).startswith("one\n"), read
            assert listed(house)[0]["backend"] == backend
            more = {"path": "workspace/kept.md", "content": f"{content(read)}{backend}\n"}
            assert house.call("write", more, agent=agent)["outcome"]["ok"]
        assert (house.root(agent) / "workspace" / "kept.md").read_text() == "one\ndocker\nbubblewrap\n"
        assert (house.root(agent) / "workspace" / "kept.md").stat().st_uid == house.uid(agent)
    assert daemon.containers(tmp_path / "home") == []
