from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bascule.control import place
from bascule.control.place import Holder, Process
from bascule.core.errors import BasculeError


def code_of(work: object) -> str:
    with pytest.raises(BasculeError) as caught:
        work()
    return caught.value.code


def test_a_socket_is_found_below_a_very_long_home(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 200)
    home.mkdir()
    with place.listen(home) as listener, place.dial(home) as dialled:
        accepted, _ = listener.accept()
        dialled.sendall(b"hi")
        assert accepted.recv(2) == b"hi"
        accepted.close()
    assert oct((home / "run").stat().st_mode)[-4:] == "0700"
    assert oct((home / "run" / "control.sock").stat().st_mode)[-4:] == "0600"


def test_nobody_listens(tmp_path: Path) -> None:
    assert place.dial(tmp_path) is None
    place.listen(tmp_path).close()
    assert place.dial(tmp_path) is None
    place.withdraw(tmp_path)
    assert not (tmp_path / "run" / "control.sock").exists()
    assert place.dial(tmp_path) is None


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    place.listen(tmp_path).close()
    with place.listen(tmp_path), place.dial(tmp_path) as dialled:
        assert dialled.getpeername().endswith("control.sock")


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "control.sock").write_text("mine")
    assert code_of(lambda: place.listen(tmp_path)) == "run_unsafe"
    place.withdraw(tmp_path)
    assert (tmp_path / "run" / "control.sock").read_text() == "mine"


def test_a_home_must_be_there(tmp_path: Path) -> None:
    assert code_of(lambda: place.dial(tmp_path / "none")) == "home_missing"
    assert code_of(lambda: place.take_lock(tmp_path / "none")) == "home_missing"
    (tmp_path / "file").write_text("")
    assert code_of(lambda: place.listen(tmp_path / "file")) == "home_missing"


def test_no_link_is_followed_into_another_directory(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "run").symlink_to(tmp_path / "elsewhere")
    for work in (place.listen, place.take_lock, place.dial):
        assert code_of(lambda work=work: work(tmp_path / "home")) == "run_unsafe"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_run_directory_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    assert code_of(lambda: place.dial(tmp_path)) == "run_unsafe"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a directory away")
def test_a_strangers_run_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    os.chown(tmp_path / "run", 4_000_000, 0)
    assert code_of(lambda: place.dial(tmp_path)) == "run_unsafe"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a directory away")
def test_what_root_makes_in_anothers_home_is_the_others(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4321)
    listener, lock = place.listen(tmp_path), place.take_lock(tmp_path)
    owners = {path.stat().st_uid for path in (tmp_path / "run", *(tmp_path / "run").iterdir())}
    listener.close()
    lock.release()
    assert owners == {4321}


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    lock = place.take_lock(tmp_path)
    assert place.take_lock(tmp_path) is None
    lock.name_holder("gateway")
    assert place.holder(tmp_path) == Holder("gateway", place.process(os.getpid()))
    lock.release()
    again = place.take_lock(tmp_path)
    assert again is not None
    again.release()


def test_the_lock_lives_as_long_as_a_process_that_inherited_it(tmp_path: Path) -> None:
    lock = place.take_lock(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock.descriptor]
    )
    lock.release()
    assert place.take_lock(tmp_path) is None
    child.communicate(b"")
    again = place.take_lock(tmp_path)
    assert again is not None
    again.release()


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"kind": "gateway", "pid": "x", "started": 1}', "\x00"])
def test_a_note_that_cannot_be_read_names_nobody(tmp_path: Path, note: str) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "lock").write_text(note)
    assert place.holder(tmp_path) is None


def test_a_process_is_its_pid_and_its_start() -> None:
    own = place.process(os.getpid())
    assert own.alive
    assert not Process(own.pid, own.started + 1).alive
    assert place.process(2**22 + 1) is None
    child = subprocess.Popen([sys.executable, "-c", ""])
    found = place.process(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert found is not None
    assert not found.alive, "a zombie has ended"
    child.wait()


def test_the_listener_is_never_reachable_by_others_even_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    listen = socket.socket.listen

    def spy(self: socket.socket, backlog: int) -> None:
        modes.append((tmp_path / "run" / "control.sock").stat().st_mode & 0o777)
        listen(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", spy)
    place.listen(tmp_path).close()
    assert json.dumps(modes) == json.dumps([0o600])
