"""The gateway process from its first moment without rights to its end.

Stops: a gateway that listens before its boxes can be made and its state is open, and one that ends without closing its
ledger. Does not stop: ``kill -9``; the next start finds and names what was under way.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bascule
from bascule.app import logs
from bascule.app.egress import WaysOut
from bascule.app.keeper import Keeper
from bascule.app.programs import BoxPrograms
from bascule.app.rehearsal import refuse_surprises
from bascule.app.start import READY, tell_refusal
from bascule.app.surfaces import Surfaces
from bascule.app.wiring import BUILT_TOOLS, Ground, House, SystemClock, open_house
from bascule.checkup.system import Watch
from bascule.control import place
from bascule.control.access import Access
from bascule.control.server import Hello, Server
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.policy import RAW_BRIDGE, Backend, Policy
from bascule.gate import Boundary
from bascule.host import accounts, rights
from bascule.host.policy_files import load
from bascule.host.rights import Rights
from bascule.host.site import site_of
from bascule.host.sudoers import Sudoers
from bascule.sandboxes.boxes import RoutedBoxes
from bascule.sandboxes.footing import Footing
from bascule.sandboxes.warden.client import WardenClient
from bascule.service.shapes import ErrorBody

LOG = logging.getLogger("bascule")

HEAD_SECONDS = 60
"""Between two signed heads of a ledger that grew: what a thief of the disk could cut off unseen."""

_SINGLE = ErrorBody(
    code="single_uid",
    message="warn: NO ACCOUNT ISOLATION: every agent runs under the account of the gateway and the operator; "
    "only its box keeps it from their files",
    remedy="give this account a range in /etc/subuid and /etc/subgid, then: bascule gateway restart",
)

_BARE_HOST = ErrorBody(
    code="unsafe_none",
    message="warn: NO SANDBOX FOR PROGRAMS of {}: they run on the bare host, with every file their account may read "
    "and every program of this machine",
    remedy="set sandbox.backend to bubblewrap or docker, then: bascule gateway restart",
)

_RAW_BRIDGE = ErrorBody(
    code="unsafe_bridge",
    message="warn: NO HOST RULES FOR PROGRAMS of {}: they reach every public address, past the proxy and all records",
    remedy="set sandbox.network to proxy, then: bascule gateway restart",
)

_WARDEN_GONE = ErrorBody(
    code="warden_gone",
    message="critical: the warden has ended; no box can be made, so every call is denied",
    remedy="run: bascule gateway restart",
)


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a gateway process is born with.

    Attributes:
        home: absolute path.
        owner: uid of the home's owner.
        kind: ``listener`` or ``connection``: what ``served`` is.
        served: descriptor to serve on.
        warden: descriptor of the socket to the warden.
        tell: descriptor to say on that we serve, or why we cannot.
        granted: descriptor of sudo's rules, which only whoever started us may have been able to read.
    """

    home: Path
    owner: int
    kind: str
    served: int
    warden: int
    tell: int
    granted: int


def _pass_by(_boundary: Boundary) -> None:
    """Nobody listens at the boundaries of an ordinary gateway."""


def main(arguments: Sequence[str], reached: Callable[[Boundary], None] = _pass_by) -> int:
    """Be the gateway: all rights are gone, all descriptors are here; ``reached`` as for :func:`run`."""
    parser = argparse.ArgumentParser(prog="bascule-gateway")
    parser.add_argument("home", type=Path)
    parser.add_argument("kind", choices=("listener", "connection"))
    for name in ("served", "warden", "tell", "granted"):
        parser.add_argument(name, type=int)
    given = parser.parse_args(arguments)
    logs.begin()
    owner = given.home.stat().st_uid
    return run(_inherited(given, owner), reached)


def _inherited(given: argparse.Namespace, owner: int) -> Inheritance:
    return Inheritance(given.home, owner, given.kind, given.served, given.warden, given.tell, given.granted)


def run(born: Inheritance, reached: Callable[[Boundary], None] = _pass_by) -> int:
    """Serve until told to stop; return the exit status. ``reached`` is told every boundary a crossing passes."""
    for descriptor in (born.served, born.warden, born.tell, born.granted):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 -- as the function is
    os.umask(0o077)
    try:
        asyncio.run(_serve(born, reached))
    except BasculeError as error:
        LOG.error("%s", error)  # noqa: TRY400 -- one line says it; the trace would not help an operator
        tell_refusal(born.tell, error)
        return 1
    except Exception:  # here, for the log makes visible what a trace quotes, and standard error as such does not
        LOG.exception("the gateway failed inside")
        tell_refusal(born.tell, Unavailable("internal_error", "the gateway failed inside", "see logs/gateway.log"))
        return 1
    return 0


