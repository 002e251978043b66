"""A whole gateway for measuring: a warden with its rights, and a child that gave its own up, as at every start.

The child is forked, not started anew, but otherwise becomes what a gateway is: its own account, its own view of the
machine, the house that ``app.wiring`` opens, real boxes. Parent and child take turns over two pipes, so that neither
measures while the other works: the child sends one line of JSON, the parent answers with one.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

import bascule
from bascule.app.egress import WaysOut
from bascule.app.programs import BoxPrograms
from bascule.app.start import plan_start
from bascule.app.wiring import BUILT_TOOLS, Ground, House, SystemClock, open_house
from bascule.core.canonical import Json
from bascule.host import accounts, split
from bascule.host.policy_files import load
from bascule.linux.calls import die_with_parent, forbid_new_privileges
from bascule.policy.places import APPROVALS_NAME, CONFIG_NAME
from bascule.sandboxes.boxes import RoutedBoxes
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.warden.client import WardenClient

AGENT = "main"

_CONFIG: Mapping[str, Json] = {
    "agents": {"list": [{"id": AGENT, "tools": {"allow": ["read", "write", "exec"]}}]},
    "tools": {"exec": {"security": "allowlist", "ask": "on-miss"}},
}

_APPROVALS: Json = {
    "version": 1,
    "defaults": {"security": "allowlist", "ask": "on-miss", "askFallback": "deny"},
    "agents": {
        AGENT: {"allowlist": [{"pattern": "/usr/bin/true"}, {"pattern": "/usr/bin/cat"}, {"pattern": "/usr/bin/curl"}]}
    },
}


@dataclass(frozen=True, slots=True)
class Line:
    """One end of the conversation between parent and child."""

    out: int
    back: int

    def say(self, **what: Any) -> None:
        """Send one object."""
        os.write(self.out, json.dumps(what).encode() + b"\n")

    def hear(self) -> dict[str, Any] | None:
        """Return the next object; None at the end."""
        said = b""
        while not said.endswith(b"\n"):
            part = os.read(self.back, 65536)
            if not part:
                return None
            said += part
        heard: dict[str, Any] = json.loads(said)
        return heard


@contextmanager
def a_home(build: Path, sandbox: Mapping[str, Json] | None = None, **sections: Json) -> Iterator[Path]:
    """Make a home with one agent in the checkout, on the disk the checkout is on, and remove it afterwards.

    Args:
        build: where.
        sandbox: of every agent; None for what a policy that says nothing gives.
        sections: of the configuration, besides the agent and its commands.
    """
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as folder:
        home = Path(folder).resolve()
        home.chmod(0o755)
        agents: Any = _CONFIG["agents"]
        config = {**_CONFIG, "agents": agents | ({"defaults": {"sandbox": sandbox}} if sandbox else {}), **sections}
        (home / CONFIG_NAME).write_text(json.dumps(config), "utf-8")
        (home / APPROVALS_NAME).write_text(json.dumps(_APPROVALS), "utf-8")
        yield home


@contextmanager
def started(home: Path, body: Any) -> Iterator[tuple[Line, int]]:
    """Start a warden and a child that runs ``body(home, warden, line)``; yields a line to it, and the agent's uid.

    Raises:
        BasculeError: the warden cannot start here.
    """
    start = plan_start(home, load(home).policy.agents)
    (child_reads, out), (back, child_writes) = os.pipe(), os.pipe()
    with split.start_warden(start) as warden:
        child = os.fork()
        if child == 0:
            os.close(out)
            os.close(back)
            _inside(start, home, warden, Line(child_writes, child_reads), body)
    os.close(child_reads)
    os.close(child_writes)
    try:
        yield Line(out, back), next(iter(start.agents.values()))
    finally:
        os.close(out)
        os.close(back)
        os.waitpid(child, 0)


def _inside(start: split.Start, home: Path, warden: socket, line: Line, body: Any) -> None:
    """Become the gateway, run the body, and never return; what goes wrong is told."""
    try:
        if start.subordinate is None:
            code = str(Path(bascule.__file__).resolve().parent)
            split.become_gateway(split.needed_paths(start.home, code), start.gateway)
        else:
            forbid_new_privileges()
        die_with_parent(signal.SIGKILL)
        body(home, warden, line)
    except BaseException as error:  # noqa: BLE001 -- a forked child must not go on as if it were its parent
        line.say(failed=f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


@asynccontextmanager
async def a_house(home: Path, warden: socket) -> AsyncIterator[tuple[House, WaysOut]]:
    """Open the home as the gateway does, in the running event loop; yield it and the ways out of it."""
    loaded = load(home, BUILT_TOOLS)
    table = accounts.load(home)
    client = WardenClient.attach(warden)
    ways = WaysOut(loaded.policy.agents)
    boxes = RoutedBoxes(Footing(client, loaded.policy.agents, table.agents if table else {}, os.geteuid(), ways))
    ground = Ground(
        account=lambda _agent: None,
        home=home,
        loaded=loaded,
        boxes=boxes,
        pages=boxes,
        programs=BoxPrograms(boxes.docker.look),
        ways=ways,
        environment={},
        mode="bench",
        ephemeral=True,
        log=lambda _line: None,
        stop=lambda: None,
        reached=lambda _boundary: None,
        clock=SystemClock(),
    )
    try:
        async with open_house(ground) as house:
            yield house, ways
    finally:
        client.close()
