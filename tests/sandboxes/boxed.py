"""A real warden on a real home, as root or as an ordinary user with subordinate uids, for tests that look at boxes.

As an ordinary user: in a private mount namespace a throw-away account with a range of its own is put over
``/etc/passwd`` and friends, so that nothing of the machine changes; that account starts the warden and hands the
gateway's end of the socket back.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tests.sandboxes import daemon

import bascule
from bascule.core.box import BoxKey, PipelineRequest, PipelineResult, ProgramRun
from bascule.core.confinement import Limits
from bascule.core.ids import AgentId, cli_session
from bascule.core.paths import Layout
from bascule.core.plan import Program, ProgramKind
from bascule.core.policy import AgentPolicy, Backend, ExecPolicy, Quota, SandboxPolicy
from bascule.core.ports import WayOut
from bascule.host import gateway_view
from bascule.host.directories import CANARY
from bascule.host.programs import classify
from bascule.host.split import Start, Subordinate, needed_paths, start_warden
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes
from bascule.sandboxes.docker.backend import DockerBoxes
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.unsafe_none.backend import UnsafeNoneBoxes
from bascule.sandboxes.warden.client import WardenClient
from bascule.sandboxes.warden.config import config_here, warden_command

HERE = Path(__file__).resolve().parents[2]
SOURCE = str(Path(bascule.__file__).resolve().parents[1])
ONE, TWO = AgentId("one"), AgentId("two")
KEY = BoxKey(ONE, cli_session(ONE))
LIMITS = Limits(256 << 20, 32, 20, 20, 1 << 16, 1 << 20)
T = TypeVar("T")

ROOT_BASE = 1_950_000_000
USER = 54_321
RANGE = 700_000


@dataclass(frozen=True)
class Ground:
    """Where a warden stands: its home, who is who, and the socket to it."""

    home: Path
    mode: str
    uids: dict[AgentId, int]
    gateway: int
    socket: socket.socket

    def root(self, agent: AgentId = ONE) -> Path:
        """An agent's directory."""
        return self.home / "agents" / agent


class Boxed:
    """A backend in a running loop."""

    def __init__(self, ground: Ground, client: WardenClient, boxes: BubblewrapBoxes | DockerBoxes) -> None:
        self.ground, self.client, self.boxes = ground, client, boxes

    async def run(self, *argv: str, **options: Any) -> PipelineResult:
        """Run one program; ``stdin`` and ``limits`` besides the fields of ``ProgramRun``."""
        return await self.pipe([argv], **options)

    async def pipe(self, commands: list[tuple[str, ...]], **options: Any) -> PipelineResult:
        """Run a pipeline."""
        stdin, limits = options.pop("stdin", b""), options.pop("limits", LIMITS)
        key = options.pop("key", KEY)
        runs = tuple([ProgramRun(argv, await self.program(argv[0]), **options) for argv in commands])
        return await self.boxes.run(PipelineRequest(key, runs, stdin, limits))

    async def kill_everything(self, agent: AgentId) -> None:
        """End an agent's boxes behind the backend's back."""
        if isinstance(self.boxes, BubblewrapBoxes):
            await self.client.stop(agent)
        else:
            daemon.kill_containers(self.ground.home)
            await asyncio.sleep(0.1)

    async def program(self, word: str) -> Program:
        """A program as this backend's boxes have it."""
        own = word.startswith(str(self.ground.home))
        if isinstance(self.boxes, BubblewrapBoxes) or own:
            return program(word)
        paths = [word] if "/" in word else [f"/usr/bin/{word}", f"/bin/{word}"]
        real, digest, head = await self.boxes.look(ONE, paths)
        return classify(word, real, digest, head)


def program(word: str) -> Program:
    """A native program of this machine, or a script by its path."""
    real = os.path.realpath(shutil.which(word) or word)
    content = Path(real).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if content.startswith(b"#!"):
        return Program(word, real, ProgramKind.SCRIPT, digest, content[2:].split(b"\n")[0].split()[0].decode())
    return Program(word, real, ProgramKind.NATIVE, digest)


def policies(home: Path, network: str = "none", backend: Backend = Backend.BUBBLEWRAP) -> dict[AgentId, AgentPolicy]:
    """Two agents with the default box, this network, and this backend."""
    box = SandboxPolicy(network=network, backend=backend)
    return {
        name: AgentPolicy(name, name, "", {}, ExecPolicy(), box, Quota(), Layout(str(home), f"{home}/agents/{name}"))
        for name in (ONE, TWO)
    }


