"""Which IP addresses may be connected to: public unicast, and nothing that leads back in by another spelling.

Stops: a name that resolves to this machine, its network, a cloud's metadata service, or to an IPv6 form that carries
such an IPv4 address (mapped, compatible, translated, 6to4, Teredo, NAT64, ISATAP). Does not stop: a NAT64 prefix that
only the local network knows, nor a public address that a router of the operator's leads back inside.
"""

from __future__ import annotations

import ipaddress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TABLE: Final[tuple[tuple[str, str], ...]] = (
    ("169.254.169.254/32", "a cloud's metadata service"),
    ("169.254.170.2/32", "a cloud's metadata service"),
    ("100.100.100.200/32", "a cloud's metadata service"),
    ("168.63.129.16/32", "a cloud's metadata service"),
    ("192.0.0.192/32", "a cloud's metadata service"),
    ("fd00:ec2::/32", "a cloud's metadata service"),
    ("fd20:ce::/32", "a cloud's metadata service"),
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "anycast sinks"),
    ("192.52.193.0/24", "multicast tunnels"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "anycast sinks"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("::/96", "IPv4-compatible"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard only"),
    ("2001::/32", "Teredo"),
    ("2001:2::/48", "benchmarking"),
    ("2001:10::/28", "ORCHID"),
    ("2001:20::/28", "ORCHID"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "anycast sinks"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
"""The first row that holds an address names it. From IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and
its successors); the metadata rows from the clouds' own manuals."""

_NETWORKS: Final = tuple((ipaddress.ip_network(written), why) for written, why in _TABLE)
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""The only part of IPv6 that IANA gives out as global unicast."""

_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The upper half of an interface identifier that carries an IPv4 address (RFC 5214, section 6.1)."""

INSIDE_IPV4: Final = tuple(
    str(network)
    for network in ipaddress.collapse_addresses(
        network for network, _ in _NETWORKS if isinstance(network, ipaddress.IPv4Network)
    )
)
"""Every IPv4 address that is not public, as the fewest networks in CIDR notation, in order."""

NAMEABLE: Final = frozenset({"private", "loopback", "carrier-grade NAT", "unique local"})
"""What policy can let through by naming host and port; the rest is refused whoever asks."""


def kind_of(untrusted_address: str) -> str:
    """Return what kind of address this is, empty for one of the public internet; total.

    ``not an address`` stands for whatever the standard library does not read as exactly one address, and for one with
    a zone.
    """
    try:
        address = ipaddress.ip_address(untrusted_address)
    except ValueError:
        return "not an address"
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "not an address"
    for network, why in _NETWORKS:
        if address.version == network.version and address in network:
            return why
    if isinstance(address, ipaddress.IPv6Address):
        if address not in _UNICAST:
            return "not global unicast"
        if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
            return "ISATAP"
    return ""


def address_problem(untrusted_address: str, *, private: bool = False) -> str:
    """Return why an address may not be connected to, empty if it may.

    Args:
        untrusted_address: as a resolver gave it.
        private: policy names this host and port as private.
    """
    kind = kind_of(untrusted_address)
    return "" if not kind or (private and kind in NAMEABLE) else kind
