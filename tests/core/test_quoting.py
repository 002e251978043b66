import shlex

from hypothesis import given
from hypothesis import strategies as st

from bascule.core.quoting import quote, render


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))))
def test_a_rendering_reads_back_as_the_same_words(argv):
    assert shlex.split(render(argv)) == argv


def test_safe_words_stand_bare():
    assert render(["-n", "a/b.md", "x=1"]) == "-n a/b.md x=1"
    assert [quote(word) for word in ("", "a b", "*", "it's")] == ["''", "'a b'", "'*'", "'it'\"'\"'s'"]
