from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import FACTS, FIT, GREP, agent_policy, command, exec_call, file_call, proposal, spec, without

from bascule.core.call import Intent, seal
from bascule.core.confinement import Network
from bascule.core.facts import Enforcement
from bascule.core.finding import Severity
from bascule.core.policy import SandboxPolicy
from bascule.core.reach import EgressPolicy, HostRule, Names
from bascule.core.verdict import Effect
from bascule.judge import confine
from bascule.layers import l3_network

EXEC_CALL = exec_call(command(GREP, "x"))
WEB_CALL = seal(proposal("web_fetch"), spec("web_fetch", needs=frozenset({Enforcement.PROXY})), {}, Intent(), {})


def test_it_denies_while_it_is_not_in_force_and_says_why():
    verdict = l3_network.judge(file_call("memory/x"), without(l3_network.ENFORCEMENT), agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, "not_in_force", l3_network.NAME)
    assert "the reason" in verdict.reason
    assert l3_network.judge(file_call("memory/x"), FACTS, agent_policy()).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("spoiled", "check"),
    [
        ({"routes": 1}, "network.route"),
    ],
)
def test_a_posture_that_falls_short_is_critical(spoiled, check):
    found = l3_network.check(replace(FIT, **spoiled), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [(check, Severity.CRITICAL)]
    assert l3_network.check(FIT, agent_policy()) == ()


@pytest.mark.parametrize("routes", [0, 1, 3])
def test_a_raw_bridge_is_said_loudly_and_tolerated(routes):
    raw = agent_policy(sandbox=SandboxPolicy(network="unsafe_bridge"))
    (found,) = l3_network.check(replace(FIT, routes=routes), raw)
    assert (found.check, found.severity) == ("network.unsafe_bridge", Severity.WARN)
    assert found.detail.startswith("NO HOST RULES")


NETWORKS = st.sampled_from(["none", "proxy", "unsafe_bridge"])
CALLS = st.sampled_from([file_call("x"), WEB_CALL, EXEC_CALL])


@given(CALLS, NETWORKS)
def test_only_programs_reach_the_proxy_and_only_where_policy_says_so(call, network):
    rules = agent_policy(sandbox=SandboxPolicy(network=network))
    known = {"proxy": Network.PROXY, "unsafe_bridge": Network.ANY}
    wanted = known.get(network, Network.NONE) if call is EXEC_CALL else Network.NONE
    assert l3_network.confine(call, rules).network is wanted


@given(CALLS, NETWORKS)
def test_no_other_layer_widens_it(call, network):
    rules = agent_policy(sandbox=SandboxPolicy(network=network))
    assert confine(call, rules).network <= l3_network.confine(call, rules).network


def test_what_needs_the_proxy_waits_until_policy_and_proxy_are_there():
    proxied = agent_policy(sandbox=SandboxPolicy(network="proxy"))
    assert l3_network.judge(WEB_CALL, FACTS, agent_policy()).code == "network_none"
    assert l3_network.judge(WEB_CALL, without(Enforcement.PROXY), proxied).code == "not_in_force"
    assert l3_network.judge(WEB_CALL, FACTS, proxied).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.org/x", "ok"),
        ("https://evil.test/x", "host_not_listed"),
        ("https://bad.example.org/", "host_denied"),
        ("http://localhost/", "host_local"),
        ("http://127.0.0.1/", "host_not_listed"),
        ("no address", "host_not_listed"),
    ],
)
def test_an_address_is_held_to_the_agents_rules(url, code):
    egress = EgressPolicy(
        allow=(
            HostRule("example.org", Names.EXACT, "example.org"),
            HostRule("*.example.org", Names.BELOW, "example.org"),
        ),
        deny=(HostRule("bad.example.org", Names.EXACT, "bad.example.org"),),
        where="egress.agents.bruba-main",
    )
    proxied = agent_policy(sandbox=SandboxPolicy(network="proxy"), egress=egress)
    verdict = l3_network.judge(replace(WEB_CALL, args={"url": url}), FACTS, proxied)
    assert verdict.code == code
    assert verdict.effect is (Effect.ALLOW if code == "ok" else Effect.DENY)
    assert code == "ok" or "egress.agents.bruba-main" in verdict.remedy or url in ("http://127.0.0.1/", "no address")
