"""The scripts and the Makefile: each parses, each target is listed, and bad machines are told what to do."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.house.reading import ROOT

SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file())


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_for_a_plain_shell(path: Path) -> None:
    assert path.read_text("utf-8").startswith("#!/bin/sh\n# ")
    assert os.access(path, os.X_OK)
    parsed = run("sh", "-n", str(path))
    assert (parsed.returncode, parsed.stderr) == (0, "")


def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    [phony] = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    listed = run("make", MAKEFLAGS="", MAKELEVEL="").stdout
    assert re.findall(r"^make ([\w-]+)  +\w", listed, re.MULTILINE) == phony.split()


def test_every_script_that_make_names_exists() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"scripts/([\w-]+)", text))
    assert named <= {path.name for path in SCRIPTS}


def test_an_old_python_is_refused_by_name(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    old.chmod(0o755)
    told = run("sh", "scripts/setup", PYTHON=str(old))
    assert told.returncode == 1
    assert told.stderr == f"setup: PYTHON={old} is not a Python of 3.11 or later\n"


def machine(tmp_path: Path, **programs: str) -> str:
    """A PATH of stand-ins before the real programs."""
    for name, body in programs.items():
        path = tmp_path / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
        path.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def test_a_machine_that_makes_no_box_is_told_so(tmp_path: Path) -> None:
    path = machine(
        tmp_path, bwrap="echo 'bwrap: no' >&2; exit 1", setpriv='while [ "$1" != bwrap ]; do shift; done; "$@"'
    )
    told = run("sh", "scripts/system", PATH=path)
    assert told.returncode == 1
    assert "bubblewrap cannot make a box here: bwrap: no" in told.stderr or "sysctl" in told.stderr


def test_a_missing_package_is_named_in_the_line_that_installs_it(tmp_path: Path) -> None:
    # As an ordinary user without sudo; no stand-in installs anything.
    path = machine(tmp_path, id="echo 1000", sudo="exit 1", python3="exit 1")
    told = run("sh", "scripts/system", PATH=path)
    assert told.returncode == 1
    assert "--no-install-recommends python3-venv'" in told.stderr
    assert told.stderr.count("apt-get install") == 1
