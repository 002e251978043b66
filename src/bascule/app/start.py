"""The short life before the gateway: accounts given out, a warden started, rights given up.

Stops: a gateway that keeps a right of whoever started it. Reads no more of the policy than the agents' names, and
compiles it only where it speaks of something unsafe, so that starting stays quick; the gateway itself reads, compiles
and rehearses all of it and says why it will not serve. Does not stop: a home whose owner is not who they should be; the
table of accounts says whose it is.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import bascule
from bascule.checkup.governing import refuse_exposed
from bascule.core.errors import BasculeError, Malformed, NotPermitted, Tampered, Unavailable
from bascule.core.ids import AgentId
from bascule.host import accounts, rights, split, sudoers
from bascule.host.agent_names import agent_names, lent_directories, named_profiles
from bascule.host.callprofiles import pinned
from bascule.host.directories import CANARY
from bascule.host.notify import service_manager
from bascule.host.site import site_of
from bascule.host.unsafe_agents import bridged, on_host, unsafe_agents
from bascule.linux.calls import die_with_parent, forbid_new_privileges
from bascule.sandboxes.warden.config import config_here, engine_socket, warden_command

READY = b"+"
"""What the gateway tells its parent once it serves."""

_LAST_SECONDS = 30.0
"""Of silence: a warden that ends waits for Docker to remove containers, and for nothing else."""

_LONGEST_WORD = 1 << 18

MODULE = "bascule.app"
"""What a gateway's fresh Python runs."""


def serve(
    home: Path, *, listener: socket.socket | None, connection: socket.socket | None, module: str = MODULE
) -> None:
    """Start warden and gateway, and return when the gateway is gone; the warden then ends by itself.

    Args:
        home: absolute path.
        listener: a bound socket to serve on until told to stop, or None.
        connection: the one connection to serve, or None.
        module: what the gateway's Python runs, taking the arguments of :func:`main`.

    Raises:
        BasculeError: they cannot start; the reason is the gateway's own.
    """
    served = listener if listener is not None else connection
    if served is None:
        raise ValueError("a gateway needs a socket to serve")
    home = Path(os.path.realpath(home))
    tell_manager = service_manager(os.environ)
    refuse_exposed(home)
    start = plan_start(home, agent_names(home))
    told, tell = os.pipe()
    with split.start_warden(start) as warden:
        kind = "listener" if listener is not None else "connection"
        granted = _granted()
        numbers = (served.fileno(), warden.fileno(), tell, granted)
        gateway = os.fork()
        if gateway == 0:
            _become(start, module, (str(home), kind, *map(str, numbers)), numbers, tell)
        os.close(tell)
        os.close(granted)
        served.close()
        _forward(gateway)
        refused = _refusal(told)
        if refused is None:
            tell_manager("READY=1")
        status = os.waitstatus_to_exitcode(os.waitpid(gateway, 0)[1])
        _see_out(warden)
    if refused is not None:
        raise refused
    if status:
        raise Unavailable("gateway_ended", f"the gateway ended with status {status}", "see logs/gateway.log")


def _see_out(warden: socket.socket) -> None:
    """Have the warden end, and return when it has; a manager of services kills at once what outlives this process."""
    with suppress(OSError):
        warden.settimeout(_LAST_SECONDS)
        warden.shutdown(socket.SHUT_WR)
        while warden.recv(_LONGEST_WORD):
            pass


