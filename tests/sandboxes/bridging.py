"""A small internet of a test's own: a machine with an engine and its bridge, and a world behind one wire.

All of it lives in networks without names, which end with the processes in them; the machine's own network is left as it
is. What lies inside and what lies outside has listeners that count who comes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sandboxes.second_engine import SecondEngine

from bascule.linux.calls import CLONE_NEWNET, join_network, unshare

HOST, SITE = "11.22.33.1", "11.22.33.2"
"""The machine's own address on the wire and a site's in the world: both of a public range, routed nowhere else here."""

LATER = "11.22.33.77"
"""What the machine is called on the wire later."""

NEIGHBOUR, METADATA, CARRIER = "10.99.8.7", "169.254.169.254", "100.64.9.9"
"""What the world also has, and nobody in a box may reach."""

ANY_IP = "11.44.0.0/16"
"""Routed to the machine itself without standing at an interface."""

PORT = 7007
GATEWAY = "172.17.0.1"


@contextlib.contextmanager
def inside(network: int) -> Iterator[None]:
    """Be in another network for what is opened meanwhile."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    join_network(network)
    try:
        yield
    finally:
        join_network(own)
        os.close(own)


@contextlib.contextmanager
def own_network() -> Iterator[int]:
    """Leave this machine's network for an empty one and come back; gives a descriptor of the empty one."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    unshare(CLONE_NEWNET)
    try:
        made = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        ip("link", "set", "lo", "up")
        yield made
        os.close(made)
    finally:
        join_network(before)
        os.close(before)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20, capture_output=True)


class Counters:
    """Listeners by name, each of which counts; a name service among them, if one is asked for."""

    def __init__(self) -> None:
        self.came: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def open(self, name: str, address: str, port: int = PORT, answers: dict[bytes, str] | None = None) -> None:
        """Listen at an address of the network this is called in, by TCP and UDP."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.came[name] = 0
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            made = socket.socket(family, kind)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND: what is routed here may stand at no interface
            made.bind((address, port))
            if kind == socket.SOCK_STREAM:
                made.listen(64)
            made.setblocking(False)
            self._selector.register(made, selectors.EVENT_READ, (name, kind, answers))

    def total(self, *but: str) -> int:
        """How many came to all but these."""
        time.sleep(0.15)  # whoever was let in is counted by another thread
        return sum(count for name, count in self.came.items() if name not in but)

    def _serve(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                name, kind, answers = key.data
                with contextlib.suppress(OSError):
                    self._take(key.fileobj, kind, answers)
                    self.came[name] += 1

    @staticmethod
    def _take(listener: Any, kind: int, answers: dict[bytes, str] | None) -> None:
        if kind == socket.SOCK_STREAM:
            with listener.accept()[0] as peer:
                peer.sendall(b"hello from outside\n")
            return
        asked, whom = listener.recvfrom(4096)
        if answers is not None:
            listener.sendto(_answer(asked, answers), whom)
        else:
            listener.sendto(b"hello from outside\n", whom)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr] # sockets only
        self._selector.close()


def _answer(asked: bytes, answers: dict[bytes, str]) -> bytes:
    """What a name service says to a question after one address; only the first label counts."""
    end = asked.index(b"\0", 12) + 5
    question = asked[12:end]
    label = question[1 : 1 + question[0]]
    found = [answers[label]] if label in answers and question[-4:-2] == b"\0\1" else []
    head = asked[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0)
    return head + question + b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(one) for one in found)


@dataclass
class Internet:
    """What there is, while it is entered: :func:`internet`."""

    machine: int
    world: int
    engine: SecondEngine
    image: str
    counters: Counters
    made: list[str] = field(default_factory=list)

    def container(self) -> int:
        """Start a container of the operator's on the bridge and return its first process."""
        body = {"Image": self.image, "Cmd": ["/usr/bin/sleep", "600"], "HostConfig": {"NetworkMode": "bridge"}}
        identity, _ = self.engine.engine.create(f"strange-{len(self.made)}-{os.getpid()}", body)
        self.made.append(identity)
        self.engine.engine.start(identity)
        found = self.engine.engine.inspect(identity)
        assert found is not None
        return int(found["State"]["Pid"])


ANSWERS = {b"inward": NEIGHBOUR, b"metadata": METADATA, b"bridge": GATEWAY, b"itself": HOST, b"site": SITE}


@contextlib.contextmanager
def internet(folder: Path, root: Path) -> Iterator[Internet]:
    """Make it, with an engine that has the image of ``root``; this thread is on its machine meanwhile."""
    with own_network() as machine, contextlib.ExitStack() as undo:
        world = subprocess.Popen(["/usr/bin/unshare", "--net", "/bin/sh", "-c", "echo; exec sleep 1000"], stdout=-1)
        undo.callback(world.wait)
        undo.callback(world.kill)
        assert world.stdout is not None
        undo.callback(world.stdout.close)
        world.stdout.readline()
        there = os.open(f"/proc/{world.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        undo.callback(os.close, there)
        _wire(world.pid, there)
        engine = SecondEngine(folder, network=("--ip6tables=false",))
        undo.callback(engine.end)
        engine.start()
        counters = Counters()
        undo.callback(counters.close)
        made = Internet(machine, there, engine, engine.load(root), counters)
        undo.callback(lambda: [engine.engine.remove(one) for one in made.made])
        _listen(made)
        yield made


def _wire(pid: int, world: int) -> None:
    ip("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(pid))
    ip("addr", "add", f"{HOST}/24", "dev", "wire")
    ip("addr", "add", "fd77::1/64", "dev", "wire", "nodad")
    ip("link", "set", "wire", "up")
    ip("route", "add", "default", "via", SITE)
    ip("route", "add", "local", ANY_IP, "dev", "lo")
    with inside(world):
        ip("link", "set", "lo", "up")
        for address in (f"{SITE}/24", f"{NEIGHBOUR}/32", f"{METADATA}/32", f"{CARRIER}/32"):
            ip("addr", "add", address, "dev", "wire")
        ip("addr", "add", "fd77::2/64", "dev", "wire", "nodad")
        ip("link", "set", "wire", "up")
        ip("route", "add", "172.16.0.0/12", "via", HOST)


def _listen(made: Internet) -> None:
    counters = made.counters
    counters.open("the machine", "0.0.0.0")
    counters.open("the machine by another family", "::1")
    counters.open("the machine's on the wire by another family", "fd77::1")
    with inside(made.world):
        counters.open("site", SITE)
        counters.open("names", SITE, 53, ANSWERS)
        counters.open("neighbour", NEIGHBOUR)
        counters.open("metadata", METADATA)
        counters.open("carrier", CARRIER)
        counters.open("neighbour by another family", "fd77::2")
