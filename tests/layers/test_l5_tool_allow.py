from tests.builders import FACTS, FIT, agent_policy, file_call

from bascule.core.confinement import LOOSEST
from bascule.core.policy import Standing
from bascule.core.verdict import Effect
from bascule.layers import l5_tool_allow


def test_it_denies_and_names_the_key():
    verdict = l5_tool_allow.judge(
        file_call("x"), FACTS, agent_policy(tools={"read": Standing(dropped_by="agents.list[0].tools.allow")})
    )
    assert (verdict.effect, verdict.code) == (Effect.DENY, "tool_not_allowed")
    assert "agents.list[0].tools.allow" in verdict.reason
    assert l5_tool_allow.judge(file_call("x"), FACTS, agent_policy(tools={"read": Standing()})).effect is Effect.ALLOW


def test_it_neither_confines_nor_measures():
    assert l5_tool_allow.confine(file_call("x"), agent_policy()) is LOOSEST
    assert l5_tool_allow.check(FIT, agent_policy()) == ()


def test_a_tool_policy_never_heard_of_is_not_allowed():
    assert l5_tool_allow.judge(file_call("x"), FACTS, agent_policy(tools={})).effect is Effect.DENY
