"""Why a tool is there or not."""

from __future__ import annotations

import pytest
from tests.policy.making import one

from bascule.policy.explain import explain_agent, explain_tool

BUILT = {"read", "exec"}


@pytest.mark.parametrize(
    ("tools", "tool", "keys", "remedy"),
    [
        ({"allow": ["read"]}, "READ", (), ""),
        ({"allow": ["read"], "deny": ["read"]}, "read", ("agents.list[0].tools.deny",), "take read out"),
        ({"allow": ["read"]}, "bash", ("agents.list[0].tools.allow",), "add exec to agents.list[0].tools.allow"),
        ({"profile": "minimal"}, "read", ("agents.list[0].tools.profile",), "alsoAllow"),
        (
            {"allow": ["read"], "deny": ["exec"]},
            "exec",
            ("agents.list[0].tools.deny", "agents.list[0].tools.allow"),
            "take exec out of agents.list[0].tools.deny, for deny wins everywhere; add exec to",
        ),
        ({"allow": ["cron"]}, "cron", (), "another tool"),
        ({"allow": ["read"]}, "reed", (), "did you mean read?"),
        ({"allow": ["read"]}, "xyzzyx", (), "lists the tools"),
    ],
)
def test_the_keys_that_say_no_and_what_would_change_it(tools: object, tool: str, keys: object, remedy: str) -> None:
    found = explain_tool(one(tools), tool, BUILT)
    assert found.keys == keys
    assert remedy in found.remedy
    assert "\n" not in found.reason + found.remedy


def test_exec_says_what_else_stands_in_the_way() -> None:
    tools = {"allow": ["exec"]}
    assert "switches programs off" in explain_tool(one(tools), "exec", BUILT).reason
    assert "no program runs" in explain_tool(one(tools, "{"), "exec", BUILT).reason
    assert "0 entries" in explain_tool(one({**tools, "exec": {"security": "full"}}), "exec", BUILT).reason


def test_an_agent_is_explained_tool_by_tool() -> None:
    found = explain_agent(one({"allow": ["read"]}), BUILT)
    assert found[0].tool == "read"
    assert found[0].present
    assert not any(entry.present for entry in found[1:])
    assert "whatsapp_login" not in {entry.tool for entry in found}
