"""Which name servers a container on the bridge asks, and the files that tell its programs.

Stops: its programs asking a server of this machine's own network, which the packet rules would refuse anyway. Does not
stop what a public server is told by the names it is asked for, nor an answer that points inside: nothing goes there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from bascule.core.addresses import kind_of

MOST = 3
"""Servers the C library looks at (``resolv.conf(5)``, ``MAXNS``)."""

TABLES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The machine's own; the second where the first names only a server on loopback that asks on behalf of all."""


def is_server(untrusted_address: object) -> bool:
    """True for a public IPv4 address in its one spelling."""
    try:
        return (
            isinstance(untrusted_address, str)
            and str(ipaddress.IPv4Address(untrusted_address)) == untrusted_address
            and not kind_of(untrusted_address)
        )
    except ValueError:
        return False


def public_servers(text: str) -> tuple[str, ...]:
    """Return the public IPv4 name servers a ``resolv.conf`` names, as many as count."""
    rows = [line.split() for line in text.splitlines()]
    named = [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver" and is_server(row[1])]
    return tuple(dict.fromkeys(named))[:MOST]


def servers(named: Sequence[str], tables: Sequence[Path] = TABLES) -> tuple[str, ...]:
    """Return the servers policy names, else those of this machine that are public; none if it has no such."""
    if named:
        return tuple(named)
    for table in tables:
        try:
            found = public_servers(table.read_text("utf-8", "replace"))
        except OSError:
            continue
        if found:
            return found
    return ()


def files(asked: Sequence[str]) -> dict[str, str]:
    """The files by which programs find these servers; with none, no name is found."""
    lines = [f"nameserver {server}" for server in asked]
    # Addresses of IPv6 would lead nowhere here. A C library that does not know the option passes it over.
    lines.append("options timeout:2 attempts:2 no-aaaa")
    return {
        "/etc/resolv.conf": "\n".join(lines) + "\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
