from dataclasses import replace

import pytest
from tests.builders import FACTS, FIT, LAYOUT, agent_policy, file_call, without

from bascule.core.confinement import Mount
from bascule.core.finding import Severity
from bascule.core.paths import Access
from bascule.core.policy import Backend, SandboxPolicy
from bascule.core.verdict import Effect
from bascule.layers import l2_sandbox


def test_it_denies_while_it_is_not_in_force_and_says_why():
    verdict = l2_sandbox.judge(file_call("memory/x"), without(l2_sandbox.ENFORCEMENT), agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, "not_in_force", l2_sandbox.NAME)
    assert "the reason" in verdict.reason
    assert l2_sandbox.judge(file_call("memory/x"), FACTS, agent_policy()).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("spoiled", "check"),
    [
        ({"seccomp": 0}, "sandbox.seccomp"),
        ({"landlock_abi": 0}, "sandbox.landlock"),
        ({"no_new_privs": False}, "sandbox.no_new_privs"),
        ({"problems": ("x",)}, "sandbox.self_test"),
    ],
)
def test_a_posture_that_falls_short_is_critical(spoiled, check):
    found = l2_sandbox.check(replace(FIT, **spoiled), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [(check, Severity.CRITICAL)]
    assert l2_sandbox.check(FIT, agent_policy()) == ()


def test_limits_the_machine_cannot_give_are_said_but_do_not_stop():
    found = l2_sandbox.check(replace(FIT, memory_limit=0, pids_limit=0, cpus_limit=0), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [
        ("sandbox.memory", Severity.WARN),
        ("sandbox.pids", Severity.WARN),
        ("sandbox.cpus", Severity.WARN),
    ]


def test_the_bare_host_is_said_and_is_no_reason_to_stop():
    rules = agent_policy(sandbox=SandboxPolicy(Backend.UNSAFE_NONE))
    (found,) = l2_sandbox.check(FIT, rules)
    assert (found.check, found.severity) == (l2_sandbox.UNSAFE_NONE, Severity.WARN)
    assert l2_sandbox.judge(file_call("/etc/shadow", Access.READ), FACTS, rules).effect is Effect.DENY


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
        ("/srv/bots/shared/packets/x", Access.READ, Effect.DENY, "path_not_bound"),
    ],
)
def test_file_tools_are_held_to_their_reach(path, access, effect, code):
    verdict = l2_sandbox.judge(file_call(path, access), FACTS, agent_policy())
    assert (verdict.effect, verdict.code) == (effect, code)


def test_only_what_the_call_names_is_mounted_and_written_only_if_it_writes():
    reading = l2_sandbox.confine(file_call("/etc/hosts"), agent_policy())
    assert (reading.writable, {(m.path, m.writable) for m in reading.mounts}) == (frozenset(), {("/etc/hosts", False)})
    writing = l2_sandbox.confine(file_call("/etc/hosts", Access.WRITE), agent_policy())
    assert {(m.path, m.writable) for m in writing.mounts} == {("/etc/hosts", True)}
    inside = l2_sandbox.confine(file_call("memory/x", Access.WRITE), agent_policy())
    assert inside.writable == {"/workspace/workspace", "/workspace/memory", "/workspace/output"}
    read_only = agent_policy(sandbox=SandboxPolicy(workspace_access="ro"))
    assert l2_sandbox.confine(file_call("memory/x", Access.WRITE), read_only).writable == frozenset()
    binds = (Mount("/srv/a", target="/data/a"), Mount("/srv/b", writable=True, target="/data/b"))
    bound = agent_policy(layout=replace(LAYOUT, binds=binds), sandbox=SandboxPolicy(workspace_access="ro"))
    assert l2_sandbox.confine(file_call("memory/x", Access.WRITE), bound).writable == {"/data/b"}
    assert l2_sandbox.confine(file_call("memory/x"), bound).writable == frozenset()


def test_the_agents_directory_may_be_withheld():
    none = agent_policy(sandbox=SandboxPolicy(workspace_access="none"))
    assert l2_sandbox.judge(file_call("memory/x"), FACTS, none).code == "workspace_none"
    assert l2_sandbox.judge(file_call("/etc/hosts"), FACTS, none).code == "path_outside"
