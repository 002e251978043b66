"""After ``kill -9`` between any two statements the chain verifies, and no approval is lost or used twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_killed_anywhere_it_keeps_its_promises(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.state.killed", str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    deaths = [json.loads(line) for line in done.stdout.splitlines()]
    assert {death["point"] for death in deaths[:-1]} == {"begin", "statement", "before_commit", "committed", "synced"}
    assert (deaths[-1]["point"], len(deaths) > 60) == ("", True)
    assert [death for death in deaths if death["wrong"]] == []
