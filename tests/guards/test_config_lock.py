from dataclasses import replace

import pytest
from tests.builders import FACTS, HOME, agent_policy, file_call

from bascule.core.paths import Access
from bascule.core.verdict import Effect
from bascule.guards import config_lock

CALL = file_call("memory/x")


@pytest.mark.parametrize(
    ("call", "facts", "code"),
    [
        (CALL, replace(FACTS, lock_problem="bascule.json5 changed"), "config_lock_broken"),
        (file_call(f"{HOME}/bascule.json5", Access.WRITE), FACTS, "path_governs"),
        (file_call(f"{HOME}/prompts/AGENTS.md"), FACTS, "path_governs"),
    ],
)
def test_it_denies_its_own_case_and_no_other(call, facts, code):
    verdict = config_lock.judge(call, facts, agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, code, config_lock.NAME)
    assert config_lock.judge(CALL, FACTS, agent_policy()).effect is Effect.ALLOW


def test_system_secrets_are_layer_2s_to_refuse_not_the_locks():
    assert config_lock.judge(file_call("/etc/shadow"), FACTS, agent_policy()).effect is Effect.ALLOW
