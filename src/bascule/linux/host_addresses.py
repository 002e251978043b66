"""Which IPv4 addresses lead to this machine itself, as the kernel's own table of routes says.

Stops: a list of addresses that knows interfaces only: what is routed to this machine without standing at an interface,
and the addresses of broadcasts, are in it too. Says what is so at the moment of reading, of the caller's own network.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

_TABLE = Path("/proc/thread-self/net/fib_trie")
_TTL = Path("/proc/sys/net/ipv4/ip_default_ttl")

_LEAF = re.compile(r"\s*\|-- ([0-9.]+)", re.ASCII)
_ROUTE = re.compile(r"\s*/([0-9]+) \S+ ([A-Z]+)\b", re.ASCII)
_OURS = frozenset({"LOCAL", "BROADCAST", "ANYCAST"})


def parse_table(text: str) -> tuple[str, ...]:
    """Return the networks, in CIDR notation, that a ``fib_trie`` says are delivered here.

    Raises:
        ValueError: it is none, or names no address at all.
    """
    found: dict[str, None] = {}
    address = ""
    for line in text.splitlines():
        leaf, route = _LEAF.match(line), _ROUTE.match(line)
        if leaf:
            address = leaf[1]
        elif route and route[2] in _OURS:
            found[str(ipaddress.IPv4Network(f"{address}/{route[1]}"))] = None
    if not found:
        raise ValueError("the kernel's table of routes names no address of this machine")
    return tuple(found)


def own_addresses() -> tuple[str, ...]:
    """Return the IPv4 networks, in CIDR notation, whose packets this machine takes itself; loopback is one.

    Raises:
        OSError: the table cannot be read.
        ValueError: it makes no sense.
    """
    return parse_table(_TABLE.read_text("ascii"))


def default_ttl() -> int:
    """Return the time to live of packets that begin in this network.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no number.
    """
    return int(_TTL.read_text("ascii"))
