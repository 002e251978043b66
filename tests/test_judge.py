from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import FACTS, agent_policy, file_call

from bascule.core.confinement import Network
from bascule.core.paths import Access
from bascule.core.policy import Standing
from bascule.core.verdict import Decision, Effect, Verdict
from bascule.guards import GUARDS
from bascule.judge import BEFORE_BINDING, JUDGES, confine, effect, judge, judge_name, offered
from bascule.layers import LAYERS


def test_every_guard_and_layer_speaks_once():
    decision = judge(file_call("memory/x"), FACTS, agent_policy())
    assert [verdict.judge for verdict in decision.verdicts] == [room.NAME for room in (*GUARDS, *LAYERS)]
    assert decision.effect is Effect.ALLOW


def test_a_judge_that_crashes_has_said_no_and_the_others_are_still_heard():
    def crash(_call, _facts, _policy):
        raise RuntimeError("secret detail")

    decision = judge(file_call("x"), FACTS, agent_policy(), (*JUDGES, ("odd", crash)))
    assert (decision.effect, decision.leading.code) == (Effect.DENY, "judge_crashed")
    assert len(decision.verdicts) == len(JUDGES) + 1
    assert "secret" not in decision.leading.reason


@given(st.lists(st.sampled_from(Effect), min_size=1, max_size=6), st.sampled_from(Effect))
def test_one_more_judge_never_softens(effects, more):
    def saying(said):
        return ("j", lambda _call, _facts, _policy: Verdict(said, "j", "c", "r"))

    judges = tuple(saying(said) for said in effects)
    few = judge(file_call("x"), FACTS, agent_policy(), judges).effect
    many = judge(file_call("x"), FACTS, agent_policy(), (*judges, saying(more))).effect
    assert many == max(few, more)


PATHS = st.sampled_from(["memory/x", "AGENTS.md", "/etc/hosts", "/etc/shadow", "/srv/bots/state/x", "tools/t"])


@given(PATHS, st.sampled_from(Access), st.sampled_from(["", "tools.deny"]), st.sampled_from(["", "contained"]))
def test_the_effect_alone_is_the_decisions_effect(path, access, denied_by, contained):
    policy = agent_policy(tools={"read": Standing(denied_by=denied_by)})
    facts = replace(FACTS, contained=contained)
    call = file_call(path, access)
    assert effect(call, facts, policy) is judge(call, facts, policy).effect


@pytest.mark.parametrize(
    ("standing", "is_offered"),
    [(Standing(), True), (Standing(denied_by="tools.deny"), False), (Standing(dropped_by="tools.allow"), False)],
)
def test_a_model_is_offered_what_it_may_use(standing, is_offered):
    policy = agent_policy(tools={"read": standing})
    assert offered("read", policy) is is_offered
    assert isinstance(judge_name("read", policy), Decision)
    assert not offered("unheard_of", policy)


def test_what_can_be_said_before_looking_up_leaves_out_only_the_program_list():
    assert {name for name, _ in JUDGES} - {name for name, _ in BEFORE_BINDING} == {"l6_exec_allowlist"}


def test_confinements_of_all_layers_are_met():
    met = confine(file_call("/etc/hosts"), agent_policy())
    assert (met.own_account, met.network, met.programs, met.writable) == (True, Network.NONE, frozenset(), frozenset())
    assert met.limits == agent_policy().sandbox.limits
