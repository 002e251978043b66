from dataclasses import replace

import pytest
from tests.builders import FACTS, agent_policy, file_call

from bascule.core.facts import Usage
from bascule.core.policy import Quota
from bascule.core.verdict import Effect
from bascule.guards import quota

CALL = file_call("memory/x")


@pytest.mark.parametrize(
    ("call", "facts", "code"),
    [
        (CALL, replace(FACTS, usage=Usage(calls_last_minute=600)), "quota_spent"),
        (CALL, replace(FACTS, usage=Usage(calls_last_day=20_000)), "quota_spent"),
    ],
)
def test_it_denies_its_own_case_and_no_other(call, facts, code):
    verdict = quota.judge(call, facts, agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, code, quota.NAME)
    assert quota.judge(CALL, FACTS, agent_policy()).effect is Effect.ALLOW


def test_a_quota_of_zero_forbids():
    assert quota.judge(CALL, FACTS, agent_policy(quota=Quota(calls_per_minute=0))).effect is Effect.DENY
