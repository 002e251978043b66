"""A scripted model through the real loop: errors, expectations, and a position that survives the process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtime.world import SESSION, TickingClock, asks, ran, world

from bascule.core.answer import State
from bascule.core.errors import Malformed, Unavailable
from bascule.runtime.events import TurnStatus
from bascule.runtime.history import History
from bascule.runtime.providers.scripted import load
from bascule.state.connection import Database

ROOT = Path(__file__).resolve().parents[3]


def script(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "demo.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_lines_are_played_in_order_and_errors_are_errors(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        {"error": {"status": 429, "retry_after": 2}},
        {"say": "let me read", "calls": [{"tool": "read", "args": {"path": "a"}}]},
        {"say": "it says so", "expect": {"contains": "forty-two", "tools": ["read"]}},
    )
    w = world(tmp_path, load(path), [ran("forty-two")])
    ended = asyncio.run(w.say("go"))
    assert (ended.status, ended.text, w.pauses) == (TurnStatus.DONE, "it says so", [2.0])
    assert asyncio.run(w.say("more")).code == "script_ended"
    w.close()


@pytest.mark.parametrize("expect", [{"contains": "never said"}, {"tools": ["read", "nuke"]}])
def test_an_expectation_that_fails_ends_the_turn_with_its_line(tmp_path: Path, expect: object) -> None:
    w = world(tmp_path, load(script(tmp_path, {"say": "x", "expect": expect})))
    ended = asyncio.run(w.say("go"))
    assert (ended.status, ended.code) == (TurnStatus.FAILED, "script_expectation")
    assert ended.message.startswith("demo.jsonl:1:")
    w.close()


def test_a_missing_or_broken_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        load(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    with pytest.raises(Malformed):
        load(tmp_path / "bad")


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[3], sys.argv[3] + "/src"]
from tests.runtime.world import asks, ran, world
from bascule.runtime.providers.scripted import load

async def die(proposal):
    os.kill(os.getpid(), signal.SIGKILL)

w = world(Path(sys.argv[1]), load(Path(sys.argv[1]) / "demo.jsonl"), [ran("one"), asks(4) if sys.argv[2] == "waiting" else die])
if sys.argv[2] == "waiting":
    async def wait(approval_id, seconds):
        os.kill(os.getpid(), signal.SIGKILL)
    w.desk.wait = wait
asyncio.run(w.say("go"))
"""


def killed(tmp_path: Path, how: str) -> None:
    script(
        tmp_path,
        {"calls": [{"tool": "read", "args": {}}, {"tool": "exec", "args": "{}"}, {"tool": "read", "args": "{3}"}]},
        {"say": "the end"},
    )
    command = [sys.executable, "-c", KILLED, str(tmp_path), how, str(ROOT)]
    done = subprocess.run(command, env={"PATH": os.defpath}, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.live
def test_after_kill_a_waiting_turn_goes_on_where_it_was(tmp_path: Path) -> None:
    killed(tmp_path, "waiting")
    w = world(tmp_path, load(tmp_path / "demo.jsonl"), [ran("two"), ran("three")])
    w.desk.settle("apr_0000000000000004", State.APPROVED)

    async def story() -> None:
        (turn,) = (await w.turns.recover()).waiting
        assert (await w.turns.resume(turn, w.setting, w.events.append)).text == "the end"

    asyncio.run(story())
    assert [p.untrusted_args for p in w.gate.proposals] == ["{}", "{3}"]
    w.close()


@pytest.mark.live
def test_after_kill_in_a_call_nothing_is_run_again(tmp_path: Path) -> None:
    killed(tmp_path, "crossing")
    w = world(tmp_path, load(tmp_path / "demo.jsonl"), [asks(9)])
    found = asyncio.run(w.turns.recover())
    assert found.waiting == ()
    assert [ended.code for ended in found.interrupted] == ["turn_interrupted"]
    told = [answer.told.value for answer in w.history.messages(SESSION)[2].answers]
    assert told == ["done", "unknown", "cancelled"]
    assert w.gate.proposals == []
    assert asyncio.run(w.say("go on")).text == "the end"
    w.close()
    database = Database(tmp_path / "state.db")
    assert History(database, TickingClock()).open_turns() == ()
    database.close()
