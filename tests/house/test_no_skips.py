"""The rule of `tests/conftest.py`, tried on a suite of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.reading import TESTS

SUITE = """
import pytest

@pytest.mark.skip(reason="no such part")
def test_marked(): ...

def test_from_inside():
    pytest.skip("no such part")

@pytest.mark.xfail(strict=True)
def test_expected():
    assert False

def test_fine():
    assert True
"""


@pytest.mark.parametrize(
    ("strict", "closing"),
    [(False, "1 passed, 3 skipped, 1 xfailed"), (True, "1 failed, 1 passed, 1 xfailed, 2 errors")],
)
def test_a_skip_is_a_failure_where_none_is_allowed(tmp_path: Path, strict: bool, closing: str) -> None:
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_some.py").write_text(SUITE, "utf-8")
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.skip('no part', allow_module_level=True)\n", "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "BASCULE"))}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"],
        cwd=tmp_path,
        env=environment | ({"BASCULE_NO_SKIPS": "1"} if strict else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert closing in ran.stdout, ran.stdout
    assert ran.returncode == (1 if strict else 0)
