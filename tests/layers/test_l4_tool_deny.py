from tests.builders import FACTS, FIT, agent_policy, file_call

from bascule.core.confinement import LOOSEST
from bascule.core.policy import Standing
from bascule.core.verdict import Effect
from bascule.layers import l4_tool_deny


def test_it_denies_and_names_the_key():
    verdict = l4_tool_deny.judge(file_call("x"), FACTS, agent_policy(tools={"read": Standing(denied_by="tools.deny")}))
    assert (verdict.effect, verdict.code) == (Effect.DENY, "tool_denied")
    assert "tools.deny" in verdict.reason
    assert l4_tool_deny.judge(file_call("x"), FACTS, agent_policy(tools={"read": Standing()})).effect is Effect.ALLOW


def test_it_neither_confines_nor_measures():
    assert l4_tool_deny.confine(file_call("x"), agent_policy()) is LOOSEST
    assert l4_tool_deny.check(FIT, agent_policy()) == ()