async def _serve(born: Inheritance, reached: Callable[[Boundary], None]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loaded = load(born.home, BUILT_TOOLS)
    refuse_surprises(loaded)
    client = WardenClient.attach(socket.socket(fileno=born.warden))
    table = accounts.load(born.home)
    if table is None:
        raise Unavailable(
            "accounts_missing", f"{born.home} has no table of accounts", "start it with: bascule gateway start"
        )
    surfaces = Surfaces(loaded.policy, lambda line: LOG.info("%s", line))
    ways = WaysOut(loaded.policy.agents)
    boxes = RoutedBoxes(Footing(client, loaded.policy.agents, table.agents, os.geteuid(), ways))
    keeper = Keeper(loaded.policy, boxes, lambda line: LOG.warning("%s", line))
    watch = Watch(born.home, os.getpid(), loaded.policy.users)
    unsafe = _unsafe(loaded.policy)
    ground = Ground(
        home=born.home,
        loaded=loaded,
        boxes=boxes,
        programs=BoxPrograms(boxes.look),
        pages=boxes,
        ways=ways,
        environment=os.environ,
        mode=_mode(table),
        ephemeral=born.kind == "connection",
        log=lambda line: LOG.info("%s", line),
        stop=stopping.set,
        reached=reached,
        clock=SystemClock(),
        account=Rights(table.agents, _granted(born.granted)).of,
        trouble=lambda: (*_trouble(table, client), *unsafe, *surfaces.problems(), *keeper.problems(), *_machine(watch)),
        dashboard=surfaces.dashboard,
    )
    for said in (*((_SINGLE,) if table.single else ()), *unsafe):
        LOG.warning("%s (%s)", said["message"].removeprefix("warn: "), said["remedy"])
    access = Access(born.owner, os.geteuid(), site_of(born.home).operators)
    # With a single account an agent's is the operator's; then only its box, in which no socket is, keeps it away.
    uids = frozenset[int]() if table.single else frozenset(table.agents.values())
    try:
        async with open_house(ground) as house:
            boxes.heed(house.containment.reason)
            server = Server(house.office, access, lambda: uids, _hello(ephemeral=ground.ephemeral))
            await _attend(born, _Open(house, server, surfaces, keeper), stopping)
    finally:
        client.close()


def _unsafe(policy: Policy) -> tuple[ErrorBody, ...]:
    """What is said for as long as policy names the bare host, or a raw bridge."""
    boxes = {name: rules.sandbox for name, rules in policy.agents.items()}
    found = (
        (_BARE_HOST, [name for name, box in boxes.items() if box.backend is Backend.UNSAFE_NONE]),
        (_RAW_BRIDGE, [name for name, box in boxes.items() if box.network == RAW_BRIDGE]),
    )
    return tuple(
        ErrorBody(**{**said, "message": said["message"].format(", ".join(named))}) for said, named in found if named
    )


def _machine(watch: Watch) -> tuple[ErrorBody, ...]:
    """What is critical about this machine; ``bascule host check`` tells the rest."""
    return tuple(
        ErrorBody(code=finding.check, message=f"{finding.severity}: {finding.detail}", remedy=finding.remedy)
        for finding in watch.critical()
    )


def _granted(descriptor: int) -> Sudoers:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return rights.from_json(file.read())


def _mode(table: accounts.Accounts) -> str:
    if table.single:
        return "unsafe-single-uid"
    return "root" if table.gateway >= accounts.FIRST_UID else "rootless"


def _trouble(table: accounts.Accounts, client: WardenClient) -> tuple[ErrorBody, ...]:
    single = (_SINGLE,) if table.single else ()
    return single if client.alive else (*single, _WARDEN_GONE)


def _hello(*, ephemeral: bool) -> Hello:
    own = place.process(os.getpid())
    return Hello(bascule.__version__, os.getpid(), own.started if own else 0, ephemeral)


@dataclass(frozen=True, slots=True)
class _Open:
    """What a gateway attends to once its house is open."""

    house: House
    server: Server
    surfaces: Surfaces
    keeper: Keeper


async def _attend(born: Inheritance, opened: _Open, stopping: asyncio.Event) -> None:
    house, server, surfaces = opened.house, opened.server, opened.surfaces
    served = socket.socket(fileno=born.served)
    lasting = born.kind == "listener"
    await house.conversations.take_up(resume=lasting)
    serving = asyncio.ensure_future(server.serve(served) if lasting else server.attend(served))
    if lasting:
        await surfaces.open(house)
    os.write(born.tell, READY)
    _fall_silent(born.tell)
    ended = asyncio.ensure_future(stopping.wait())
    tasks: list[asyncio.Future[Any]] = [serving, ended, asyncio.ensure_future(_tick(house))]
    if lasting:
        tasks.append(asyncio.ensure_future(opened.keeper.keep(house.containment.reason)))

    async def close() -> None:
        if ended.done():
            # Before their connections close, which would cancel them: a turn that waits for an answer is to wait on.
            await house.conversations.turns.stop()
        await surfaces.close()

    await together(tasks, close)


def _fall_silent(tell: int) -> None:
    """Let the starter see the end of what is told; the number stays ours, so that nothing else is told to instead."""
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), tell, inheritable=False)


async def together(tasks: Sequence[asyncio.Future[Any]], close: Callable[[], Awaitable[None]]) -> None:
    """Wait until one of several tasks ends, ``close``, and end the others; what that one failed with is raised.

    So that none of them dies unseen: a gateway whose clock or keeper has stopped would go on and look healthy.
    """
    first, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    try:
        await close()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in first:
        task.result()


async def _tick(house: House) -> None:
    """Let questions run out on time even if nobody looks, and sign what the ledger has grown by."""
    signed = 0
    while True:
        for _ in range(HEAD_SECONDS):
            await asyncio.sleep(1)
            with suppress(BasculeError):
                await house.desk.tick()
        end, _ = house.ledger.end()
        if end != signed:
            with suppress(BasculeError):
                await asyncio.to_thread(house.ledger.anchor)
            signed = end
