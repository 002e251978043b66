from hypothesis import given
from hypothesis import strategies as st

from bascule.core.verdict import Decision, Effect, Verdict, allow, ask, deny

VERDICTS = st.builds(Verdict, st.sampled_from(Effect), st.sampled_from(["a", "b"]), st.just("c"), st.just("r"))


@given(st.lists(VERDICTS, min_size=1))
def test_the_strictest_wins(verdicts):
    decision = Decision(tuple(verdicts))
    assert decision.effect is max(verdict.effect for verdict in verdicts)
    assert decision.leading.effect is decision.effect
    assert decision.leading is next(verdict for verdict in verdicts if verdict.effect is decision.effect)


@given(st.lists(VERDICTS), VERDICTS)
def test_one_more_verdict_never_softens(verdicts, more):
    assert Decision((*verdicts, more)).effect >= Decision(tuple(verdicts)).effect or not verdicts


def test_nobody_speaking_is_no():
    assert Decision(()).effect is Effect.DENY


def test_each_kind_has_its_effect():
    assert [made.effect for made in (allow("j"), ask("j", "c", "r"), deny("j", "c", "r"))] == list(Effect)
    assert str(Effect.ASK) == "ask"