def _granted() -> int:
    """Return a descriptor of sudo's rules as this process, which still has its rights, can read them."""
    descriptor = os.memfd_create("granted", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(rights.to_json(sudoers.read()))
    return descriptor


def plan_start(home: Path, agents: Iterable[AgentId]) -> split.Start:
    """Return what a warden's start needs, after giving every agent its account.

    Raises:
        BasculeError: accounts cannot be had.
    """
    table = _settle(home, agents)
    canary = str(home / "state" / CANARY)
    code = str(Path(bascule.__file__).resolve().parent)
    config = config_here(
        str(home), table.agents, table.gateway, protected=(code, *site_of(home).governing), canary=canary
    )
    filters, named = _filters(home), unsafe_agents(home)
    config = replace(
        config,
        engine=engine_socket(os.environ.get("DOCKER_HOST", "")),
        bridged=bridged(named) & table.agents.keys(),
        # Not with a single account: the gateway's own would be all that holds such a program.
        on_host=frozenset() if table.single else on_host(named) & table.agents.keys(),
        filters=filters,
    )
    return split.Start(
        str(home),
        home.stat().st_uid,
        table.gateway,
        table.agents,
        lambda number: warden_command(config, number),
        split.subordinate_of(home, table),
        lent_directories(home),
        tuple(path for path, _ in filters.values()),
    )


def _filters(home: Path) -> Mapping[AgentId, tuple[str, str]]:
    """Return which filter of system calls each agent's containers have: read here, once, with full rights.

    Raises:
        BasculeError: one of them cannot be carried out, or the policy that names them not be compiled.
    """
    if not named_profiles(home):
        return {}
    from bascule.host.policy_files import load  # noqa: PLC0415 -- compiling costs what no other start has to pay

    return pinned(load(home).policy)


def _settle(home: Path, agents: Iterable[AgentId]) -> accounts.Accounts:
    """Return the table; a single account for all only where none can be had and every agent's policy calls for it."""
    named = tuple(agents)
    try:
        return accounts.settle(home, named)
    except Unavailable as error:
        if error.code != "subuid_missing" or not _all_unsafe(home):
            raise
    return accounts.settle_single(home, named)


def _all_unsafe(home: Path) -> bool:
    from bascule.host.policy_files import load  # noqa: PLC0415 -- compiling costs what no other start has to pay

    rules = load(home).policy.agents.values()
    return bool(rules) and all(agent.sandbox.unsafe_single_uid for agent in rules)


def _become(
    start: split.Start, module: str, arguments: Sequence[str], descriptors: Sequence[int], tell: int
) -> NoReturn:
    """Turn a fresh child into the gateway; whatever goes wrong before is told and ends it."""
    try:
        if start.subordinate is None:
            needed = split.needed_paths(start.home, str(Path(bascule.__file__).resolve().parent))
            split.become_gateway((*needed, *start.governing), start.gateway)
        else:
            forbid_new_privileges()
        die_with_parent(signal.SIGTERM)
        split.exec_module(module, arguments, descriptors)
    except BasculeError as error:
        tell_refusal(tell, error)
    except BaseException as error:  # noqa: BLE001 -- nothing of a half-made process may go on
        tell_refusal(tell, Unavailable("gateway_start", f"the gateway cannot start: {error}"))
    finally:
        os._exit(125)


def tell_refusal(tell: int, error: BasculeError) -> None:
    """Say on the pipe to the parent why this process will not serve."""
    with suppress(OSError):
        said = f"{type(error).__name__}\0{error.code}\0{error.message}\0{error.remedy}"
        os.write(tell, said.encode("utf-8", "backslashreplace"))


def _forward(gateway: int) -> None:
    """Hand signals that mean "stop" on to the gateway; it ends in order, and then so do we."""

    def hand_on(number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(gateway, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)


def _refusal(told: int) -> BasculeError | None:
    """Wait until the gateway serves, and return None, or ends, and return why."""
    said = b""
    while (part := _read(told)) and not said.startswith(READY):
        said += part
    os.close(told)
    if said.startswith(READY):
        return None
    if not said:
        return Unavailable("gateway_ended", "the gateway ended before it could serve", "see logs/gateway.log")
    kind, code, message, remedy = (*said.decode("utf-8", "replace").split("\0"), "", "", "")[:4]
    return _KINDS.get(kind, Unavailable)(code, message, remedy)


def _read(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, 4096)
        except InterruptedError:
            continue


_KINDS: Mapping[str, type[BasculeError]] = {kind.__name__: kind for kind in (Malformed, NotPermitted, Tampered)}
