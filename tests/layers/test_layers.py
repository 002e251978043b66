"""Every layer over one table each; that each is enforced is shown live in ``tests/attacks``."""

from dataclasses import replace

import pytest
from tests.builders import FACTS, agent_policy, file_call, proposal, spec

from bascule.core.call import Intent, seal
from bascule.core.confinement import Network
from bascule.core.facts import Enforcement
from bascule.core.finding import Severity
from bascule.core.paths import Access
from bascule.core.policy import SandboxPolicy, Standing
from bascule.core.posture import Posture
from bascule.core.verdict import Effect
from bascule.layers import LAYERS, l1_account, l2_sandbox, l3_network, l4_tool_deny, l5_tool_allow, l7_os_permissions

FIT = Posture(1_900_000_001, 1_900_000_000, True, 2, 0, True, 0, 7, 512 << 20, 64)
WEB_CALL = seal(proposal("web_fetch"), spec("web_fetch", needs=frozenset({Enforcement.PROXY})), {}, Intent(), {})


def without(enforcement: Enforcement):
    return replace(FACTS, missing={enforcement: "the reason"})


@pytest.mark.parametrize("layer", [l1_account, l2_sandbox, l3_network, l7_os_permissions])
def test_a_layer_not_in_force_denies_and_says_why(layer):
    verdict = layer.judge(file_call("memory/x"), without(layer.ENFORCEMENT), agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, "not_in_force", layer.NAME)
    assert "the reason" in verdict.reason
    assert layer.judge(file_call("memory/x"), FACTS, agent_policy()).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("layer", "spoiled", "check"),
    [
        (l1_account, {"kernel_uid": 0}, "account.root"),
        (l1_account, {"kernel_uid": 1_900_000_000}, "account.shared"),
        (l1_account, {"canary_denied": False}, "account.canary"),
        (l2_sandbox, {"seccomp": 0}, "sandbox.seccomp"),
        (l2_sandbox, {"landlock_abi": 0}, "sandbox.landlock"),
        (l2_sandbox, {"no_new_privs": False}, "sandbox.no_new_privs"),
        (l2_sandbox, {"problems": ("x",)}, "sandbox.self_test"),
        (l3_network, {"routes": 1}, "network.route"),
        (l7_os_permissions, {"capabilities": 1}, "os.capabilities"),
        (l7_os_permissions, {"groups": (27,)}, "os.groups"),
    ],
)
def test_a_posture_that_falls_short_is_critical(layer, spoiled, check):
    found = layer.check(replace(FIT, **spoiled), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [(check, Severity.CRITICAL)]


def test_a_fit_posture_satisfies_every_layer():
    assert [layer.check(FIT, agent_policy()) for layer in LAYERS] == [()] * len(LAYERS)


def test_limits_the_machine_cannot_give_are_said_but_do_not_stop():
    found = l2_sandbox.check(replace(FIT, memory_limit=0, pids_limit=0), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [
        ("sandbox.memory", Severity.WARN),
        ("sandbox.pids", Severity.WARN),
    ]


def test_a_single_uid_is_only_tolerated_where_policy_names_it():
    single = replace(FIT, kernel_uid=FIT.gateway_uid, canary_denied=False)
    named = agent_policy(sandbox=SandboxPolicy(allow_single_uid=True))
    assert {finding.severity for finding in l1_account.check(single, named)} == {Severity.WARN}
    assert {finding.severity for finding in l1_account.check(single, agent_policy())} == {Severity.CRITICAL}


@pytest.mark.parametrize(
    ("path", "access", "effect", "code"),
    [
        ("memory/x", Access.READ, Effect.ALLOW, "ok"),
        ("memory/x", Access.WRITE, Effect.ALLOW, "ok"),
        ("AGENTS.md", Access.READ, Effect.ALLOW, "ok"),
        ("AGENTS.md", Access.WRITE, Effect.DENY, "path_read_only"),
        ("tools/t.sh", Access.WRITE, Effect.DENY, "path_tools"),
        ("/etc/hosts", Access.READ, Effect.ASK, "path_outside"),
        ("/etc/hosts", Access.WRITE, Effect.ASK, "path_outside_write"),
        ("/etc/shadow", Access.READ, Effect.DENY, "path_protected"),
        ("/srv/bots/bascule.json5", Access.WRITE, Effect.DENY, "path_protected"),
        ("/srv/bots/shared/packets/x", Access.READ, Effect.DENY, "not_in_force"),
    ],
)
def test_layer_2_holds_file_tools_to_their_reach(path, access, effect, code):
    verdict = l2_sandbox.judge(file_call(path, access), FACTS, agent_policy())
    assert (verdict.effect, verdict.code) == (effect, code)


def test_layer_2_mounts_only_what_the_call_names_and_writes_only_if_it_writes():
    reading = l2_sandbox.confine(file_call("/etc/hosts"), agent_policy())
    assert (reading.writable, {(m.path, m.writable) for m in reading.mounts}) == (frozenset(), {("/etc/hosts", False)})
    writing = l2_sandbox.confine(file_call("/etc/hosts", Access.WRITE), agent_policy())
    assert {(m.path, m.writable) for m in writing.mounts} == {("/etc/hosts", True)}
    inside = l2_sandbox.confine(file_call("memory/x", Access.WRITE), agent_policy())
    assert inside.writable == {"/workspace/workspace", "/workspace/memory", "/workspace/output"}
    read_only = agent_policy(sandbox=SandboxPolicy(workspace_access="ro"))
    assert l2_sandbox.confine(file_call("memory/x", Access.WRITE), read_only).writable == frozenset()


def test_layer_3_closes_every_box_and_waits_for_the_proxy():
    assert l3_network.confine(file_call("x"), agent_policy()).network is Network.NONE
    assert l3_network.judge(WEB_CALL, FACTS, agent_policy()).code == "network_none"
    proxied = agent_policy(sandbox=SandboxPolicy(network="proxy"))
    assert l3_network.judge(WEB_CALL, without(Enforcement.PROXY), proxied).code == "not_in_force"
    assert l3_network.judge(WEB_CALL, FACTS, proxied).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("layer", "standing", "code"),
    [
        (l4_tool_deny, Standing(denied_by="tools.deny"), "tool_denied"),
        (l5_tool_allow, Standing(dropped_by="agents.list[0].tools.allow"), "tool_not_allowed"),
    ],
)
def test_layers_4_and_5_name_the_key(layer, standing, code):
    verdict = layer.judge(file_call("x"), FACTS, agent_policy(tools={"read": standing}))
    assert (verdict.effect, verdict.code) == (Effect.DENY, code)
    assert (standing.denied_by or standing.dropped_by) in verdict.reason
    assert layer.judge(file_call("x"), FACTS, agent_policy(tools={"read": Standing()})).effect is Effect.ALLOW


def test_a_tool_policy_never_heard_of_is_not_allowed():
    assert l5_tool_allow.judge(file_call("x"), FACTS, agent_policy(tools={})).effect is Effect.DENY
