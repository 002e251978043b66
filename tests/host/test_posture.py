import asyncio
from dataclasses import replace

import pytest
from tests.builders import AGENT, LAYOUT, NOW, agent_policy, command, exec_call, file_call, policy
from tests.simulators import Time

from bascule.core.box import BoxKey
from bascule.core.errors import Unavailable
from bascule.core.facts import Enforcement
from bascule.core.finding import Finding, Severity
from bascule.core.ids import SessionKey
from bascule.core.plan import Program, ProgramKind
from bascule.core.policy import Backend, SandboxPolicy
from bascule.core.posture import Posture
from bascule.host.posture import NOT_BUILT, SHOWN_BY_BOX, Lookups, Snapshots
from bascule.layers import l2_sandbox

FIT = Posture(1, 2, True, 2, 0, True, 0, 7, 1, 1, cpus_limit=1)


class Boxes:
    def __init__(self, posture: Posture | None = FIT) -> None:
        self.posture_now = posture
        self.asked = 0
        self.looked_again = 0
        self.keys = []

    async def posture(self, key, *, fresh=False):
        self.asked += 1
        self.keys.append(key)
        self.looked_again += fresh
        if self.posture_now is None:
            raise Unavailable("no_box", "it does not start")
        return self.posture_now


def snapshots(boxes, checks=(), contained="", time=None, account=None, proxy=""):
    lookups = Lookups(
        lambda _agent: contained,
        lambda: "",
        lambda _agent: account,
        lambda agent: f"{agent}: {proxy}" if proxy else "",
    )
    return Snapshots(boxes, time or Time(), dict(checks), lookups)


def facts(made, rules=None):
    return asyncio.run(made.snapshot(file_call("memory/x"), policy(rules)))


def test_what_no_part_of_this_version_provides_is_missing_and_the_rest_is_not():
    assert facts(snapshots(Boxes())).missing == NOT_BUILT


def test_the_proxy_is_in_force_for_an_agent_only_if_the_gateway_has_one_for_it():
    without, closed = snapshots(Boxes(), proxy="none here"), agent_policy()
    proxied = agent_policy(sandbox=SandboxPolicy(network="proxy"))
    assert facts(without).missing[Enforcement.PROXY] == f"{AGENT}: none here"
    assert Enforcement.PROXY not in facts(snapshots(Boxes())).missing
    assert asyncio.run(without.missing(proxied)) == {Enforcement.PROXY: f"{AGENT}: none here"}
    assert asyncio.run(without.missing(closed)) == {}


@pytest.mark.parametrize(("severity", "is_missing"), [(Severity.CRITICAL, True), (Severity.WARN, False)])
def test_an_enforcement_is_in_force_only_if_its_check_finds_nothing_critical(severity, is_missing):
    def check(_posture, _rules):
        return (Finding("x", severity, "it falls short"),)

    missing = facts(snapshots(Boxes(), {Enforcement.SANDBOX: check})).missing
    assert (missing.get(Enforcement.SANDBOX) == "it falls short") is is_missing


def test_a_box_that_does_not_start_is_missing_everything_it_shows():
    missing = facts(snapshots(Boxes(None))).missing
    assert all("it does not start" in missing[need] for need in SHOWN_BY_BOX)


def test_the_bare_host_is_in_force_where_policy_names_it_and_said_for_as_long():
    rules = agent_policy(sandbox=replace(SandboxPolicy(), backend=Backend.UNSAFE_NONE))
    made = snapshots(Boxes(replace(FIT, memory_limit=0)), {Enforcement.SANDBOX: l2_sandbox.check})
    assert facts(made, rules).missing == NOT_BUILT
    assert ["bare host" in line for line in asyncio.run(made.tolerated(rules))] == [True]
    assert asyncio.run(made.tolerated(agent_policy())) == ()


def test_a_call_asks_for_the_box_that_its_own_session_uses_next():
    boxes = Boxes()
    call = replace(file_call("memory/x"), session=SessionKey(f"agent:{AGENT}:other"))
    asyncio.run(snapshots(boxes).snapshot(call, policy()))
    assert boxes.keys == [BoxKey(AGENT, call.session)]


def test_nothing_is_started_for_a_contained_agent():
    boxes = Boxes()
    assert facts(snapshots(boxes, contained="canary")).contained == "canary"
    assert boxes.asked == 0


@pytest.mark.parametrize(
    ("path", "again"), [(f"{LAYOUT.agent_root}/tools/report.sh", 1), ("/usr/bin/grep", 0), ("", 0)]
)
def test_tools_are_looked_at_again_for_a_call_that_uses_them(path, again):
    boxes = Boxes(replace(FIT, tools_unsafe="an agent could change it"))
    program = Program("x", path, ProgramKind.SCRIPT, "a" * 64)
    call = exec_call(command(program)) if path else file_call("memory/x")
    found = asyncio.run(snapshots(boxes).snapshot(call, policy()))
    assert found.tools_unsafe == "an agent could change it"
    assert boxes.looked_again == again


def test_calls_are_counted_over_the_last_minute_and_the_last_day():
    time = Time()
    made = snapshots(Boxes(), time=time)
    for at in (0, 10, 86_370, 86_399):
        time.at = NOW + at
        made.count(AGENT)
    time.at = NOW + 86_405
    usage = facts(made).usage
    assert (usage.calls_last_minute, usage.calls_last_day) == (2, 3)


def test_what_policy_tolerates_of_accounts_is_named_and_nothing_else():
    def check(severity, detail):
        return lambda _posture, _rules: (Finding("x", severity, detail),)

    checks = {
        Enforcement.ACCOUNT: check(Severity.WARN, "shared"),
        Enforcement.OS_PERMISSIONS: check(Severity.CRITICAL, "groups"),
        Enforcement.SANDBOX: check(Severity.WARN, "memory"),
    }
    assert asyncio.run(snapshots(Boxes(), checks).tolerated(agent_policy())) == ("shared",)
    assert asyncio.run(snapshots(Boxes(None), checks).tolerated(agent_policy())) == ()
