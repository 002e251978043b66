"""The packet rules of a container on the engine's bridge, as text for ``nft``, and what must be read back; pure.

Stops: packets to any address that is not public, to this machine by whatever address it had when the rules were made,
in anything but TCP and UDP over plain IPv4, and every connection that begins outside. Answers that this machine itself
gives are dropped too, by their time to live: only who stands one step away sends it whole. That holds for addresses it
gets later, for no connection comes about without an answer. Whoever begins too many a second waits. Does not stop: what
is said to public addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bascule.core.addresses import INSIDE_IPV4

TABLE = "bascule"

_USUAL_TTLS = frozenset({64, 128, 255})
"""What systems begin with. No answer from further away still has one of these: paths are shorter than 64 steps."""

_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
_NOBODY = ipaddress.IPv4Address(0)
"""Means "this machine" to whoever connects to it, and so leads to a box's own loopback."""

_NEW = 100
"""Connections begun in a second: this machine keeps a record of each, and has room for so many."""

_CHAINS = {"output": 6, "input": 4, "forward": 0}
"""How many rules each has."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is to be in force.

    Attributes:
        inside: IPv4 networks that nothing is sent to; they do not overlap.
        ttl: time to live of what this machine itself sends, 0 to leave that rule without effect.
    """

    inside: tuple[ipaddress.IPv4Network, ...]
    ttl: int


def rules(own: Iterable[str], ttl: int) -> Rules:
    """Return the rules.

    Args:
        own: networks of this machine and the bridge besides those that are not public for anybody, in CIDR notation.
        ttl: of what begins on this machine.

    Raises:
        ValueError: one is no IPv4 network.
    """
    named = [ipaddress.IPv4Network(network) for network in (*INSIDE_IPV4, *own)]
    return Rules(tuple(ipaddress.collapse_addresses(named)), ttl if ttl in _USUAL_TTLS else 0)


def text(wanted: Rules) -> str:
    """Return them as ``nft -f`` takes them."""
    inside = ", ".join(map(str, wanted.inside))
    return f"""table inet {TABLE} {{
    set inside {{ type ipv4_addr; flags interval; elements = {{ {inside} }} }}
    chain output {{
        type filter hook output priority 0; policy drop;
        oifname "lo" accept
        meta nfproto ipv6 drop
        ip hdrlength != 5 drop
        ip daddr @inside reject with icmpx type admin-prohibited
        ct state new limit rate over {_NEW}/second burst {2 * _NEW} packets drop
        meta l4proto {{ tcp, udp }} accept
    }}
    chain input {{
        type filter hook input priority 0; policy drop;
        iifname "lo" accept
        meta l4proto icmp ct state related accept
        ip ttl {wanted.ttl} drop
        meta nfproto ipv4 ct state established accept
    }}
    chain forward {{ type filter hook forward priority 0; policy drop; }}
}}
"""


def problem(untrusted_listing: object, wanted: Rules) -> str:
    """Return how what ``nft -j list table`` says differs from what is wanted, empty if it does not.

    The chains, their policies, how many rules they have and every network are compared; what the rules do is tried out.
    """
    rows = untrusted_listing.get("nftables") if isinstance(untrusted_listing, Mapping) else None
    if not isinstance(rows, Sequence):
        return "the kernel's rules make no sense"
    found = {kind: [row[kind] for row in rows if isinstance(row, Mapping) and kind in row] for kind in _KINDS}
    del untrusted_listing
    try:
        chains = {str(row["name"]): row for row in found["chain"]}
        if chains.keys() != _CHAINS.keys():
            return "other chains are in force than were made"
        for name, count in _CHAINS.items():
            chain = chains[name]
            if (chain["type"], chain["hook"], chain["prio"], chain["policy"]) != ("filter", name, 0, "drop"):
                return f"the chain {name} does not drop what nothing allows"
            if sum(row["chain"] == name for row in found["rule"]) != count:
                return f"the chain {name} has another number of rules"
        (inside,) = found["set"]
        if _merged(map(_span, inside["elem"])) != _merged((int(one[0]), int(one[-1])) for one in wanted.inside):
            return "other networks are refused than were named"
    except (KeyError, TypeError, ValueError):
        return "the kernel's rules make no sense"
    return ""


_KINDS = ("chain", "rule", "set")


def _span(element: object) -> Span:
    """First and last address of an element.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    if isinstance(element, str):
        return int(ipaddress.IPv4Address(element)), int(ipaddress.IPv4Address(element))
    if not isinstance(element, Mapping):
        raise TypeError("no element of a set")
    if "prefix" in element:
        network = ipaddress.IPv4Network(f"{element['prefix']['addr']}/{element['prefix']['len']}")
        return int(network[0]), int(network[-1])
    first, last = element["range"]
    return int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last))


def _merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


def probes(wanted: Rules, box: str) -> tuple[str, ...]:
    """Return addresses to which nothing must go: the first, the last and one in between of every network.

    Args:
        wanted: the rules.
        box: the box's own address, which leads to its own loopback.
    """
    spots = [network[place] for network in wanted.inside for place in (0, network.num_addresses // 2, -1)]
    own = {_NOBODY, ipaddress.IPv4Address(box)}
    return tuple(dict.fromkeys(str(spot) for spot in spots if spot not in own and spot not in _LOOPBACK))
