"""Tokens: where they begin and end, what was quoted, what a pattern keeps of its quoting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases.commands import ACCEPTED

from bascule.core.errors import Malformed
from bascule.shell.lexer import Kind, Token, tokens


def test_a_line_of_everything() -> None:
    assert tokens("'a b' c*\t2>&1|d>>e;f&&g||h&>i") == (
        Token(Kind.WORD, "a b", 0, 5, bare=False),
        Token(Kind.WORD, "c*", 6, 8, glob="c*"),
        Token(Kind.REDIRECT, ">&", 9, 12, descriptor=2),
        Token(Kind.WORD, "1", 12, 13),
        Token(Kind.OPERATOR, "|", 13, 14),
        Token(Kind.WORD, "d", 14, 15),
        Token(Kind.REDIRECT, ">>", 15, 17),
        Token(Kind.WORD, "e", 17, 18),
        Token(Kind.OPERATOR, ";", 18, 19),
        Token(Kind.WORD, "f", 19, 20),
        Token(Kind.OPERATOR, "&&", 20, 22),
        Token(Kind.WORD, "g", 22, 23),
        Token(Kind.OPERATOR, "||", 23, 25),
        Token(Kind.WORD, "h", 25, 26),
        Token(Kind.REDIRECT, "&>", 26, 28),
        Token(Kind.WORD, "i", 28, 29),
    )


@pytest.mark.parametrize(
    ("word", "text", "glob"),
    [
        ("*", "*", "*"),
        ("'*'?", "'*'?", "\\*?"),
        ('"a*b"*', '"a*b"*', "a\\*b*"),
        ("\\**", "\\**", "\\**"),
        ("'['*']'", "'['*']'", "\\[*\\]"),
        ("'\\'*", "'\\'*", "\\\\*"),
        ("'*'", "*", None),
        ("[", "[", None),
        ("]", "]", None),
        ("x]", "x]", None),
        ("[a]", "[a]", "[a]"),
        ("[-]*", "[-]*", "[-]*"),
        ("a[b]'c'", "a[b]'c'", "a[b]c"),
    ],
)
def test_a_glob_keeps_its_writing_and_escapes_what_was_quoted(word: str, text: str, glob: str | None) -> None:
    (token,) = tokens(word)
    assert (token.text, token.glob) == (text, glob)


@given(st.lists(st.sampled_from([line for line, _ in ACCEPTED]), min_size=1, max_size=4).map(" ; ".join))
def test_tokens_cover_the_line_but_for_blanks(line: str) -> None:
    found = tokens(line)
    at = 0
    for token in found:
        assert not line[at : token.start].strip(" \t")
        assert token.start < token.end
        at = token.end
    assert not line[at:].strip(" \t")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_single_quotes_keep_every_character_they_accept(text: str) -> None:
    line = "'" + text.replace("'", "'\\''") + "'"
    try:
        found = tokens(line)
    except Malformed as refused:
        code = refused.code
    else:
        code = ""
        assert [token.text for token in found] == [text]
    unfit = [character for character in text if not (character.isprintable() or character.isspace())]
    assert code in {"", "shell_nul", "shell_newline", "shell_character"}
    assert not (unfit and not code)


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u3000", "\u202f"])
def test_spaces_that_are_not_blanks_need_quotes(blank: str) -> None:
    with pytest.raises(Malformed) as refused:
        tokens(f"ls{blank}-la")
    assert refused.value.code == "shell_character"
    assert [token.text for token in tokens(f"ls '{blank}' \"{blank}\"")] == ["ls", blank, blank]
