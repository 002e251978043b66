from dataclasses import replace

import pytest
from tests.builders import FACTS, FIT, agent_policy, file_call, without

from bascule.core.finding import Severity
from bascule.core.policy import SandboxPolicy
from bascule.core.verdict import Effect
from bascule.layers import l1_account


def test_it_denies_while_it_is_not_in_force_and_says_why():
    verdict = l1_account.judge(file_call("memory/x"), without(l1_account.ENFORCEMENT), agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, "not_in_force", l1_account.NAME)
    assert "the reason" in verdict.reason
    assert l1_account.judge(file_call("memory/x"), FACTS, agent_policy()).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("spoiled", "check"),
    [
        ({"kernel_uid": 0}, "account.root"),
        ({"kernel_uid": 1_900_000_000}, "account.shared"),
        ({"canary_denied": False}, "account.canary"),
    ],
)
def test_a_posture_that_falls_short_is_critical(spoiled, check):
    found = l1_account.check(replace(FIT, **spoiled), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [(check, Severity.CRITICAL)]
    assert l1_account.check(FIT, agent_policy()) == ()


def test_a_single_uid_is_only_tolerated_where_policy_names_it():
    single = replace(FIT, kernel_uid=FIT.gateway_uid, canary_denied=False)
    named = agent_policy(sandbox=SandboxPolicy(unsafe_single_uid=True))
    assert [finding.severity for finding in l1_account.check(single, named)] == [Severity.WARN]
    assert [finding.severity for finding in l1_account.check(single, agent_policy())] == [Severity.CRITICAL]
    assert "NO ACCOUNT ISOLATION" in l1_account.check(single, named)[0].detail


@pytest.mark.parametrize("spoiled", [{"kernel_uid": 0}, {"canary_denied": False}])
def test_nothing_but_the_gateways_uid_is_tolerated(spoiled):
    named = agent_policy(sandbox=SandboxPolicy(unsafe_single_uid=True))
    found = l1_account.check(replace(FIT, **spoiled), named)
    assert [finding.severity for finding in found] == [Severity.CRITICAL]


def test_every_call_is_confined_to_the_agents_own_account():
    assert l1_account.confine(file_call("memory/x"), agent_policy()).own_account
