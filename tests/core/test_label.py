from hypothesis import given
from hypothesis import strategies as st

from bascule.core.label import OPERATOR, UNKNOWN, Confidentiality, Integrity, Label

LABELS = st.builds(
    Label, st.sampled_from(Integrity), st.sampled_from(Confidentiality), st.frozensets(st.sampled_from("abc"))
)


@given(LABELS, LABELS, LABELS)
def test_labels_form_a_lattice(one, other, third):
    assert one.join(other) == other.join(one)
    assert one.join(other).join(third) == one.join(other.join(third))
    assert one.join(one) == one


@given(LABELS, LABELS)
def test_a_join_is_never_lower_than_its_parts(one, other):
    joined = one.join(other)
    assert joined.covers(one)
    assert joined.covers(other)


@given(LABELS, LABELS)
def test_covering_is_what_joining_leaves_unchanged(one, other):
    assert one.covers(other) == (one.join(other) == one)


def test_what_nobody_vouches_for_is_untrusted_and_the_operator_is_private():
    assert UNKNOWN.integrity is Integrity.UNTRUSTED
    assert OPERATOR.confidentiality is Confidentiality.PRIVATE
    assert (str(Integrity.UNTRUSTED), str(Confidentiality.PUBLIC)) == ("untrusted", "public")
