"""What is odd about a correct policy."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import checks, compiled

from bascule.policy.places import Places

AGENTS: dict[str, Any] = {"agents": {"list": [{"id": "a"}]}, "tools": {"allow": ["read"]}}


@pytest.mark.parametrize(
    ("more", "check"),
    [
        ({"hooks": {"token": "${X}"}}, "policy.section_inert"),
        ({"flow": {}}, "policy.not_carried_out"),
        ({"tools": {"allow": ["read"], "elevated": {"enabled": True}}}, "policy.key_inert"),
        ({"agents": {"list": [{"id": "a", "workspace": "/x"}]}}, "policy.key_inert"),
        ({"agents": {"defaults": {"sandbox": {"ssh": {}}}, "list": [{"id": "a"}]}}, "policy.key_inert"),
        ({"gateway": {"controlUi": {"allowInsecureAuth": True}}}, "config.insecure_or_dangerous_flags"),
        ({"gateway": {"bind": "lan"}}, "gateway.bind_exposed"),
        ({"logging": {"redactSensitive": "off"}}, "logging.redact_off"),
        ({"channels": {"signal": {"dmPolicy": "open", "allowFrom": ["*"]}}}, "channels.signal.dm.open"),
        ({"channels": {"signal": {"accounts": {"x": {"groupPolicy": "open"}}}}}, "channels.signal.groups.open"),
        ({"channels": {"signal": {"configWrites": True}}}, "channels.signal.config_writes"),
        ({"operators": {"pat": {}}}, "operators.nobody_approves"),
        ({"tools": {"allow": ["read", "wat"]}}, "tools.allow_unknown"),
        ({"agents": {"list": [{"id": "a", "tools": {"alsoAllow": ["exec"]}}]}}, "tools.also_allow_without_profile"),
        ({"tools": {}}, "tools.none"),
        ({"tools": {"allow": ["exec"]}}, "tools.not_built"),
    ],
)
def test_a_finding_and_its_absence(more: Any, check: str) -> None:
    assert check in checks({**AGENTS, **more})
    assert check not in checks(AGENTS)


def test_a_section_that_somebody_carries_out_is_not_reported() -> None:
    _, findings = compiled({**AGENTS, "flow": {}}, None, Places("/h", carried=frozenset({"flow"})))
    assert not [finding for finding in findings if finding.check == "policy.not_carried_out"]


def test_a_finding_says_where() -> None:
    _, findings = compiled("{\n agents: {list: [{id: 'a'}]},\n hooks: {} }")
    (found,) = [finding for finding in findings if finding.check == "policy.section_inert"]
    assert found.detail.startswith("bascule.json5:3:2: hooks")


def test_denying_a_tool_nobody_knows_is_fine() -> None:
    assert "tools.allow_unknown" not in checks({**AGENTS, "tools": {"allow": ["read"], "deny": ["wat"]}})
