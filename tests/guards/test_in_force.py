from dataclasses import replace

import pytest
from tests.builders import FACTS, agent_policy, file_call, proposal, spec

from bascule.core.call import Intent, seal
from bascule.core.facts import Enforcement
from bascule.core.verdict import Effect
from bascule.guards import in_force

CALL = file_call("memory/x")
NEEDY = seal(proposal("cron"), spec("cron", needs=frozenset({Enforcement.SCHEDULE})), {}, Intent(), {})


@pytest.mark.parametrize(
    ("call", "facts", "code"),
    [
        (NEEDY, replace(FACTS, missing={Enforcement.SCHEDULE: "x"}), "not_in_force"),
    ],
)
def test_it_denies_its_own_case_and_no_other(call, facts, code):
    verdict = in_force.judge(call, facts, agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, code, in_force.NAME)
    assert in_force.judge(CALL, FACTS, agent_policy()).effect is Effect.ALLOW


def test_a_tool_whose_needs_are_met_passes():
    assert in_force.judge(NEEDY, FACTS, agent_policy()).effect is Effect.ALLOW
