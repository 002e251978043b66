"""The second parser: agrees on the corpus, refuses where its reading differs from the one it is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases.commands import ACCEPTED

from bascule.core.errors import Malformed
from bascule.shell.lexer import Kind, Token, tokens
from bascule.shell.second_opinion import check


@pytest.mark.parametrize("line", [line for line, _ in ACCEPTED], ids=lambda line: ascii(line)[:60])
def test_it_agrees_with_the_corpus_and_with_nothing_less(line: str) -> None:
    found = tokens(line)
    check(line, found)
    for at in range(len(found)):
        with pytest.raises(Malformed) as refused:
            check(line, found[:at] + found[at + 1 :])
        assert refused.value.code == "shell_disagreement"


@pytest.mark.parametrize(
    ("line", "pretended"),
    [
        ("echo $(id)", [("echo", 0, 4), ("$(id)", 5, 10)]),
        ('echo "$(id)"', [("echo", 0, 4), ("$(id)", 5, 12)]),
        ('echo "$HOME"', [("echo", 0, 4), ("$HOME", 5, 12)]),
        ("echo `id`", [("echo", 0, 4), ("`id`", 5, 9)]),
        ("echo $'x'", [("echo", 0, 4), ("x", 5, 9)]),
        ("A=b id", [("A=b", 0, 3), ("id", 4, 6)]),
        ("f() { id; }", [("f()", 0, 3), ("{", 4, 5), ("id", 6, 8)]),
        ("[[ -f x ]]", [("[[", 0, 2), ("-f", 3, 5), ("x", 6, 7), ("]]", 8, 10)]),
        ("cat <<< x", [("cat", 0, 3), ("<<<", 4, 7), ("x", 8, 9)]),
        ("(id)", [("id", 1, 3)]),
        ("! id", [("!", 0, 1), ("id", 2, 4)]),
        ("if id; then id; fi", [("id", 3, 5)]),
        ("id &", [("id", 0, 2)]),
        ("id # x", [("id", 0, 2)]),
        ("echo 'a", [("echo", 0, 4), ("a", 5, 7)]),
    ],
)
def test_it_refuses_what_a_broken_lexer_might_let_through(line: str, pretended: list[tuple[str, int, int]]) -> None:
    with pytest.raises(Malformed) as refused:
        check(line, [Token(Kind.WORD, text, start, end) for text, start, end in pretended])
    assert refused.value.code == "shell_disagreement"
    assert refused.value.remedy


def test_a_word_where_a_redirect_stands_is_noticed() -> None:
    found = list(tokens("cat x >f"))
    check("cat x >f", found)
    found[2] = Token(Kind.REDIRECT, ">>", found[2].start, found[2].end)
    with pytest.raises(Malformed):
        check("cat x >f", found)
    found[2] = Token(Kind.REDIRECT, ">", found[2].start, found[2].end, descriptor=2)
    with pytest.raises(Malformed):
        check("cat x >f", found)


@given(st.sampled_from([line for line, _ in ACCEPTED]), st.text(st.characters(exclude_categories=["Cs"]), max_size=10))
def test_it_never_raises_anything_else(line: str, more: str) -> None:
    """It is only asked about lines that our own lexer took, so those are what it is tried with."""
    try:
        found = tokens(line + more)
    except Malformed:
        found = tokens(line)
        more = ""
    try:
        check(line + more, found)
    except Malformed as refused:
        code = refused.code
    else:
        code = "agreed"
    assert code in {"agreed", "shell_disagreement"}
