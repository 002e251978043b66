from dataclasses import replace

import pytest
from tests.builders import FACTS, agent_policy, file_call

from bascule.core.verdict import Effect
from bascule.guards import containment

CALL = file_call("memory/x")


@pytest.mark.parametrize(
    ("call", "facts", "code"),
    [
        (CALL, replace(FACTS, contained="canary touched"), "contained"),
    ],
)
def test_it_denies_its_own_case_and_no_other(call, facts, code):
    verdict = containment.judge(call, facts, agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, code, containment.NAME)
    assert containment.judge(CALL, FACTS, agent_policy()).effect is Effect.ALLOW
