"""The stricter word of every pair."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import checks, one

from bascule.core.policy import ExecAsk, ExecSecurity


def filed(**section: Any) -> dict[str, Any]:
    return {"version": 1, "agents": {"a": section}}


@pytest.mark.parametrize(
    ("shared", "own", "file", "security", "ask"),
    [
        (None, None, None, "deny", "off"),
        ({"security": "allowlist"}, None, None, "allowlist", "off"),
        ({"security": "full"}, None, None, "allowlist", "off"),
        ({"security": "allowlist", "ask": "on-miss"}, None, None, "allowlist", "on-miss"),
        ({"security": "allowlist", "ask": "on-miss"}, {"ask": "always"}, None, "allowlist", "always"),
        ({"security": "allowlist", "ask": "on-miss"}, None, {"ask": "off"}, "allowlist", "off"),
        ({"security": "allowlist", "ask": "off"}, None, {"ask": "on-miss"}, "allowlist", "off"),
        ({"security": "allowlist", "ask": "on-miss"}, None, {"ask": "always"}, "allowlist", "always"),
        ({"security": "deny"}, {"security": "full"}, {"security": "full"}, "deny", "off"),
        ({"security": "allowlist"}, None, {"security": "deny"}, "deny", "off"),
        (None, None, {"security": "allowlist", "ask": "on-miss"}, "allowlist", "on-miss"),
        ({"mode": "ask"}, None, None, "allowlist", "on-miss"),
        ({"mode": "full"}, None, None, "allowlist", "off"),
        ({"mode": "deny", "security": "full"}, None, None, "deny", "off"),
    ],
)
def test_both_files_and_both_scopes_tighten(shared: Any, own: Any, file: Any, security: str, ask: str) -> None:
    approvals = None if file is None else filed(**file)
    agent = one(None if own is None else {"exec": own}, approvals, None if shared is None else {"exec": shared})
    assert (agent.exec.security.value, agent.exec.ask.value) == (security, ask)


def test_a_refusal_names_its_key() -> None:
    assert one({"exec": {"security": "deny"}}).exec.where == "agents.list[0].tools.exec.security"
    assert one(None, filed(security="deny"), {"exec": {"security": "full"}}).exec.where == (
        "exec-approvals.json agents.a.security"
    )
    assert one().exec.where == "tools.exec.security (absent)"
    assert one({"exec": {"security": "full"}}).exec.where == "exec-approvals.json agents.a.allowlist"


def test_a_broken_file_denies_and_says_why() -> None:
    rules = one({"exec": {"security": "full"}}, "{").exec
    assert (rules.security, rules.ask, rules.entries) == (ExecSecurity.DENY, ExecAsk.OFF, ())
    assert "exec-approvals.json:1:1" in rules.broken


@pytest.mark.parametrize(
    ("section", "check"),
    [
        ({"security": "full"}, "tools.exec.security_full_configured"),
        ({"askFallback": "full"}, "tools.exec.ask_fallback"),
        ({"autoAllowSkills": True}, "tools.exec.auto_allow_skills_enabled"),
        ({"allowlist": ["*"]}, "tools.exec.allowlist_everything"),
        ({"allowlist": ["/usr/bin/python3"]}, "tools.exec.allowlist_interpreter_without_args"),
    ],
)
def test_what_reaches_far_is_found(section: Any, check: str) -> None:
    config = {"agents": {"list": [{"id": "a"}]}}
    assert check in checks(config, filed(**section))
    assert check not in checks(config, filed(allowlist=[{"pattern": "/usr/bin/python3", "args": "x"}, "/bin/ls"]))


def test_contradicting_words_are_found() -> None:
    config = {"agents": {"list": [{"id": "a", "tools": {"exec": {"ask": "off"}}}]}}
    assert "tools.exec.ask_contradiction" in checks(config, filed(ask="always"))
    assert "tools.exec.ask_contradiction" not in checks(config, filed(ask="on-miss"))
