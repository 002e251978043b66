"""T18: the gateway itself is taken over. It has no right to use, no engine to speak to, and nothing that governs to write."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.killing import processes_of
from tests.attacks.probing import outside
from tests.living import Living, content, living
from tests.sandboxes import daemon

from bascule.linux.calls import join_mounts

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("t18g") / "home", backend="docker") as made:
        assert content(made.run("ls -d .")) == ".\n"
        yield made


def status(pid: int) -> dict[str, str]:
    rows = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.strip() for name, _, value in rows}


def as_gateway(house: Living, action: Callable[[], object], *, view: bool = False) -> str:
    """What comes of an action under the gateway's account, in the machine as it is or, ``view``, as it sees it."""
    reading, writing = os.pipe()
    namespace = os.open(f"/proc/{house.pid}/ns/mnt", os.O_RDONLY)
    uid = int(house.accounts()["gateway"])
    child = os.fork()
    if child == 0:
        said = "ok"
        try:
            if view:
                join_mounts(namespace)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            action()
        except OSError as error:
            said = type(error).__name__
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    for descriptor in (writing, namespace):
        os.close(descriptor)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def reach(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(path)


def test_the_kernel_knows_no_right_of_it(house: Living) -> None:
    said, uid = status(house.pid), str(house.accounts()["gateway"])
    assert said["Uid"].split() == said["Gid"].split() == [uid] * 4
    assert uid != "0"
    assert [int(said[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
    assert said["NoNewPrivs"] == "1"
    assert said["Groups"].split() == []
    assert int(outside("who")["CapEff"], 16) != 0


def test_it_holds_no_engine_and_cannot_reach_it(house: Living) -> None:
    engine = os.path.realpath(daemon.SOCKET)
    inodes = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines() if line.endswith(engine)}
    held = {os.readlink(f"/proc/{house.pid}/fd/{number}") for number in os.listdir(f"/proc/{house.pid}/fd")}
    assert held
    assert inodes.isdisjoint(name.removeprefix("socket:[").rstrip("]") for name in held)
    assert not any("docker" in name or "containerd" in name for name in held)
    reach(engine)  # root does
    assert as_gateway(house, lambda: reach(engine)) == "PermissionError"
    table = Path(f"/proc/{house.pid}/environ").read_bytes()
    assert b"PATH=" in table


def test_it_neither_enters_nor_ends_the_warden(house: Living) -> None:
    wardens = [pid for pid, words in processes_of(house.home).items() if "warden.process" in words]
    assert wardens
    for pid in wardens:
        assert status(pid)["Uid"].split()[0] == "0"
        Path(f"/proc/{pid}/environ").read_bytes()  # root does
        for action in (
            lambda pid=pid: os.kill(pid, signal.SIGKILL),
            lambda pid=pid: Path(f"/proc/{pid}/environ").read_bytes(),
            lambda pid=pid: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR)),
            lambda pid=pid: os.listdir(f"/proc/{pid}/root/"),
            lambda pid=pid: os.listdir(f"/proc/{pid}/fd"),
        ):
            assert as_gateway(house, action) == "PermissionError"


@pytest.mark.parametrize(
    "name",
    ["bascule.json5", "exec-approvals.json", "images.json", "accounts.json", "prompts/new.md", "new", "agents/new"],
)
def test_it_writes_nothing_that_governs(house: Living, name: str) -> None:
    path = house.home / name
    before = path.read_bytes() if path.exists() else None
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))  # root does
    if before is None:
        path.unlink()
    assert as_gateway(house, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT)), view=True) in {
        "PermissionError",
        "OSError",
    }
    assert as_gateway(house, lambda: os.rename(path, f"{path}.old"), view=True) in {
        "PermissionError",
        "FileNotFoundError",
        "OSError",
    }
    assert (path.read_bytes() if path.exists() else None) == before
    state = house.home / "state" / "mine"
    assert as_gateway(house, lambda: os.close(os.open(state, os.O_WRONLY | os.O_CREAT)), view=True) == "ok"
    state.unlink()
