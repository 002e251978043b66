"""A disk that is really full: a refusal, nothing half-written, and work goes on when there is room again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
MOUNT = 'mount -t tmpfs -o size=600k,mode=0700 tmpfs "$1" && exec "$2" -m tests.state.full "$1"'


@pytest.mark.live
def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", MOUNT, "sh", str(tmp_path), sys.executable],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": os.environ["PATH"]}, cwd=ROOT,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "durable": "Unavailable disk_full",
        "buffered": "Unavailable disk_full",
        "answer": "Unavailable disk_full",
        "question": "Unavailable disk_full",
        "state": "pending",
        "same": True,
        "chain": [],
        "after": "approved",
        "end": [],
        "integrity": "ok",
    }
    assert list(tmp_path.iterdir()) == []
