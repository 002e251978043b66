from hypothesis import given
from hypothesis import strategies as st

from bascule.core.confinement import LOOSEST, Confinement, Limits, Mount, Network

NUMBERS = st.integers(1, 1000)
LIMITS = st.builds(Limits, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
NAMES = st.none() | st.frozensets(st.sampled_from("abc"))
MOUNTS = st.none() | st.frozensets(st.builds(Mount, st.sampled_from(["/x", "/y"]), st.booleans()))
CONFINEMENTS = st.builds(Confinement, st.booleans(), st.sampled_from(Network), NAMES, NAMES, MOUNTS, LIMITS)


def no_wider(tight: Confinement, loose: Confinement) -> bool:
    sets = ((tight.programs, loose.programs), (tight.writable, loose.writable), (tight.mounts, loose.mounts))
    return (
        tight.own_account >= loose.own_account
        and tight.network <= loose.network
        and all(other is None or (one is not None and one <= other) for one, other in sets)
        and tight.limits.meet(loose.limits) == tight.limits
    )


@given(CONFINEMENTS, CONFINEMENTS)
def test_meeting_only_tightens(one, other):
    met = one.meet(other)
    assert no_wider(met, one)
    assert no_wider(met, other)


@given(CONFINEMENTS, CONFINEMENTS, CONFINEMENTS)
def test_meeting_does_not_depend_on_order(one, other, third):
    assert one.meet(other) == other.meet(one)
    assert one.meet(other).meet(third) == one.meet(other.meet(third))
    assert one.meet(one) == one


@given(CONFINEMENTS)
def test_the_loosest_changes_nothing(one):
    assert LOOSEST.meet(one) == one
