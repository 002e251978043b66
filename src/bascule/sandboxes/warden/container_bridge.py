"""A container on the engine's bridge: rules for its packets first, then the interface, then each rule tried out.

Stops: a container ever having an interface in a network where the rules are not in force: they are made while there is
nothing but loopback, by root from outside, and nobody in the container has the right to change them. What the kernel
says is in force is read back, and packets are tried. Done by a copy of the warden that ends thereafter. Does not stop:
what ``bridge_rules`` does not.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import socket
from collections.abc import Mapping, Sequence

from bascule.core.errors import Unavailable
from bascule.linux import nft
from bascule.linux.calls import join_network
from bascule.linux.host_addresses import default_ttl, own_addresses
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.warden import bridge_rules

BRIDGE = "bridge"
"""The engine's own name of the bridge it has from the start."""

_NONE = "none"
_ENVIRONMENT = {"LC_ALL": "C"}
_DISCARD = 9
"""Port of the service that throws away what it gets; nothing should get there in any case."""

_LONGEST = 1 << 20


def put_on_bridge(engine: Engine, container: str, process: int) -> None:
    """Put a container that has no network on the bridge; this process stays in the container's network.

    Args:
        engine: has it.
        container: its id.
        process: a descriptor of ``/proc/<pid>`` of its first process.

    Raises:
        Unavailable: there is no bridge, or its rules cannot be made, or do not hold.
    """
    program = _program()
    try:
        machine = own_addresses()
        wanted = bridge_rules.rules((*machine, *_subnets(engine)), default_ttl())
        _join(process)
        _run(program, ("-f", "-"), bridge_rules.text(wanted).encode())
        listed = json.loads(_run(program, ("-j", "list", "table", "inet", bridge_rules.TABLE), b""))
        problem = bridge_rules.problem(listed, wanted)
        if problem:
            raise _failed(problem)
        engine.leave(_NONE, container)
        engine.join(BRIDGE, container)
        box = _settled(engine.inspect(container), machine)
        leak = _leak(bridge_rules.probes(wanted, box))
    except (OSError, ValueError) as error:
        raise _failed(str(error)) from None
    if leak:
        raise _failed(f"a packet to {leak} was not refused")


def _failed(why: str) -> Unavailable:
    return Unavailable(
        "bridge_rules",
        f"a container on the bridge cannot be held to public addresses: {why[:200]}",
        "set sandbox.network to proxy",
    )


def _program() -> str:
    found = nft.find()
    if not found:
        raise Unavailable(
            "nft_missing",
            "without nft nothing would hold a container on the bridge to public addresses",
            "apt-get install nftables, or set sandbox.network to proxy",
        )
    return found


def _subnets(engine: Engine) -> tuple[str, ...]:
    """The bridge's own IPv4 networks, which need not be private ones."""
    known = engine.network(BRIDGE)
    if known is None or known.get("Driver") != BRIDGE:
        raise Unavailable(
            "bridge_missing", "this Docker has no bridge", "start it without --bridge=none, or set network to proxy"
        )
    settings = known.get("IPAM")
    rows = settings.get("Config") if isinstance(settings, Mapping) else None
    named = [str(row["Subnet"]) for row in rows or () if isinstance(row, Mapping) and "Subnet" in row]
    return tuple(name for name in named if ":" not in name)


def _join(process: int) -> None:
    """Go into the container's network, which must be its own and hold nothing but loopback."""
    namespace = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    try:
        if os.path.samestat(os.fstat(namespace), os.stat("/proc/self/ns/net")):
            raise _failed("it has the machine's own network")
        join_network(namespace)
    finally:
        os.close(namespace)
    names = [name for _, name in socket.if_nameindex()]
    if names != ["lo"]:
        raise _failed(f"its network holds {', '.join(names)[:100]} already")


def _run(program: str, words: Sequence[str], fed: bytes) -> bytes:
    """Run a program in this process's network and return what it says.

    Raises:
        Unavailable: it fails; with its reason.
        OSError: it cannot be run.
    """
    # Files of no name, not pipes: nobody waits for anybody, however much is said.
    files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("in", "out", "err")]
    try:
        os.write(files[0], fed)
        os.lseek(files[0], 0, os.SEEK_SET)
        places = [(os.POSIX_SPAWN_DUP2, file, place) for place, file in enumerate(files)]
        pid = os.posix_spawn(program, (program, *words), _ENVIRONMENT, file_actions=places)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said, complaint = (os.pread(file, _LONGEST, 0) for file in files[1:])
    finally:
        for file in files:
            os.close(file)
    if status:
        raise _failed(f"nft says: {' '.join(complaint.decode('utf-8', 'replace').split())}")
    return said


def _settled(known: Mapping[str, object] | None, machine: Sequence[str]) -> str:
    """Return the container's address, once it stands on a bridge of this very machine and on nothing else."""
    settings = known.get("NetworkSettings") if known else None
    networks = settings.get("Networks") if isinstance(settings, Mapping) else None
    if not isinstance(networks, Mapping) or set(networks) != {BRIDGE}:
        raise _failed("Docker put it on other networks")
    address, gateway = str(networks[BRIDGE].get("IPAddress")), ipaddress.IPv4Address(networks[BRIDGE].get("Gateway"))
    if not any(gateway in ipaddress.IPv4Network(own) for own in machine):
        raise _failed(f"its gateway {gateway} is not this machine, whose addresses are the only ones known")
    names = [name for _, name in socket.if_nameindex()]
    if len(names) != 2 or "lo" not in names:
        raise _failed(f"its network holds {', '.join(names)[:100]}")
    return address


def _leak(addresses: Sequence[str]) -> str:
    """Try to send to addresses; return the first that the rules did not refuse."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for address in addresses:
            try:
                sender.sendto(b"", (address, _DISCARD))
            except OSError as error:
                if error.errno == errno.EPERM:  # the packet rules' own word; a missing route has another
                    continue
                return f"{address} ({error.strerror})"
            return address
    return ""
