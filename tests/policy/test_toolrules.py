"""Who has which tool, and which key says no."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import compiled, one, tools_of

from bascule.core.policy import Standing
from bascule.policy.schema.tools import Tools
from bascule.policy.toolrules import subagent_scope, under


@pytest.mark.parametrize(
    ("shared", "own", "expected"),
    [
        (None, None, set()),
        ({"deny": ["exec"]}, None, set()),
        ({"allow": ["read", "exec"]}, None, {"read", "exec"}),
        ({"allow": ["read", "exec"]}, {"allow": ["exec", "cron"]}, {"exec"}),
        ({"allow": ["read", "exec"]}, {"allow": []}, set()),
        ({"allow": []}, {"allow": ["read"]}, set()),
        (None, {"allow": ["read"]}, {"read"}),
        ({"profile": "minimal"}, None, {"session_status"}),
        ({"profile": "minimal"}, {"alsoAllow": ["read"]}, {"session_status", "read"}),
        ({"profile": "minimal", "alsoAllow": ["exec"]}, {"alsoAllow": ["read"]}, {"session_status", "read"}),
        ({"profile": "minimal", "alsoAllow": ["exec"]}, None, {"session_status", "exec"}),
        ({"profile": "minimal"}, {"profile": "messaging", "deny": ["sessions_*"]}, {"session_status", "message"}),
        (None, {"alsoAllow": ["read"]}, set()),
        ({"profile": "full", "deny": ["*"]}, None, set()),
        ({"profile": "full", "allow": ["read"]}, None, {"read"}),
        ({"exec": {"security": "full"}, "fs": {"workspaceOnly": False}}, None, set()),
        ({"allow": ["write"]}, None, {"write", "apply_patch"}),
        ({"allow": ["write", "read"], "deny": ["write"]}, None, {"read"}),
        ({"allow": ["read", "exec"], "byProvider": {"p": {"deny": ["exec"]}}}, None, {"read"}),
        ({"allow": ["read", "exec"], "byProvider": {"P/M": {"allow": ["exec"]}, "p": {"allow": []}}}, None, {"exec"}),
        ({"allow": ["read", "exec"], "byProvider": {"q": {"allow": []}}}, None, {"read", "exec"}),
        ({"allow": ["*"], "byProvider": {"p": {"profile": "minimal"}}}, None, {"session_status"}),
    ],
)
def test_scopes_compose_by_taking_away(shared: Any, own: Any, expected: set[str]) -> None:
    assert tools_of(one(own, shared=shared, model="p/m")) == expected


def test_each_missing_tool_names_the_very_key() -> None:
    config = {
        "agents": {"list": [{"id": "x"}, {"id": "a", "tools": {"allow": ["read", "exec"], "deny": ["exec"]}}]},
        "tools": {"allow": ["read", "exec", "cron"]},
    }
    tools = compiled(config)[0].agents["a"].tools
    assert tools["exec"] == Standing("agents.list[1].tools.deny")
    assert tools["cron"] == Standing("", "agents.list[1].tools.allow")
    assert tools["web_fetch"] == Standing("", "tools.allow")
    entries = {"agents": {"entries": {"a": {"tools": {"deny": ["read"]}}}}, "tools": {"profile": "minimal"}}
    tools = compiled(entries)[0].agents["a"].tools
    assert tools["read"] == Standing("agents.entries.a.tools.deny", "tools.profile")


SANDBOXED = {"mode": "all"}


@pytest.mark.parametrize(
    ("lists", "allow", "expected"),
    [
        (None, ["read", "message", "web_fetch"], {"read"}),
        ({"allow": ["message"]}, ["read", "message"], {"message"}),
        ({"alsoAllow": ["message"]}, ["read", "message"], {"read", "message"}),
        ({"allow": []}, ["read"], set()),
        ({"allow": ["cron"]}, ["cron"], {"cron"}),
        ({"allow": ["cron"], "deny": ["cron"]}, ["cron"], set()),
        (None, ["cron"], set()),
        ({"deny": []}, ["cron", "read"], {"read"}),
    ],
)
def test_a_sandbox_is_a_ceiling_and_gives_nothing(lists: Any, allow: list[str], expected: set[str]) -> None:
    shared = {"allow": allow} | ({"sandbox": {"tools": lists}} if lists is not None else {})
    assert tools_of(one(shared=shared, sandbox=SANDBOXED)) == expected
    without = {key: value for key, value in shared.items() if key != "allow"}
    assert tools_of(one(shared=without, sandbox=SANDBOXED)) == set()


def test_an_agents_sandbox_list_replaces_the_global_one() -> None:
    shared = {"allow": ["read", "exec"], "sandbox": {"tools": {"allow": ["exec"]}}}
    own = {"sandbox": {"tools": {"allow": ["read"]}}}
    agent = one(own, shared=shared, sandbox=SANDBOXED)
    assert tools_of(agent) == {"read"}
    assert agent.tools["exec"].dropped_by == "agents.list[0].tools.sandbox.tools.allow"


def test_spawned_sessions_lack_what_only_their_parents_should_do() -> None:
    plain = Tools()
    assert not subagent_scope(plain, 1, 2).admits("sessions_send")
    assert subagent_scope(plain, 1, 2).admits("sessions_spawn")
    assert not subagent_scope(plain, 2, 2).admits("sessions_spawn")
    lists = {"subagents": {"tools": {"allow": ("read", "sessions_send")}}}
    given = subagent_scope(Tools.model_validate(lists), 1, 2)
    assert [given.admits(tool) for tool in ("read", "sessions_send", "exec", "cron")] == [True, True, False, False]


def test_a_parents_refusal_is_passed_on_with_its_key() -> None:
    found = under({"read": Standing("x.deny")}, {"read": Standing(), "exec": Standing()}, "the parent")
    assert found == {"read": Standing("x.deny"), "exec": Standing("", "the parent")}


def test_tools_of_servers_are_known_and_given_by_name_only() -> None:
    config = {
        "agents": {"list": [{"id": "a"}]},
        "mcp": {"servers": {"files": {"command": "x", "tools": {"look": {}, "keep": {}}}}},
        "tools": {"allow": ["files"], "deny": ["files__keep"]},
    }
    policy, _ = compiled(config)
    assert tools_of(policy.agents["a"]) == {"files__look"}
