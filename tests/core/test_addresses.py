"""Which addresses may be connected to: the whole special-purpose registry, in every spelling."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.egress.ssrf import INSIDE_4, INSIDE_6, PUBLIC, hosts

from bascule.core.addresses import INSIDE_IPV4, NAMEABLE, address_problem, kind_of
from bascule.core.errors import Malformed
from bascule.core.hosts import parse_url
from bascule.core.reach import EgressPolicy, HostRule, Names, destination, reach

OPEN = EgressPolicy(allow=(HostRule("*", Names.PUBLIC, ports=frozenset(range(1, 65_536))),))


@pytest.mark.parametrize("address", [*INSIDE_4, *INSIDE_6])
def test_an_inside_address_is_refused(address: str) -> None:
    assert address_problem(address)
    assert address_problem(ipaddress.ip_address(address).exploded)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_let_through(address: str) -> None:
    assert address_problem(address) == ""


@pytest.mark.parametrize(
    "text", ["", "127.1", "0x7f.1", "2130706433", "fe80::1%eth0", "2606:4700::1%1", "a", "1.1.1.1/32", "1.1.1.01"]
)
def test_only_an_address_is_an_address(text: str) -> None:
    assert address_problem(text, private=True) == "not an address"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.7", "172.20.0.2", "100.101.102.103", "fd12::1"]
)
def test_policy_can_name_a_place_on_its_own_network(address: str) -> None:
    assert address_problem(address)
    assert address_problem(address, private=True) == ""


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "fe80::1",
        "::ffff:127.0.0.1",
    ],
)
def test_what_nobody_can_name(address: str) -> None:
    assert address_problem(address, private=True)
    assert kind_of(address) not in NAMEABLE


@given(st.ip_addresses())
def test_nothing_gets_through_that_the_registry_calls_special(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address_problem(str(address)) == "":
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_no_form_that_carries_an_ipv4_address_gets_through(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for prefix in ("::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::", "::ffff:0:0:0"):
        assert address_problem(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + number)))
    assert address_problem(str(ipaddress.IPv6Address((0x2002 << 112) + (number << 80))))
    assert address_problem(str(ipaddress.IPv6Address((0x2001 << 112) + number)))
    assert address_problem(str(ipaddress.IPv6Address((0x2A00 << 112) + (0x5EFE << 32) + number)))


@pytest.mark.parametrize("port", ["", ":80", ":443", ":22", ":6379", ":8080"])
def test_no_notation_of_an_inside_host_is_let_through(port: str) -> None:
    """Under a policy that names every public host and every port; what is let through must be a name, so resolved."""
    through = []
    for host in hosts():
        for scheme in ("http", "https"):
            try:
                wanted = destination(parse_url(f"{scheme}://{host}{port}/"), "GET")
            except Malformed:
                continue
            if reach(wanted, OPEN).allowed:
                through.append(host)
    assert through == []


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(hosts()) > 1000
    assert reach(destination(parse_url("https://example.org/"), "GET"), OPEN).allowed


@given(st.integers(0, (1 << 32) - 1))
def test_the_networks_hold_what_is_not_public_and_nothing_else(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    held = any(address in ipaddress.IPv4Network(network) for network in INSIDE_IPV4)
    assert held == bool(kind_of(str(address)))


@pytest.mark.parametrize("network", INSIDE_IPV4)
def test_each_network_is_held_from_its_first_to_its_last_and_no_further(network: str) -> None:
    whole = ipaddress.IPv4Network(network)
    assert kind_of(str(whole[0]))
    assert kind_of(str(whole[-1]))
    for beyond in (int(whole[0]) - 1, int(whole[-1]) + 1):
        if 0 <= beyond < 1 << 32 and not kind_of(str(ipaddress.IPv4Address(beyond))):
            assert not any(ipaddress.IPv4Address(beyond) in ipaddress.IPv4Network(other) for other in INSIDE_IPV4)
