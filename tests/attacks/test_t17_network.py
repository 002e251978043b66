"""T17: data leaves by network from a box. Every listener is first reached by the same program without a box."""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.attacks.probing import BACKENDS, READING, WRITING, inside, list_probe, outside
from tests.living import Living, content, effect, living

pytestmark = pytest.mark.live

ABSTRACT = "bascule-attack-" + secrets.token_hex(8)


class Listeners:
    """One of each kind on the host, counting whoever comes."""

    def __init__(self, workspace: Path) -> None:
        self.came = 0
        self._stop = threading.Event()
        self._selector = selectors.DefaultSelector()
        self.port = self._open(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)).getsockname()[1]
        self._open(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", self.port))
        self._open(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{ABSTRACT}")
        here = os.getcwd()
        os.chdir(workspace)  # a socket's name is short
        for name, kind in (
            ("stream", socket.SOCK_STREAM),
            ("datagram", socket.SOCK_DGRAM),
            ("packets", socket.SOCK_SEQPACKET),
        ):
            self._open(socket.AF_UNIX, kind, name)
            os.chmod(name, 0o777)
        os.chdir(here)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _open(self, family: int, kind: int, address: object) -> socket.socket:
        made = socket.socket(family, kind)
        made.bind(address)
        if kind != socket.SOCK_DGRAM:
            made.listen(64)
        self._selector.register(made, selectors.EVENT_READ)
        return made

    def _serve(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                assert isinstance(key.fileobj, socket.socket)
                self.came += 1
                if key.fileobj.type == socket.SOCK_DGRAM:
                    key.fileobj.recv(100)
                else:
                    with key.fileobj.accept()[0] as peer:
                        peer.settimeout(2)
                        peer.recv(100)
                        peer.send(b"reached")

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


@contextmanager
def listening(workspace: Path) -> Iterator[Listeners]:
    made = Listeners(workspace)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module", params=BACKENDS)
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Living, Listeners]]:
    with ExitStack() as stack:
        made = stack.enter_context(living(tmp_path_factory.mktemp("t17") / "home", list_probe, request.param))
        yield made, stack.enter_context(listening(made.root() / "workspace"))


def own_address() -> str:
    """An address of this machine that is not loopback, where it has one; asking sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        try:
            made.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(made.getsockname()[0])


SOCKETS = ("stream", "datagram", "packets")


def test_without_a_box_every_listener_is_reached(house: tuple[Living, Listeners]) -> None:
    made, listeners = house
    found = outside("network", own_address(), str(listeners.port), ABSTRACT, *SOCKETS, cwd=made.root() / "workspace")
    reached = {name for name, said in found.items() if said.startswith("ok")}
    assert {name.split()[0] for name in reached} == {"tcp", "udp", "unix", "socket"}
    assert {f"unix SOCK_STREAM @{ABSTRACT}", "unix SOCK_STREAM stream", "unix SOCK_DGRAM datagram"} <= reached
    assert listeners.came >= 8


@pytest.mark.parametrize("tool", [READING, WRITING])
def test_from_a_box_nothing_is_reached(house: tuple[Living, Listeners], tool: str) -> None:
    made, listeners = house
    before = listeners.came
    paths = [f"{start}/{name}" for start in ("/workspace/workspace", "workspace") for name in SOCKETS]
    found = inside(made, "network", own_address(), str(listeners.port), ABSTRACT, *paths, tool=tool)
    assert set(found.values()) == {"EAFNOSUPPORT"}
    assert len(found) > 30
    assert listeners.came == before


def test_no_file_tool_and_no_redirect_speaks_to_a_socket(house: tuple[Living, Listeners]) -> None:
    made, listeners = house
    before = listeners.came
    for name in SOCKETS:
        for tool, args in (("read", {}), ("write", {"content": "leak"}), ("edit", {"oldText": "a", "newText": "b"})):
            report = made.call(tool, {"path": f"workspace/{name}", **args})
            assert not (report["outcome"] and report["outcome"]["ok"])
        assert "reached" not in content(made.run(f"cat workspace/{name}"))
    for line in (f"cat < /dev/tcp/127.0.0.1/{listeners.port}", f"uname > /dev/udp/127.0.0.1/{listeners.port}"):
        assert effect(made.run(line)) == "deny"
    assert listeners.came == before


def test_a_box_sees_no_interface_but_an_empty_loopback(house: tuple[Living, Listeners]) -> None:
    made = house[0]
    seen = inside(
        made, "contents", "/proc/net/route", "/proc/net/ipv6_route", "/proc/net/unix", "/proc/net/tcp", "/proc/net/dev"
    )
    assert (
        ABSTRACT in outside("contents", "/proc/net/unix")["/proc/net/unix"]
        or ABSTRACT in Path("/proc/net/unix").read_text()
    )
    assert not any(ABSTRACT in said for said in seen.values())
    devices = [line.split(":")[0].strip() for line in seen["/proc/net/dev"].splitlines()[2:]]
    assert devices == ["lo"]
    assert len(seen["/proc/net/route"].splitlines()) == 1
    assert len(seen["/proc/net/tcp"].splitlines()) == 1
