"""What the kernel's table of routes says is this machine."""

from __future__ import annotations

import ipaddress

import pytest

from bascule.linux.host_addresses import default_ttl, own_addresses, parse_table

TABLE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 11.44.0.0
        /16 host LOCAL
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
     |-- 198.51.100.9
        /32 host ANYCAST
        /24 link BLACKHOLE
"""


def test_what_is_delivered_here_is_ours() -> None:
    assert parse_table(TABLE) == (
        "11.44.0.0/16",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "192.0.2.2/32",
        "192.0.2.255/32",
        "198.51.100.9/32",
    )


@pytest.mark.parametrize("text", ["", "Main:\n", "  |-- 10.0.0.1\n     /0 universe UNICAST\n", "  /32 host LOCAL\n"])
def test_a_table_without_any_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_table(text)


def test_this_machine_has_some() -> None:
    assert any(ipaddress.IPv4Address("127.0.0.1") in ipaddress.IPv4Network(own) for own in own_addresses())
    assert 1 <= default_ttl() <= 255