@contextmanager
def grounded(
    home: Path,
    mode: str,
    engine: str = daemon.SOCKET,
    *,
    filters: dict[AgentId, bytes] | None = None,
    pins: dict[AgentId, str] | None = None,
    bridged: frozenset[AgentId] = frozenset(),
) -> Iterator[Ground]:
    """Start a warden in one of the modes: ``root``, ``rootless``, or ``docker``, which is root with containers.

    ``filters`` are the operator's own of system calls, put beside the home; ``pins`` other digests than theirs. The
    warden was told that ``bridged`` may have a raw bridge.

    ``host`` and ``host-rootless`` are the first two with programs on the bare host.
    """
    home.mkdir(parents=True, exist_ok=True)
    on_host = frozenset({ONE, TWO} if mode.startswith("host") else ())
    if mode in {"root", "docker", "host"}:
        uids, gateway = {ONE: ROOT_BASE + 1, TWO: ROOT_BASE + 2}, ROOT_BASE
        if mode == "docker":
            daemon.record(home)
        pinned = {name: _filter(home, name, text, pins or {}) for name, text in (filters or {}).items()}
        unsafe = on_host, bridged
        connection = _start(home, uids, gateway, None, engine, pinned, unsafe)
    else:
        uids, gateway = {ONE: RANGE, TWO: RANGE + 1}, USER
        connection = _start_as_user(home, on_host)
    ground = Ground(home, mode, uids, gateway, connection)
    try:
        yield ground
    finally:
        connection.close()


def _filter(home: Path, name: AgentId, content: bytes, pins: dict[AgentId, str]) -> tuple[str, str]:
    path = home.parent / f"{name}.json"
    path.write_bytes(content)
    return str(path), pins.get(name, hashlib.sha256(content).hexdigest())


def _start(
    home: Path,
    uids: dict[AgentId, int],
    gateway: int,
    subordinate: Subordinate | None,
    engine: str = daemon.SOCKET,
    filters: dict[AgentId, tuple[str, str]] | None = None,
    unsafe: tuple[frozenset[AgentId], frozenset[AgentId]] = (frozenset(), frozenset()),
) -> socket.socket:
    config = config_here(str(home), uids, gateway, canary=f"{home}/state/{CANARY}")
    config = replace(config, engine=engine, filters=filters or {}, on_host=unsafe[0], bridged=unsafe[1])
    owner = home.stat().st_uid
    return start_warden(Start(str(home), owner, gateway, uids, lambda fd: warden_command(config, fd), subordinate))


def _start_as_user(home: Path, on_host: frozenset[AgentId]) -> socket.socket:
    os.chown(home, USER, USER)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        words = [sys.executable, "-P", str(Path(__file__).resolve()), str(home), str(theirs.fileno()), *on_host]
        subprocess.run(
            words,
            pass_fds=[theirs.fileno()],
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": f"{SOURCE}:{HERE}"},
        )
        _, files, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=files[0])


def _as_user(home: Path, descriptor: int, on_host: frozenset[AgentId]) -> None:
    """The child: put the account over the machine's tables, become it, start the warden, hand the socket back."""
    row = f"bascule-test:{RANGE}:65536\n"
    extra = {"passwd": f"bascule-test:x:{USER}:{USER}::/nonexistent:/bin/sh\n", "group": f"bascule-test:x:{USER}:\n"}
    folder = home.parent / "etc"
    folder.mkdir()
    names = ("passwd", "group", "subuid", "subgid")
    for name in names:
        text = Path("/etc", name).read_text() + extra[name] if name in extra else row
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    gateway_view.enter((*needed_paths(str(home), SOURCE), str(folder)), USER)
    for name in names:
        subprocess.run(["/usr/bin/mount", "--bind", str(folder / name), f"/etc/{name}"], check=True)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    uids = {ONE: RANGE, TWO: RANGE + 1}
    connection = _start(home, uids, USER, Subordinate(RANGE, RANGE, 65536), unsafe=(on_host, frozenset()))
    with socket.socket(fileno=descriptor) as back:
        socket.send_fds(back, [b"s"], [connection.fileno()])


def within(
    ground: Ground, body: Callable[[Boxed], Awaitable[T]], way: WayOut | None = None, network: str = "none"
) -> T:
    """Run ``body`` with a backend on the ground's warden; the client is let go afterwards, the warden is not.

    With ``way`` the agents' policy says ``network: proxy``, else ``network``.
    """

    async def main() -> T:
        client = WardenClient.attach(ground.socket.dup())
        on_host = ground.mode.startswith("host")
        make = DockerBoxes if ground.mode == "docker" else UnsafeNoneBoxes if on_host else BubblewrapBoxes
        backend = Backend.UNSAFE_NONE if on_host else Backend.BUBBLEWRAP
        agents = policies(ground.home, network if way is None else "proxy", backend)
        boxes = make(Footing(client, agents, ground.uids, ground.gateway, way))
        try:
            return await asyncio.wait_for(body(Boxed(ground, client, boxes)), 120)
        finally:
            await boxes.stop(None)
            client.close()

    return asyncio.run(main())


if __name__ == "__main__":
    _as_user(Path(sys.argv[1]), int(sys.argv[2]), frozenset(map(AgentId, sys.argv[3:])))
