"""Killed anywhere: a link never works twice, a token that was called revoked is, and the record agrees with both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_killed_at_every_point(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tokens.killed", str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert len(said) > 10, done.stderr
    for found in said:
        assert found["verified"], found
        # A browser for a link, or the link itself: never both, never neither.
        assert (found["browsers"], found["recorded"], found["link"]) in {(0, 0, True), (1, 1, False)}, found
        assert found["browsers"] or not found["redeemed"], found
        assert found["token"] is (found["ended"] == 0), found
        assert not (found["revoked"] and found["token"]), found
    assert {found["link"] for found in said} == {found["token"] for found in said} == {True, False}
