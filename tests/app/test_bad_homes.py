"""Homes that are not as they should be: each start is refused in one line that says what to do, and changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.killing import processes_of
from tests.living import MAIN, Living, codes, effect, made_home, verb
from tests.ordinary import until

pytestmark = [pytest.mark.live, pytest.mark.slow]

CONFIG = "bascule.json5"
APPROVALS = "exec-approvals.json"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bad") / "home"
    made_home(home)
    return home


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Iterator[Path]:
    copy = tmp_path / "home"
    shutil.copytree(pristine, copy)
    yield copy
    verb(copy, "gateway", "stop")


def policy(edit: Callable[[str], str]) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        path = home / CONFIG
        before = path.read_text()
        path.write_text(edit(before))
        assert path.read_text() != before

    return spoil


def as_link(home: Path) -> None:
    (home / CONFIG).rename(home / "elsewhere")
    (home / CONFIG).symlink_to(home / "elsewhere")


def as_fifo(home: Path) -> None:
    (home / CONFIG).unlink()
    os.mkfifo(home / CONFIG)


def linked_run(home: Path) -> None:
    shutil.rmtree(home / "run")
    (home / "run").symlink_to(home / "logs")


def linked_state(home: Path) -> None:
    (home / "state").rename(home / "elsewhere")
    (home / "state").symlink_to(home / "elsewhere")


def garbled_database(home: Path) -> None:
    assert verb(home, "status").returncode == 0
    (home / "state" / "bascule.db").write_bytes(b"garbage" * 1000)


# What is done to a home, the status of `gateway start`, and what its one line must say.
SPOILT: dict[str, tuple[Callable[[Path], None], int, tuple[str, ...]]] = {
    "syntax": (policy(lambda text: text.replace("models: {", "models {", 1)), 2, ("bascule.json5:20:10", "colon")),
    "unknown key": (policy(lambda text: text.replace("models:", "modles:", 1)), 2, ("did you mean models?",)),
    "wrong type": (policy(lambda text: text.replace(": 600", ': "many"', 1)), 2, ("callsPerMinute", "integer")),
    "surprise": (policy(lambda text: text.replace('want: "ask"', 'want: "deny"', 1)), 2, ("wanted deny, got ask",)),
    "missing": (lambda home: (home / CONFIG).unlink(), 1, ("bascule init",)),
    "group may write": (lambda home: (home / CONFIG).chmod(0o664), 1, ("chmod go-w",)),
    "allowlist all may write": (lambda home: (home / APPROVALS).chmod(0o646), 1, ("everybody", "config verify")),
    "link": (as_link, 1, ("symbolic link",)),
    "fifo": (as_fifo, 1, ("plain file",)),
    "linked run": (linked_run, 1, ("run is not a plain directory",)),
    "linked state": (linked_state, 1, ("state is no directory but a link",)),
    "garbled database": (garbled_database, 1, ("damaged", "restore it from a copy")),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_start_is_refused_in_one_line(home: Path, name: str) -> None:
    spoil, status, said = SPOILT[name]
    spoil(home)
    done = verb(home, "gateway", "start")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert all(part in done.stderr for part in said), done.stderr
    log = home / "logs" / "gateway.log"
    assert not log.exists() or "Traceback" not in log.read_text()
    assert processes_of(home) == {}
    assert verb(home, "gateway", "status").returncode == 1


@pytest.mark.parametrize("content", ["{", '{"version": 1, "agents": []}', '{"version": 1, "agnets": {}}'])
def test_a_broken_allowlist_stops_programs_but_not_agents(home: Path, content: str) -> None:
    (home / APPROVALS).write_text(content)
    made = Living(home)
    made.start()
    denied = made.run("ls")
    assert effect(denied) == "deny"
    assert "approvals_file_broken" in codes(denied)
    assert "exec-approvals.json:1:" in str(denied["decision"])
    assert made.call("write", {"path": "workspace/x", "content": "x"})["outcome"]["ok"]
    assert any("exec-approvals.json" in found["message"] for found in made.client.request("status")["problems"])
    made.stop()


def test_a_second_gateway_is_told_of_the_first(home: Path) -> None:
    made = Living(home)
    made.start()
    for words in (("gateway", "start"), ("gateway", "start", "--foreground")):
        done = verb(home, *words)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "[gateway_running]" in done.stderr
    assert made.call("write", {"path": "workspace/x", "content": "x"})["outcome"]["ok"]
    made.stop()


def test_what_a_killed_gateway_leaves_lying_about_is_in_nobodys_way(home: Path) -> None:
    made = Living(home)
    made.start()
    os.kill(made.pid, signal.SIGKILL)
    made.client.close()
    assert until(lambda: processes_of(home) == {})
    (home / "run" / "control.sock").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(home / "run" / "control.sock"))
    (home / "run" / "lock").write_text("not a note")
    assert verb(home, "gateway", "status").returncode == 1
    stopped = verb(home, "gateway", "stop")
    assert (stopped.returncode, "[gateway_not_running]" in stopped.stderr) == (1, True)
    made.start()
    report = made.call("write", {"path": "workspace/x", "content": "x"})
    assert effect(report) == "allow", report["decision"]
    assert report["outcome"]["ok"]
    made.stop()


def test_what_the_operator_puts_into_a_workspace_can_be_read(home: Path) -> None:
    made = Living(home)
    before = made.root() / "workspace" / "before.md"
    before.write_text("before")
    made.start()
    after = made.root() / "workspace" / "after.md"
    after.write_text("after")
    for path in (before, after):
        assert made.call("read", {"path": f"workspace/{path.name}"})["outcome"]["content"] == path.stem
        assert made.run(f"cat workspace/{path.name}")["outcome"]["content"] == path.stem
        assert made.call("write", {"path": f"workspace/{path.name}", "content": "x"})["outcome"]["ok"]
    made.stop()


def test_half_a_home_is_taken_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "home" / "prompts").mkdir(parents=True)
    (tmp_path / "home" / "prompts" / MAIN).write_text("in the way")
    refused = verb(home, "init", "--team", "bruba")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert sorted(path.name for path in home.rglob("*")) == [MAIN, "prompts"]
    (tmp_path / "home" / "prompts" / MAIN).unlink()
    assert verb(home, "init", "--team", "bruba").returncode == 0
