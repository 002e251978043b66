"""What a container pays for at every start: the modules its first process holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bascule

SOURCE = str(Path(bascule.__file__).resolve().parents[1])
DEAR = {
    "_pydatetime", "argparse", "ast", "collections", "contextlib", "ctypes", "dataclasses", "datetime", "enum",
    "functools", "hashlib", "inspect", "json", "logging", "pathlib", "re", "shutil", "signal", "socket", "subprocess",
    "tempfile", "threading", "typing",
}  # fmt: skip


@pytest.mark.parametrize("module", ["resident.main", "worker.main"])
def test_nothing_dear_is_imported(module: str) -> None:
    code = f"import sys; sys.path.append(sys.argv[1]); import bascule.sandboxes.{module}; print(*sys.modules)"
    words = [sys.executable, "-I", "-S", "-B", "-c", code, SOURCE]
    found = set(subprocess.run(words, capture_output=True, check=True, text=True).stdout.split())
    assert f"bascule.sandboxes.{module}" in found
    assert found & DEAR == set()
