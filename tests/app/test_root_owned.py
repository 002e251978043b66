"""Policy files that belong to root and that nobody may write: the whole gateway works, and leaves them as they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.living import MAIN, Living, effect, living, verb

pytestmark = pytest.mark.live

FILES = ("bascule.json5", "exec-approvals.json")


def lock(made: Living) -> None:
    made.home.chmod(0o755)
    for name in FILES:
        os.chown(made.home / name, 0, 0)
        (made.home / name).chmod(0o444)


def seen(home: Path) -> dict[str, tuple[bytes, int, int, int]]:
    found = {}
    for name in FILES:
        stat = (home / name).stat()
        found[name] = ((home / name).read_bytes(), stat.st_mtime_ns, stat.st_ino, stat.st_mode)
    return found


def test_a_day_of_calls_approvals_and_grants_touches_neither_file(tmp_path: Path) -> None:
    with living(tmp_path / "home", lock) as made:
        before, at_start = seen(made.home), {name: (made.home / name).stat().st_ctime_ns for name in FILES}
        assert effect(made.call("write", {"path": "workspace/x.md", "content": "salt"})) == "allow"
        # What OpenClaw writes into its allowlist at every such call.
        assert effect(made.run("grep -n salt workspace/x.md")) == "allow"
        assert made.approved("read", {"path": "/etc/hostname"})["outcome"]["ok"]
        asked = made.run("stat workspace/x.md")
        assert effect(asked) == "ask"
        assert verb(made.home, "approvals", "approve", asked["approval"]["id"], "--similar").returncode == 0
        assert made.run("stat workspace/x.md")["outcome"]["ok"]
        assert json.loads(verb(made.home, "grants", "list", "--json").stdout)
        assert verb(made.home, "contain", MAIN).returncode == 0
        assert verb(made.home, "release", MAIN).returncode == 0
        made.stop()
        made.start()
        assert effect(made.run("grep -n salt workspace/x.md")) == "allow"
        assert seen(made.home) == before
        assert {name: (made.home / name).stat().st_ctime_ns for name in FILES} == at_start
        verified = verb(made.home, "config", "verify", "--json")
        assert verified.returncode == 0, verified.stderr
        found = json.loads(verified.stdout)
        assert (found["ok"], found["model"]) == (True, "root-owned")
        assert {row["mode"] for row in found["files"] if row["what"] == "policy"} == {"0444"}


def test_a_home_whose_policy_an_agent_could_write_does_not_start(tmp_path: Path) -> None:
    with living(tmp_path / "home") as made:
        made.stop()
        os.chown(made.home / "exec-approvals.json", made.uid(), made.uid())
        verified = verb(made.home, "config", "verify")
        assert verified.returncode == 1
        assert f"not fit for use: {made.home}/exec-approvals.json: agent {MAIN} owns the file" in verified.stdout
        refused = verb(made.home, "gateway", "start")
        assert refused.returncode == 1
        assert "[policy_exposed]" in refused.stderr
        os.chown(made.home / "exec-approvals.json", 0, 0)
        made.start()
        assert effect(made.call("write", {"path": "workspace/x.md", "content": "x"})) == "allow"
