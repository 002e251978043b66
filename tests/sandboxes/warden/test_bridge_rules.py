"""The rules as text, what is read back held against them, and which addresses are tried."""

from __future__ import annotations

import copy
import ipaddress
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.addresses import INSIDE_IPV4, kind_of
from bascule.sandboxes.warden.bridge_rules import Rules, probes, problem, rules, text

OWN = ("11.22.33.1/32", "11.44.0.0/16", "172.17.0.1/32")
WANTED = rules(OWN, 64)
COUNTS = {"output": 6, "input": 4, "forward": 0}


def listing(wanted: Rules = WANTED) -> dict[str, Any]:
    """What ``nft -j list table`` says of them, as far as it is looked at."""
    chains = [
        {"chain": {"family": "inet", "table": "bascule", "name": name, "type": "filter", "hook": name, "prio": 0, "policy": "drop"}}
        for name in COUNTS
    ]  # fmt: skip
    counted = [{"rule": {"chain": name, "expr": []}} for name, count in COUNTS.items() for _ in range(count)]
    elements = [{"prefix": {"addr": str(network[0]), "len": network.prefixlen}} for network in wanted.inside]
    return {"nftables": [{"metainfo": {}}, *chains, {"set": {"name": "inside", "elem": elements}}, *counted]}


def rows(body: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [row[kind] for row in body["nftables"] if kind in row]


@given(st.integers(0, (1 << 32) - 1))
def test_the_networks_are_the_table_and_the_machines_own(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    own = any(address in ipaddress.IPv4Network(network) for network in OWN)
    assert any(address in network for network in WANTED.inside) == (bool(kind_of(str(address))) or own)


def test_no_networks_overlap_however_many_the_machine_has() -> None:
    found = rules((*OWN, *OWN, "11.44.5.0/24", "127.0.0.1/32", "10.0.0.0/8"), 64).inside
    assert all(one[-1] < two[0] for one, two in itertools.pairwise(found))


@pytest.mark.parametrize("network", ["", "11.22.33.1/24", "fd77::1/128", "x"])
def test_what_is_no_network_makes_no_rules(network: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        rules((network,), 64)


def test_the_text_drops_what_nothing_allows() -> None:
    said = text(WANTED)
    assert said.count("policy drop;") == 3
    assert "11.44.0.0/16" in said
    assert "ip ttl 64 drop" in said
    assert said.index("limit rate over") < said.index("meta l4proto { tcp, udp } accept")
    assert said.index("ip daddr @inside reject") < said.index("meta l4proto { tcp, udp } accept")
    assert "ip ttl 0 drop" in text(rules((), 63))  # an odd number could be anybody's who is one step further away


def test_what_is_wanted_is_no_problem_in_whatever_shape_it_is_said() -> None:
    assert problem(listing(), WANTED) == ""
    body = listing()
    (inside,) = rows(body, "set")
    inside["elem"] = [{"range": [str(one[0]), str(one[-1])]} for one in WANTED.inside]
    assert problem(body, WANTED) == ""
    body = listing(rules(("11.22.33.1/32",), 64))
    rows(body, "set")[0]["elem"].remove({"prefix": {"addr": "11.22.33.1", "len": 32}})
    rows(body, "set")[0]["elem"].append("11.22.33.1")
    assert problem(body, rules(("11.22.33.1/32",), 64)) == ""


def spoiled(what: str) -> object:
    body = copy.deepcopy(listing())
    chains = {row["name"]: row for row in rows(body, "chain")}
    if what in {"accept", "input", "nat", "early"}:
        key, value = {
            "accept": ("policy", "accept"),
            "input": ("hook", "input"),
            "nat": ("type", "nat"),
            "early": ("prio", -5),
        }[what]
        chains["output"][key] = value
    elif what == "no forward":
        body["nftables"] = [row for row in body["nftables"] if row.get("chain", {}).get("name") != "forward"]
    elif what == "a rule less":
        body["nftables"].pop()
    elif what == "a rule more":
        body["nftables"].append({"rule": {"chain": "output", "expr": [{"accept": None}]}})
    elif what == "a network less":
        rows(body, "set")[0]["elem"].pop(0)
    elif what == "a network smaller":
        rows(body, "set")[0]["elem"][0]["prefix"]["len"] = 9
    elif what == "no set":
        body["nftables"] = [row for row in body["nftables"] if "set" not in row]
    elif what == "two sets":
        body["nftables"].append({"set": rows(body, "set")[0]})
    return body


SPOILED = (
    "accept", "input", "nat", "early", "no forward", "a rule less", "a rule more", "a network less",
    "a network smaller", "no set", "two sets",
)  # fmt: skip


@pytest.mark.parametrize("what", SPOILED)
def test_whatever_differs_is_a_problem(what: str) -> None:
    assert problem(spoiled(what), WANTED)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["nftables", "chain", "rule", "set", "elem", "prefix"]), inner, max_size=4),
)  # fmt: skip


@given(JSON)
def test_noise_is_a_problem(noise: object) -> None:
    assert problem(json.loads(json.dumps(noise)), WANTED)


def test_both_ends_of_every_network_are_tried_but_loopback() -> None:
    tried = probes(WANTED, "172.17.0.5")
    assert {"10.0.0.0", "10.255.255.255", "169.254.255.255", "11.44.0.0", "11.44.255.255", "11.22.33.1"} <= set(tried)
    assert len(tried) > 2 * len(INSIDE_IPV4) - 4
    assert not any(ipaddress.IPv4Address(one) in ipaddress.IPv4Network("127.0.0.0/8") for one in tried)
    assert "0.0.0.0" not in tried
    assert "11.22.33.1" not in probes(WANTED, "11.22.33.1")
