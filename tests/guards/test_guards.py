from dataclasses import replace

import pytest
from tests.builders import FACTS, HOME, agent_policy, file_call, proposal, spec

from bascule.core.call import Intent, seal
from bascule.core.facts import Enforcement, Usage
from bascule.core.paths import Access
from bascule.core.policy import Quota
from bascule.core.verdict import Effect
from bascule.guards import config_lock, containment, in_force, quota

CALL = file_call("memory/x")
NEEDY = seal(proposal("cron"), spec("cron", needs=frozenset({Enforcement.SCHEDULE})), {}, Intent(), {})


@pytest.mark.parametrize(
    ("guard", "call", "facts", "code"),
    [
        (containment, CALL, replace(FACTS, contained="canary touched"), "contained"),
        (config_lock, CALL, replace(FACTS, lock_problem="bascule.json5 changed"), "config_lock_broken"),
        (config_lock, file_call(f"{HOME}/bascule.json5", Access.WRITE), FACTS, "path_governs"),
        (config_lock, file_call(f"{HOME}/prompts/AGENTS.md"), FACTS, "path_governs"),
        (in_force, NEEDY, replace(FACTS, missing={Enforcement.SCHEDULE: "x"}), "not_in_force"),
        (quota, CALL, replace(FACTS, usage=Usage(calls_last_minute=120)), "quota_spent"),
        (quota, CALL, replace(FACTS, usage=Usage(calls_last_day=20_000)), "quota_spent"),
    ],
)
def test_each_guard_denies_its_own_case_and_no_other(guard, call, facts, code):
    verdict = guard.judge(call, facts, agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, code, guard.NAME)
    assert guard.judge(CALL, FACTS, agent_policy()).effect is Effect.ALLOW


def test_a_quota_of_zero_forbids():
    assert quota.judge(CALL, FACTS, agent_policy(quota=Quota(calls_per_minute=0))).effect is Effect.DENY


def test_system_secrets_are_layer_2s_to_refuse_not_the_locks():
    assert config_lock.judge(file_call("/etc/shadow"), FACTS, agent_policy()).effect is Effect.ALLOW
