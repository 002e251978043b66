from dataclasses import replace

import pytest
from tests.builders import FACTS, FIT, agent_policy, file_call, without

from bascule.core.finding import Severity
from bascule.core.policy import SandboxPolicy
from bascule.core.rights import POWERS, Account
from bascule.core.verdict import Effect
from bascule.layers import l7_os_permissions


def test_it_denies_while_it_is_not_in_force_and_says_why():
    verdict = l7_os_permissions.judge(file_call("memory/x"), without(l7_os_permissions.ENFORCEMENT), agent_policy())
    assert (verdict.effect, verdict.code, verdict.judge) == (Effect.DENY, "not_in_force", l7_os_permissions.NAME)
    assert "the reason" in verdict.reason
    assert l7_os_permissions.judge(file_call("memory/x"), FACTS, agent_policy()).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("spoiled", "check"),
    [
        ({"capabilities": 1}, "os.capabilities"),
        ({"groups": (27,)}, "os.groups"),
    ],
)
def test_a_posture_that_falls_short_is_critical(spoiled, check):
    found = l7_os_permissions.check(replace(FIT, **spoiled), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [(check, Severity.CRITICAL)]
    assert l7_os_permissions.check(FIT, agent_policy()) == ()


def test_groups_are_tolerated_only_with_a_single_uid_that_policy_names():
    named = agent_policy(sandbox=SandboxPolicy(unsafe_single_uid=True))
    shared, apart = replace(FIT, groups=(27,), kernel_uid=FIT.gateway_uid), replace(FIT, groups=(27,))
    found = {
        (posture is shared, rules is named): l7_os_permissions.check(posture, rules)[0].severity
        for posture in (shared, apart)
        for rules in (named, agent_policy())
    }
    assert found.pop((True, True)) is Severity.WARN
    assert set(found.values()) == {Severity.CRITICAL}
    assert l7_os_permissions.check(replace(shared, capabilities=1), named)[0].severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("account", "checks"),
    [
        (Account(7), []),
        (Account(7, "bot", ("bot", "users", "audio", "adm")), []),
        (Account(7, "bot", ("docker",)), ["os.account_group"]),
        (Account(7, "bot", ("disk", "sudo")), ["os.account_group"] * 2),
        (Account(7, "bot", sudo=("/etc/sudoers:3",)), ["os.account_sudo"]),
        (Account(7, unread="/etc/group cannot be read"), ["os.account_unread"]),
    ],
)
def test_an_account_that_is_as_good_as_root_is_critical(account, checks):
    found = l7_os_permissions.check(replace(FIT, account=account), agent_policy())
    assert [(finding.check, finding.severity) for finding in found] == [(name, Severity.CRITICAL) for name in checks]


def test_what_a_group_gives_and_how_to_take_it_away_is_said():
    account = Account(7, "bot", ("docker",))
    [found] = l7_os_permissions.check(replace(FIT, account=account), agent_policy())
    assert "bot (uid 7)" in found.detail
    assert POWERS["docker"].how in found.detail
    assert found.remedy == "run as root: gpasswd -d bot docker"


def test_an_account_that_policy_shares_with_a_person_has_that_persons_rights():
    named = agent_policy(sandbox=SandboxPolicy(unsafe_single_uid=True))
    account = Account(FIT.gateway_uid, "pat", ("sudo",), ("/etc/sudoers:3",))
    shared = replace(FIT, kernel_uid=FIT.gateway_uid, account=account)
    assert {found.severity for found in l7_os_permissions.check(shared, named)} == {Severity.WARN}
    assert {found.severity for found in l7_os_permissions.check(shared, agent_policy())} == {Severity.CRITICAL}
