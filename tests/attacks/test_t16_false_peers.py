"""T16: someone who is not trusted speaks to the gateway or to the warden."""

from __future__ import annotations

import ctypes
import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.attacks.probing import BACKENDS, inside, list_probe
from tests.living import Living, content, living
from tests.sandboxes.boxed import ONE, Ground, grounded, within

from bascule.control import place
from bascule.control.protocol import HEADER

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("t16") / "home", list_probe, request.param) as made:
        yield made


def greeted(made: Living, uid: int) -> str:
    """What the gateway says to a peer with this effective uid that got past every directory on the way."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        with suppress(BaseException):
            os.chdir(made.home / "run")
            os.seteuid(uid)  # whom the kernel names to the other end
            ctypes.CDLL(None).setfsuid(0)  # who opens the files on the way
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect("control.sock")
                said = frame(connection)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def frame(connection: socket.socket) -> str:
    length = int.from_bytes(connection.recv(HEADER, socket.MSG_WAITALL), "big")
    return connection.recv(length, socket.MSG_WAITALL).decode()


def test_root_is_greeted_and_no_agent_and_no_stranger_is(house: Living) -> None:
    assert "hello" in json.loads(greeted(house, 0))
    for uid in (*house.accounts()["agents"].values(), 65534, 54321):
        said = json.loads(greeted(house, uid))
        assert set(said) == {"refused", "kind"}
        assert said["refused"]["code"] == "peer_refused"


def test_an_agents_account_does_not_even_get_to_the_socket(house: Living) -> None:
    run = house.home / "run"
    assert (run / "control.sock").is_socket()
    assert run.stat().st_mode & 0o077 == 0
    assert run.stat().st_uid not in house.accounts()["agents"].values()
    reached = inside(house, "network", "127.0.0.1", "9", "none", str(run / "control.sock"))
    assert {said for name, said in reached.items() if name.startswith("unix")} == {"EAFNOSUPPORT"}


NOISE: dict[str, bytes] = {
    "nothing": b"",
    "half a length": b"\0\0",
    "a length that lies": (1 << 20).to_bytes(4, "big") + b"{}",
    "a huge length": b"\xff\xff\xff\xff" + b"A" * 4096,
    "no JSON": (5).to_bytes(4, "big") + b"hello",
    "no object": (2).to_bytes(4, "big") + b"[]",
    "deep": (100_000).to_bytes(4, "big") + b"[" * 100_000,
    "not ASCII": (4).to_bytes(4, "big") + "éé".encode(),
    "random": random.Random(16).randbytes(1 << 16),  # the same noise every time
    "another language": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


def framed(body: object) -> bytes:
    text = json.dumps(body).encode()
    return len(text).to_bytes(HEADER, "big") + text


NOISE |= {
    "no method": framed({"id": 1, "params": {}}),
    "foreign method": framed({"id": 1, "method": "__init__", "params": {}}),
    "private method": framed({"id": 1, "method": "_answer", "params": {"caller": "root"}}),
    "foreign parameter": framed({"id": 1, "method": "status", "params": {"uid": 0}}),
    "wrong type": framed({"id": 1, "method": "approvals_approve", "params": {"ref": 7}}),
    "no id": framed({"method": "shutdown", "params": {}}),
    "negative id": framed({"id": -1, "method": "shutdown", "params": {}}),
    "a caller of one's own": framed({"id": 1, "method": "shutdown", "params": {"caller": {"uid": 0}}}),
}


@pytest.mark.parametrize("name", NOISE)
def test_noise_on_the_control_socket_does_nothing(house: Living, name: str) -> None:
    pid, before = house.pid, len(house.records())
    connection = place.dial(house.home)
    assert connection is not None
    with connection:
        connection.settimeout(0.3)
        frame(connection)
        with suppress(OSError):
            connection.sendall(NOISE[name])
        with suppress(OSError):
            assert b'"result"' not in connection.recv(1 << 16)
    os.kill(pid, 0)
    assert len(house.records()) == before
    assert house.client.request("status")["pid"] == pid


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with grounded(tmp_path / "home", "root") as found:
        yield found


def asking(change: Callable[[dict[str, object]], object]) -> bytes:
    limits = {
        "memory_bytes": 1 << 28,
        "pids": 8,
        "cpu_seconds": 5,
        "wall_seconds": 5,
        "output_bytes": 1,
        "file_bytes": 1,
    }
    body: dict[str, object] = {"id": 7, "op": "start", "agent": ONE, "writable": True, "mounts": [], "limits": limits}
    change(body)
    return json.dumps(body).encode()


def mount(path: str) -> Callable[[dict[str, object]], object]:
    return lambda body: body.update(mounts=[{"path": path, "writable": True}])


GREEDY = {
    "a secret": asking(mount("/etc/shadow")), "the kernel": asking(mount("/proc")), "everything": asking(mount("/")),
    "above secrets": asking(mount("/etc")), "a uid": asking(lambda body: body.update(uid=0)),
    "an environment": asking(lambda body: body.update(environment={"LD_PRELOAD": "x"})),
    "a climb": asking(mount("/usr/../etc/shadow")), "a foreign agent": asking(lambda body: body.update(agent="root")),
    "a path for an agent": asking(lambda body: body.update(agent="../one")), "no bytes at all": b" ",
    "no limit": asking(lambda body: body.update(limits={})), "no language": random.Random(61).randbytes(4096),
}  # fmt: skip


def test_a_warden_gives_a_lying_gateway_nothing_and_goes_on(ground: Ground) -> None:
    home = [asking(mount(str(ground.home))), asking(mount(f"{ground.home}/state")), asking(mount(str(ground.root())))]
    for message in (*GREEDY.values(), *home):
        socket.send_fds(ground.socket, [message], [0])
        answer = json.loads(ground.socket.recv(1 << 17))
        assert answer["ok"] is False, message
    ground.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        ground.socket.recv(1)
    assert within(ground, lambda boxed: boxed.run("echo", "still there")).stdout == b"still there\n"


def test_the_gateway_that_noise_reached_still_serves(house: Living) -> None:
    house.call("write", {"path": "memory/x.md", "content": "mine"})
    assert content(house.call("read", {"path": "memory/x.md"})) == "mine"
