"""T14: the warden, a file worker or a program is killed at an odd time, or the disk fills up on the way.

Whatever was under way ends with one clear line; nothing happens twice; where the machinery can be had again the next
call works, and where it cannot the status says what to do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.killing import Aside, Killable, client_of, killable, open_question, processes_of, size
from tests.living import MAIN, codes, effect, verb

pytestmark = [pytest.mark.live, pytest.mark.slow]

SLOW = (
    "#!/bin/sh\necho begun >> workspace/begun\nwhile [ ! -e workspace/go ]; do :; done\necho ended >> workspace/ended\n"
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    def prepare(made: Killable) -> None:
        tool = made.root() / "tools" / "slow.sh"
        tool.write_text(SLOW)
        tool.chmod(0o755)
        writes = '"pattern": "tools/*.sh", "writes": true,'
        made.change("exec-approvals.json", lambda text: text.replace('"pattern": "tools/*.sh",', writes))

    with killable(tmp_path_factory.mktemp("t14hands") / "home", prepare) as made:
        yield made


def appended(house: Killable) -> dict[str, Any]:
    return house.call("write", {"path": "workspace/log", "content": "x", "append": True})


def running(house: Killable, word: str, without: str = "bwrap") -> list[int]:
    """Processes of this home with a word on their command line, oldest first."""
    found = processes_of(house.home)
    return sorted(pid for pid, line in found.items() if word in line and without not in line)


def beside(house: Killable, command: str) -> Aside:
    """Start a command on a connection of its own, and wait until it runs."""
    marker = house.root() / "workspace" / "begun"
    before = size(marker)

    def ask() -> Any:
        options = {"session": None, "dry_run": False, "wait": 0.0, "as_operator": False}
        with client_of(house.home) as client:
            text = json.dumps({"command": command})
            return client.request("call", agent=MAIN, tool="exec", args_text=text, **options)

    under_way = Aside(ask)
    wait_until(lambda: size(marker) > before)
    return under_way


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_file_worker_killed_while_idle_costs_one_call_at_most(house: Killable) -> None:
    assert appended(house)["outcome"]["ok"]
    before = size(house.root() / "workspace" / "log")
    for pid in running(house, "worker.main"):
        os.kill(pid, signal.SIGKILL)
    first = appended(house)["outcome"]
    assert first["ok"] or first["content"] == "the file worker has ended [worker_dead]"
    assert appended(house)["outcome"]["ok"]
    assert size(house.root() / "workspace" / "log") == before + 1 + first["ok"]


def test_a_file_worker_killed_while_it_is_asked(house: Killable) -> None:
    assert appended(house)["outcome"]["ok"]
    before = size(house.root() / "workspace" / "log")
    workers = running(house, "worker.main")
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)

    def ask() -> Any:
        args = {"path": "workspace/log", "content": "y", "append": True}
        options = {"session": None, "dry_run": False, "wait": 0.0, "as_operator": False}
        with client_of(house.home) as client:
            return client.request("call", agent=MAIN, tool="write", args_text=json.dumps(args), **options)

    seen = house.client.request("status")["ledger_seq"]
    under_way = Aside(ask)
    wait_until(lambda: house.client.request("status")["ledger_seq"] >= seen + 2)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    outcome = under_way.join()["outcome"]
    assert (outcome["ok"], outcome["content"]) == (False, "the file worker has ended [worker_dead]")
    assert size(house.root() / "workspace" / "log") == before
    assert appended(house)["outcome"]["ok"]


def test_a_program_killed_is_a_program_that_failed(house: Killable) -> None:
    under_way = beside(house, "tools/slow.sh")
    for pid in running(house, "slow.sh"):
        os.kill(pid, signal.SIGKILL)
    outcome = under_way.join()["outcome"]
    assert (outcome["ok"], outcome["exit"]) == (False, 137)
    assert size(house.root() / "workspace" / "ended") == 0
    assert appended(house)["outcome"]["ok"]


@contextmanager
def small_state(house: Killable) -> Iterator[Path]:
    """Put the state of a stopped home on a file system of 2 MiB; yields the file that fills it."""
    state = house.home / "state"
    owner = state.stat()
    option = f"size=2m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    house.stop()
    subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(state)], check=True)
    try:
        yield state / "filler"
    finally:
        house.stop()
        subprocess.run(["umount", str(state)], check=True)
        house.start()


def fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for length in (65536, 4096, 1):
            try:
                while file.write(b"x" * length) == length:
                    pass
            except OSError:
                continue


def refused(house: Killable, action: Callable[[], Any]) -> str:
    """Do it until what room SQLite holds already is used up; return the code of the refusal."""
    for _ in range(40):
        aside = Aside(action)
        if not isinstance(result := aside.join(), dict):
            return str(result.code)
    return "never refused"


def test_a_full_disk_stops_effects_and_nothing_else(house: Killable, tmp_path: Path) -> None:
    log = house.root() / "workspace" / "log"
    outside = tmp_path / "outside"
    with small_state(house) as filler:
        house.start()
        question = house.call("write", {"path": str(outside), "content": "x"})["approval"]["id"]
        fill(filler)
        assert refused(house, lambda: appended(house)) == "disk_full"
        before, seq = size(log), house.client.request("status")["ledger_seq"]
        assert refused(house, lambda: appended(house)) == "disk_full"
        assert refused(house, lambda: house.client.request("approvals_approve", ref=question)) == "disk_full"
        assert (size(log), house.client.request("status")["ledger_seq"]) == (before, seq)
        assert house.client.request("approvals_show", ref=question)["state"] == "pending"
        told = verb(house.home, "gateway", "status")
        assert (told.returncode, "[disk_full]" in told.stdout) == (0, True)
        once = verb(house.home, "call", MAIN, "write", '{"path": "workspace/log", "content": "x"}')
        assert (once.returncode, once.stderr.count("\n")) == (2, 1)
        assert "free some space" in once.stderr
        filler.unlink()
        assert appended(house)["outcome"]["ok"]
        fill(filler)
        refused(house, lambda: appended(house))
        house.stop()
        again = verb(house.home, "gateway", "start")
        assert (again.returncode, again.stderr.count("\n")) == (1, 1)
        assert "[disk_full]" in again.stderr
        filler.unlink()
        house.start()
        assert open_question(house) == question
        assert house.verified().ok
        house.client.request("approvals_deny", ref=question)


def test_what_ran_while_the_disk_filled_up_is_never_called_undone(house: Killable) -> None:
    workspace = house.root() / "workspace"
    with small_state(house) as filler:
        house.start()
        before = size(workspace / "ended")
        under_way = beside(house, "tools/slow.sh")
        fill(filler)
        (workspace / "go").touch()
        error = under_way.join()
        (workspace / "go").unlink()
        assert size(workspace / "ended") > before
        assert error.code == "outcome_unrecorded"
        assert "check what is so" in error.remedy
        filler.unlink()
        house.stop()
        house.start()
        assert house.records()[-1]["kind"] == "unknown"
        assert house.client.request("status")["problems"][-1]["code"] == "outcome_unknown"


def test_a_state_that_cannot_be_written_refuses_to_start(house: Killable) -> None:
    with small_state(house):
        subprocess.run(["mount", "-o", "remount,ro", str(house.home / "state")], check=True)
        done = verb(house.home, "gateway", "start")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "Read-only file system" in done.stderr
        assert processes_of(house.home) == {}


def test_a_dead_warden_takes_every_box_along_and_the_status_says_what_to_do(house: Killable) -> None:
    before = size(house.root() / "workspace" / "log")
    under_way = beside(house, "tools/slow.sh")
    os.kill(running(house, "warden.process")[0], signal.SIGKILL)
    outcome = under_way.join()["outcome"]
    assert not outcome["ok"]
    assert "the warden" in outcome["content"]
    wait_until(lambda: running(house, "slow.sh") == running(house, "worker.main") == [])
    denied = appended(house)
    assert (effect(denied), codes(denied)) == ("deny", {"not_in_force"})
    assert size(house.root() / "workspace" / "log") == before
    told = verb(house.home, "gateway", "status")
    assert "bascule gateway restart" in told.stdout
    assert "[warden_gone]" in told.stdout
    house.stop()
    house.start()
    assert appended(house)["outcome"]["ok"]
    assert "warden_gone" not in {found["code"] for found in house.client.request("status")["problems"]}
