"""Layer 3, network: a box reaches nothing, or one address behind which the agent's own egress proxy answers.

Stops: data leaving by connection from a box: no interface but an own empty loopback, no abstract socket of the host.
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
from bascule.core.policy import AgentPolicy
from bascule.core.posture import Posture
from bascule.core.reach import advice, destination, reach
from bascule.core.verdict import Verdict, allow, deny

NAME = "l3_network"
ENFORCEMENT = Enforcement.NETWORK

_OK = allow(NAME)
_NONE = Confinement(network=Network.NONE)
_PROXY = Confinement(network=Network.PROXY)


def judge(call: Call, facts: Facts, policy: AgentPolicy) -> Verdict:
    """May it: the box's network is closed; what needs the proxy waits until the proxy is in force."""
    missing = facts.missing.get(ENFORCEMENT)
    if missing is not None:
        return deny(NAME, "not_in_force", f"{ENFORCEMENT} is not in force: {missing}", "run: bascule sandbox probe")
    if Enforcement.PROXY not in call.needs:
        return _OK
    if policy.sandbox.network == "none":
        return deny(
            NAME,
            "network_none",
            f"{call.agent} has no network",
            f"set sandbox.docker.network for {call.agent} in {policy.where}",
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
    """How tightly: programs of an agent whose network is the proxy reach that; no other box reaches anything."""
    return _PROXY if call.plan is not None and policy.sandbox.network == "proxy" else _NONE


def check(posture: Posture, _policy: AgentPolicy) -> tuple[Finding, ...]:
    """Is it so here: the box sees no route."""
    if posture.routes:
        return (Finding("network.route", Severity.CRITICAL, f"the box sees {posture.routes} network routes"),)
    return ()
