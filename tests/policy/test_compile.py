"""The whole policy: versions, defaults, people, models, prompts."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import PLACES, checks, compiled, one

from bascule.core.errors import Malformed
from bascule.core.policy import ModelProvider, Operator, Quota
from bascule.policy.compile import agents_of, compile_policy, model_name, policy_version
from bascule.policy.places import Places
from bascule.policy.schema.reading import read_config

AGENTS: dict[str, Any] = {"agents": {"list": [{"id": "a"}]}}


def test_every_byte_of_both_files_changes_the_version() -> None:
    versions = {
        policy_version(*pair)
        for pair in ((b"a", None), (b"a", b""), (b"a", b"b"), (b"ab", b""), (b"", b"ab"), (b"b", b"a"))
    }
    assert len(versions) == 6
    assert compiled(AGENTS)[0].version != compiled(AGENTS, {"version": 1})[0].version


@pytest.mark.parametrize("config", [{}, {"agents": {}}, {"agents": {"list": []}}, {"agents": {"entries": {}}}])
def test_a_policy_without_agents_is_refused(config: Any) -> None:
    with pytest.raises(Malformed, match="there is no agent"):
        compiled(config)


def test_list_and_entries_mean_the_same() -> None:
    agent = {"name": "A", "tools": {"allow": ["read"]}}
    listed = one(**agent)
    entered = next(iter(compiled({"agents": {"entries": {"a": agent}}})[0].agents.values()))
    assert listed.tools["read"] == entered.tools["read"]
    assert (listed.where, entered.where) == ("agents.list[0]", "agents.entries.a")


def test_who_answers_when_nobody_is_named() -> None:
    def default(*agents: Any) -> str:
        return compiled({"agents": {"list": list(agents)}})[0].default_agent

    assert default({"id": "b"}, {"id": "main"}, {"id": "c", "default": True}) == "c"
    assert default({"id": "b"}, {"id": "main"}) == "main"
    assert default({"id": "b"}, {"id": "c"}) == "b"


def test_quota_is_the_smallest_word_of_any_scope() -> None:
    config = {
        "quota": {"callsPerMinute": 10, "callsPerDay": 100},
        "agents": {
            "defaults": {"quota": {"callsPerMinute": 20}},
            "list": [{"id": "a", "quota": {"pendingApprovals": 0}}],
        },
    }
    agent = next(iter(compiled(config)[0].agents.values()))
    assert agent.quota == Quota(10, 100, 0)
    assert one().quota == Quota()


def test_models_are_named_provider_first() -> None:
    assert model_name("anthropic/claude-x") == "anthropic:claude-x"
    assert model_name("ollama/llama3:8b") == "ollama:llama3:8b"
    assert model_name("local:small") == "local:small"
    assert model_name(None) == ""
    assert one(model={"primary": "openai/x", "fallbacks": ["y"]}).model == "openai:x"


def test_providers_name_the_variable_of_their_key() -> None:
    config = {
        **AGENTS,
        "models": {
            "default": "anthropic/x",
            "providers": {"mine": {"kind": "openai", "baseUrl": "http://localhost:1", "keyEnv": "K"}, "script": {}},
        },
    }
    policy, _ = compiled(config)
    assert policy.providers["mine"] == ModelProvider("mine", "openai", "http://localhost:1", "K")
    assert policy.providers["script"] == ModelProvider("script", "script")
    assert policy.providers["anthropic"].key_env == "ANTHROPIC_API_KEY"
    assert policy.default_model == "anthropic:x"
    with pytest.raises(Malformed, match="kind is needed"):
        compiled({**AGENTS, "models": {"providers": {"mine": {}}}})


def test_no_right_is_given_to_a_person_by_leaving_it_out() -> None:
    config = {**AGENTS, "operators": {"pat": {"signal": ["+1 555 010 0000"], "approves": True}, "kim": {}}}
    policy, _ = compiled(config)
    assert policy.people["pat"] == Operator("pat", (), ("+15550100000",), chats=False, approves=True)
    assert policy.people["kim"] == Operator("kim")
    assert policy.operators == ("pat",)
    for signal in ("*", "nobody"):
        with pytest.raises(Malformed, match=r"operators\.pat\.signal"):
            compiled({**AGENTS, "operators": {"pat": {"signal": [signal]}}})


def test_prompts_lie_beside_the_policy_and_memory_with_the_agent() -> None:
    agent = one(prompts=["AGENTS.md", "more/TOOLS.md"])
    assert agent.prompts == ("/h/prompts/a/AGENTS.md", "/h/prompts/a/more/TOOLS.md")
    assert agent.main_only == ("/h/agents/a/MEMORY.md",)
    assert agent.layout.agent_root == "/h/agents/a"
    assert one().prompts == ("/h/prompts/a/AGENTS.md",)
    assert one(prompts=[]).prompts == ()
    for name in ("/etc/x", "../b/AGENTS.md"):
        with pytest.raises(Malformed, match="prompt file"):
            one(prompts=[name])


def test_rules_for_an_agent_that_is_not_there_are_found() -> None:
    assert "approvals.agent_unknown" in checks(AGENTS, {"version": 1, "agents": {"b": {}}})
    assert "approvals.agent_unknown" not in checks(AGENTS, {"version": 1, "agents": {"A": {}, "*": {}}})
    assert "approvals.broken" in checks(AGENTS, "{")
    assert "approvals.missing" in checks(AGENTS)


def test_a_broken_approvals_file_leaves_the_rest_of_the_policy() -> None:
    policy, findings = compiled({"agents": {"list": [{"id": "a", "tools": {"allow": ["read"]}}]}}, "{")
    assert policy.agents["a"].exec.broken
    assert findings[0].check == "approvals.broken"


def test_approval_time_is_half_an_hour_unless_said() -> None:
    assert compiled(AGENTS)[0].approval_seconds == 1800
    assert compiled({**AGENTS, "approvals": {"timeoutSeconds": 60}})[0].approval_seconds == 60


@pytest.mark.parametrize("word", ["off", "risky", "always"])
def test_passkeys_are_off_unless_said(word: str) -> None:
    assert compiled(AGENTS)[0].passkey == compiled({**AGENTS, "approvals": {}})[0].passkey == "off"
    assert compiled({**AGENTS, "approvals": {"passkey": word}})[0].passkey == word


def test_a_byte_order_mark_and_comments_are_no_matter() -> None:
    policy, _ = compile_policy(b"\xef\xbb\xbf// x\n{agents: {list: [{id: 'A'}]}}", None, Places("/h"))
    assert set(policy.agents) == {"a"}


def test_findings_come_most_urgent_first() -> None:
    _, findings = compiled({**AGENTS, "hooks": {}}, {"version": 1, "agents": {"a": {"allowlist": ["*"]}}}, PLACES)
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, reverse=True)
    assert len(set(severities)) == 3


def test_agents_are_listed_with_their_place() -> None:
    config, document = read_config("{agents: {list: [{id: 'a'}, {id: 'b'}]}}", "c")
    assert [(name, path) for name, _, path in agents_of(config, document)] == [
        ("a", ("agents", "list", 0)),
        ("b", ("agents", "list", 1)),
    ]
