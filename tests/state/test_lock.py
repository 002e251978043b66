"""One process owns a home, and says who."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bascule.core.errors import Tampered, Unavailable
from bascule.state.lock import HomeLock, prepare

HOLD = """
import sys
from pathlib import Path
from bascule.state.lock import HomeLock
lock = HomeLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    with HomeLock(tmp_path), pytest.raises(Unavailable) as caught:
        HomeLock(tmp_path)
    assert caught.value.code == "home_locked"
    assert f"pid {os.getpid()}" in caught.value.message
    with HomeLock(tmp_path):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_killed_holder_needs_no_cleaning_up(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Unavailable, match=f"pid {holder.pid}"):
            HomeLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
    with HomeLock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable) as caught:
        HomeLock(tmp_path)
    assert (caught.value.code, (tmp_path / "elsewhere").exists()) == ("state_cannot_open", False)


def test_the_state_directory_is_made_private_and_refused_otherwise(tmp_path: Path) -> None:
    state = tmp_path / "state"
    prepare(state)
    prepare(state)
    assert state.stat().st_mode & 0o777 == 0o700
    state.chmod(0o750)
    with pytest.raises(Tampered) as caught:
        prepare(state)
    assert caught.value.code == "state_mode"
    (tmp_path / "link").symlink_to(state)
    with pytest.raises(Tampered) as caught:
        prepare(tmp_path / "link")
    assert caught.value.code == "state_owner"
    with pytest.raises(Unavailable):
        prepare(tmp_path / "no" / "state")
