from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cli.program import bascule, command, environment
from tests.ordinary import until

from bascule.control import place


def gone(pid: int) -> bool:
    return until(lambda: place.process(pid) is None)


def test_start_status_stop(tmp_path: Path) -> None:
    assert bascule(tmp_path, "gateway", "status", "--json").status == 1
    started = bascule(tmp_path, "gateway", "start", "--json")
    assert started.status == 0, started.err
    pid = started.json["pid"]
    try:
        assert place.process(pid) is not None
        assert os.getsid(pid) != os.getsid(0)
        again = bascule(tmp_path, "gateway", "start", "--json")
        assert (again.status, again.error["code"]) == (1, "gateway_running")
        assert str(pid) in again.error["message"]
        found = bascule(tmp_path, "gateway", "status", "--json")
        assert (found.status, found.json["running"]) == (0, True)
        ran = [bascule(tmp_path, "call", "a", "fine", "--json").json["ledger"]["seq"] for _ in range(2)]
        assert ran == [1, 2], "both calls reached the one gateway"
    finally:
        stopped = bascule(tmp_path, "gateway", "stop", "--json")
    assert (stopped.status, stopped.json) == (0, {"running": False, "pid": pid})
    assert place.process(pid) is None
    assert not (tmp_path / "run" / "control.sock").exists()
    assert bascule(tmp_path, "gateway", "stop").status == 1


def test_restart_is_another_process(tmp_path: Path) -> None:
    first = bascule(tmp_path, "gateway", "restart", "--json").json["pid"]
    second = bascule(tmp_path, "gateway", "restart", "--json").json["pid"]
    assert bascule(tmp_path, "gateway", "stop").status == 0
    assert first != second
    assert place.process(first) is None


@pytest.mark.parametrize(("name", "code"), [("refuse", "simulated_refusal"), ("crash", "internal_error")])
def test_a_start_that_fails_says_why(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / name).touch()
    ran = bascule(tmp_path, "gateway", "start", "--json")
    assert (ran.status, ran.error["code"]) == (1, code)
    (tmp_path / name).unlink()
    assert bascule(tmp_path, "gateway", "start").status == 0
    assert bascule(tmp_path, "gateway", "stop").status == 0


def test_after_a_kill_the_next_start_takes_over(tmp_path: Path) -> None:
    pid = bascule(tmp_path, "gateway", "start", "--json").json["pid"]
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert bascule(tmp_path, "gateway", "status").status == 1
    assert bascule(tmp_path, "call", "a", "fine").status == 0
    again = bascule(tmp_path, "gateway", "start", "--json").json["pid"]
    assert again != pid
    assert bascule(tmp_path, "gateway", "stop").status == 0


def test_the_foreground_logs_to_standard_error_and_stops_on_request(tmp_path: Path) -> None:
    child = subprocess.Popen(
        command("gateway", "start", "--foreground"), env=environment(tmp_path), stderr=subprocess.PIPE
    )
    assert until(lambda: bascule(tmp_path, "gateway", "status").status == 0)
    stopped = bascule(tmp_path, "gateway", "stop", "--json")
    assert stopped.json["pid"] == child.pid
    assert child.wait(20) == 0
    assert child.stderr is not None
    child.stderr.close()


def test_verbs_without_a_gateway_take_turns(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        ran = list(pool.map(lambda _: bascule(tmp_path, "call", "a", "fine", "--json"), range(4)))
    assert [(one.status, one.json["ledger"]["seq"]) for one in ran] == [(0, 1)] * 4
    assert place.take_lock(tmp_path) is not None, "nobody is left holding the home"


def test_an_ephemeral_gateway_ends_with_its_verb_even_if_the_verb_is_killed(tmp_path: Path) -> None:
    child = subprocess.Popen(
        command("send", "bruba-main", "wait"), env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.read(8) == b"you said"
    found = place.holder(tmp_path)
    assert found is not None
    assert found.process.alive
    child.kill()
    child.communicate()
    assert gone(found.process.pid)


def test_the_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "logs" / "gateway.log").symlink_to(tmp_path / "victim")
    assert bascule(tmp_path, "gateway", "start", "--json").error["code"] == "log_failed"
    (tmp_path / "logs" / "gateway.log").unlink()
    os.link(tmp_path / "victim", tmp_path / "logs" / "gateway.log")
    assert bascule(tmp_path, "gateway", "start", "--json").error["code"] == "log_unsafe"
    assert (tmp_path / "victim").read_text() == "mine"
