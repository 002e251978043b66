"""Layer 3, network: a box reaches nothing, or one address behind which the agent's own egress proxy answers.

Stops: data leaving by connection from a box: no interface but an own empty loopback, no abstract socket of the host.
Where policy names a raw bridge, programs reach public addresses and no others, and that is said wherever the box is.
An address that a call names is held to the agent's host rules before anybody looks it up. Does not stop: data leaving
in words, through the model that reads them, or to a host that the rules name.
"""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.confinement import Confinement, Network
from bascule.core.errors import Malformed
from bascule.core.facts import Enforcement, Facts
from bascule.core.finding import Finding, Severity
from bascule.core.hosts import parse_url
from bascule.core.policy import RAW_BRIDGE, AgentPolicy
from bascule.core.posture import Posture
from bascule.core.reach import advice, destination, reach
from bascule.core.verdict import Verdict, allow, deny

NAME = "l3_network"
ENFORCEMENT = Enforcement.NETWORK

UNSAFE_BRIDGE = "network.unsafe_bridge"
"""The finding about a box that policy puts on a raw bridge."""

_OK = allow(NAME)
_NONE = Confinement(network=Network.NONE)
_NETWORKS = {"proxy": Confinement(network=Network.PROXY), RAW_BRIDGE: Confinement(network=Network.ANY)}
"""For programs alone, by what policy calls it; any other word is none."""


def judge(call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: the box's network is closed; what needs the proxy waits until the proxy is in force."""
    missing = facts.missing.get(ENFORCEMENT)
    if missing is not None:
        remedy = f"run: bascule sandbox probe {policy.id}"
        return deny(NAME, "not_in_force", f"{ENFORCEMENT} is not in force: {missing}", remedy)
    if Enforcement.PROXY not in call.needs:
        return _OK
    if policy.sandbox.network == "none":
        return deny(
            NAME,
            "network_none",
            f"{call.agent} has no network",
            f'set sandbox.network to "proxy" in {policy.where}',
        )
    missing = facts.missing.get(Enforcement.PROXY)
    if missing is not None:
        return deny(NAME, "not_in_force", f"{Enforcement.PROXY} is not in force: {missing}")
    return _judge_address(call, policy)


def _judge_address(call: Call, policy: AgentPolicy) -> Verdict:
    """Judge the argument ``url``, by which every tool that fetches names what it fetches."""
    url = call.args.get("url")
    if url is None:
        return _OK
    try:
        address = parse_url(str(url), literals=policy.egress.literals)
    except Malformed as refused:
        return deny(NAME, "host_not_listed", refused.message, refused.remedy)
    ruling = reach(destination(address, "GET"), policy.egress)
    if ruling.allowed:
        return _OK
    return deny(NAME, ruling.code, ruling.reason, advice(ruling, policy.egress))


def confine(call: Call, policy: AgentPolicy) -> Confinement:
    """How tightly: programs reach what policy calls their network; no other box reaches anything."""
    return _NONE if call.plan is None else _NETWORKS.get(policy.sandbox.network, _NONE)


def check(posture: Posture, policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: the box sees no route, or policy puts it on a bridge."""
    if policy.sandbox.network == RAW_BRIDGE:
        detail = "NO HOST RULES: its programs reach every public address, past the proxy and past all records"
        return (Finding(UNSAFE_BRIDGE, Severity.WARN, detail, "set sandbox.network to proxy"),)
    if posture.routes:
        return (Finding("network.route", Severity.CRITICAL, f"the box sees {posture.routes} network routes"),)
    return ()
