"""The demo as a newcomer runs it: all as told, told differently by another policy, gone when interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from tests.house.reading import ROOT

pytestmark = [pytest.mark.live, pytest.mark.slow]

SECONDS = 240
TITLES = [
    json.loads(line)["title"]
    for name in ("day.jsonl", "turned.jsonl")
    for line in (ROOT / "demo" / name).read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


def start(top: Path, *words: str) -> subprocess.Popen[str]:
    top.chmod(0o755)
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(top), "COLUMNS": "400", "NO_COLOR": "1"},
    )  # fmt: skip


@pytest.fixture
def top() -> Any:
    # Shorter than pytest's own, and open to the agents' accounts as /tmp is.
    with tempfile.TemporaryDirectory(prefix="bascule-demo-test.") as name:
        yield Path(name)


def test_everything_goes_as_told_and_nothing_is_left(top: Path) -> None:
    process = start(top)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert "All as told" in out
    told, _, table = out.partition("WHAT THE MODEL ASKED")
    assert [title for title in TITLES if not re.search(rf"^  ok \w.* {re.escape(title)}$", told, re.MULTILINE)] == []
    rows = re.findall(r"^ok  (.{20})", table, re.MULTILINE)
    assert [row.split()[0] for row in rows] == [title.split()[0] for title in TITLES]
    assert list(top.iterdir()) == []


def edited(name: str, old: str, new: str) -> str:
    text = (resources.files("bascule.policy") / "templates" / "bruba" / name).read_text("utf-8")
    assert old in text
    return text.replace(old, new, 1)


def test_another_policy_is_another_table(top: Path, tmp_path: Path) -> None:
    listed = edited("exec-approvals.json", '"allowlist": [', '"allowlist": [{ "pattern": "/usr/bin/env" },')
    (tmp_path / "exec-approvals.json").write_text(listed)
    (tmp_path / "bascule.json5").write_text(edited("bascule.json5", 'deny: ["group:web", ', "deny: ["))
    process = start(top, "--json", "--policy", str(tmp_path))
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (1, "")
    told = json.loads(out)
    assert told["ok"] is False
    rows = {row["title"]: row for row in told["steps"]}
    assert list(rows) == TITLES
    program, tool = rows["run a program that is not listed"], rows["send data away with a tool it was denied"]
    assert [row["title"] for row in rows.values() if row["faults"]] == [program["title"], tool["title"]]
    assert (program["effect"], program["said"]) == ("ran", ["all 11 judges allow", "box: only env"])
    assert program["canary"] == "canary unseen"
    assert not any("l4_tool_deny" in line for line in tool["said"])
    assert list(top.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing_behind(top: Path) -> None:
    process = start(top)
    assert process.stdout is not None
    while "A working day" not in (line := process.stdout.readline()):
        assert line, process.communicate()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert err == "interrupted\neverything was stopped and removed\n"
    assert list(top.iterdir()) == []
