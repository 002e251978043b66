"""Our own exact lexer for a tiny part of bash's grammar: it knows every character it accepts, or refuses.

Stops: a command line meaning one thing to the judge and another to whoever reads it as shell: substitution, expansion,
background, groups, heredocs, line continuation, control and invisible characters. What is accepted splits into the
same words and redirects as in bash (``tests/laws/test_shell_against_bash.py``). Does not stop: words that are
dangerous to the program they are given to; see ``operands.py``.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

from bascule.core.errors import Malformed


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    OPERATOR = "operator"
    REDIRECT = "redirect"


# Named once: naming a member through its class calls back into Python before 3.12, many times a command line.
WORD, OPERATOR, REDIRECT = Kind.WORD, Kind.OPERATOR, Kind.REDIRECT


class Token(NamedTuple):
    """One token of a command line. A tuple, for a frozen dataclass costs four times as much to make.

    Attributes:
        kind: see :class:`Kind`.
        text: a literal word after quote removal; a glob as it was written; else the operator.
        start: index of its first character.
        end: index after its last character.
        glob: of a word with unquoted wildcards, the pattern with quoted characters backslash-escaped; else None.
        bare: no character of the word was quoted or escaped.
        descriptor: of a redirect, the number written before it; -1 if none was.
    """

    kind: Kind
    text: str
    start: int
    end: int
    glob: str | None = None
    bare: bool = True
    descriptor: int = -1


# Each run stops at the first character that could mean something; what stops it is then looked at by name.
_PLAIN = re.compile(r"[A-Za-z0-9_./,:=@%+^\-\]}#!\u0080-\U0010ffff]+")
# The common cases in one step, blanks before them included: a word of plain characters, one quoted word without
# escapes, an operator that stands alone. Group 1, 2, 3 and 4.
_COMMON = re.compile(
    r"[ \t]*+(?:(?!#)([A-Za-z0-9_./,:=@%+^\-\]}#!]++)(?=[ \t|;&]|\Z)"
    r"|'([^']*+)'(?=[ \t|;&]|\Z)"
    r'|"([^"\\$`]*+)"(?=[ \t|;&]|\Z)'
    r"|(&&|\|\|?|;)(?=[ \t]))"
)
_BLANKS = re.compile(r"[ \t]+")
_IN_SINGLE = re.compile(r"[^']*")
_IN_DOUBLE = re.compile(r'[^"\\$`]*')
_BRACKET = re.compile(r"\[[!^]?(?:-|-?(?:[0-9]-[0-9]|[a-z]-[a-z]|[A-Z]-[A-Z]|[A-Za-z0-9_.,+@%=])+-?)\]")
_RANGE = re.compile(r"([A-Za-z0-9])-([A-Za-z0-9])")
_DESCRIPTOR = re.compile(r"[0-9]+(?=[<>])")
_OPERATOR = re.compile(r"&&|&>>|&>|\|\||\|&|;;|;&|[|;&]")
_REDIRECT = re.compile(r"<<<|<<|<>|<&|<\(|<|>>|>\||>&|>\(|>")
_SPECIAL_IN_PATTERN = re.compile(r"([\\*?\[\]])")
_WORD_ENDS = frozenset(" \t|&;<>")
_BEFORE_EXTGLOB = frozenset("?*+@!")

_QUOTE_IT = "put the word in single quotes if it is meant literally"


def tokens(untrusted_text: str) -> tuple[Token, ...]:
    """Split a command line into words, operators and redirects.

    Args:
        untrusted_text: one line, without its line end.

    Raises:
        Malformed: any character or construct outside the accepted grammar; ``code`` says which.
    """
    text = untrusted_text
    del untrusted_text
    _check_characters(text)
    found: list[Token] = []
    at = 0
    while at < len(text):
        if common := _COMMON.match(text, at):
            found.append(_common(common))
            at = common.end()
            continue
        if blanks := _BLANKS.match(text, at):
            at = blanks.end()
            continue
        character = text[at]
        if character in "|;&":
            token = _operator(text, at)
        elif character in "<>":
            token = _redirect(text, at, -1, at)
        elif character == "#":
            raise Malformed("shell_comment", f"a comment at character {at + 1}", "leave it out, or quote the '#'")
        elif character in {"(", ")"}:
            raise _parenthesis(text, at)
        elif number := _DESCRIPTOR.match(text, at):
            token = _redirect(text, at, _descriptor(number[0]), number.end())
        else:
            token = _word(text, at)
        found.append(token)
        at = token.end
    return tuple(found)


def _common(match: re.Match[str]) -> Token:
    group, end = match.lastindex or 0, match.end()
    if group == 1:
        return Token(WORD, match[1], match.start(1), end)
    if group == 4:
        return Token(OPERATOR, match[4], match.start(4), end)
    return Token(WORD, match[group], match.start(group) - 1, end, bare=False)


def _check_characters(text: str) -> None:
    if text.isprintable():
        return
    for at, character in enumerate(text):
        if character.isprintable() or character == "\t":
            continue
        where = f"at character {at + 1}"
        if character == "\0":
            raise Malformed("shell_nul", f"a NUL {where}", "no program argument can hold one")
        if character in "\n\r":
            remedy = "write one line; join commands with ';' or '&&'"
            raise Malformed("shell_newline", f"a line break {where}", remedy)
        # Space separators other than U+0020 stand in real file names (macOS screenshots); words hold them if quoted.
        if unicodedata.category(character) != "Zs":
            name = f"U+{ord(character):04X}"
            raise Malformed("shell_character", f"the control or invisible character {name} {where}", "leave it out")


def _operator(text: str, at: int) -> Token:
    match = _OPERATOR.match(text, at)
    assert match is not None
    operator = match[0]
    if operator in {"&>", "&>>"}:
        return Token(REDIRECT, operator, at, match.end())
    if operator == "&":
        raise Malformed(
            "shell_background", f"'&' at character {at + 1} starts a background job", "wait for it: use ';' or '&&'"
        )
    if operator == "|&":
        raise Malformed("shell_pipe_both", f"'|&' at character {at + 1} is not supported", "write '2>&1 |'")
    if operator in {";;", ";&"}:
        raise Malformed(
            "shell_empty_command", f"'{operator}' at character {at + 1} with nothing between", "write one ';'"
        )
    return Token(OPERATOR, operator, at, match.end())


def _descriptor(digits: str) -> int:
    if digits not in {"0", "1", "2"}:
        raise Malformed(
            "shell_descriptor", f"file descriptor {digits[:20]} cannot be redirected", "only 0, 1 and 2 exist here"
        )
    return int(digits)


_REFUSED_REDIRECTS = {
    "<<": ("shell_heredoc", "write the text to a file first and use '< file'"),
    "<<<": ("shell_heredoc", "write the text to a file first and use '< file'"),
    "<(": ("shell_substitution", "run the inner command by itself and use its result"),
    ">(": ("shell_substitution", "use a pipe"),
    "<>": ("shell_redirect", "use '<', '>' or '>>'"),
    "<&": ("shell_redirect", "use '< file' or a pipe"),
    ">|": ("shell_redirect", "use '>'"),
}


def _redirect(text: str, start: int, descriptor: int, at: int) -> Token:
    match = _REDIRECT.match(text, at)
    assert match is not None
    operator = match[0]
    if operator in _REFUSED_REDIRECTS:
        code, remedy = _REFUSED_REDIRECTS[operator]
        raise Malformed(code, f"'{operator}' at character {at + 1} is not supported", remedy)
    return Token(REDIRECT, operator, start, match.end(), descriptor=descriptor)


def _parenthesis(text: str, at: int) -> Malformed:
    where = f"at character {at + 1}"
    if at > 0 and text[at - 1] in _BEFORE_EXTGLOB:
        return Malformed("shell_extglob", f"an extended glob {where}", "use '*', '?' and '[...]' only, or quote it")
    if text[at] == "(" and at > 0 and text[at + 1 :].lstrip(" \t").startswith(")"):
        return Malformed("shell_function", f"a function definition {where}", "write the commands out")
    return Malformed(
        "shell_subshell", f"'{text[at]}' {where} is shell grouping", "write the commands out, or quote the parenthesis"
    )


def _word(text: str, start: int) -> Token:
    """Read one word; the character at ``start`` is no separator."""
    plain = _PLAIN.match(text, start)
    if plain and (plain.end() == len(text) or text[plain.end()] in _WORD_ENDS):
        _check_bare(plain[0], start)
        return Token(WORD, plain[0], start, plain.end())
    return _Reader(text, start).word()


def _check_bare(run: str, at: int) -> None:
    if not run.isprintable():
        raise Malformed("shell_character", f"an unusual space after character {at + 1}", "quote the word that holds it")


class _Reader:
    """Reads one word that is not all plain characters."""

    __slots__ = ("at", "bare", "braced", "literal", "pattern", "start", "text", "wild")

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = self.at = start
        self.literal: list[str] = []
        self.pattern: list[str] = []
        self.wild = self.braced = False
        self.bare = True

    def word(self) -> Token:
        text = self.text
        while self.at < len(text) and text[self.at] not in _WORD_ENDS:
            plain = _PLAIN.match(text, self.at)
            if plain:
                _check_bare(plain[0], self.at)
                self._take(plain[0], plain[0], plain.end())
            else:
                self._special(text[self.at])
        if self.braced:
            self._check_braces()
        value = text[self.start : self.at] if self.wild else "".join(self.literal)
        glob = "".join(self.pattern) if self.wild else None
        return Token(WORD, value, self.start, self.at, glob, self.bare)

    def _take(self, literal: str, pattern: str, end: int) -> None:
        self.literal.append(literal)
        self.pattern.append(pattern)
        self.at = end

    def _quoted(self, literal: str, end: int) -> None:
        self.bare = False
        self._take(literal, _SPECIAL_IN_PATTERN.sub(r"\\\1", literal), end)

    def _special(self, character: str) -> None:
        if character == "'":
            self._single()
        elif character == '"':
            self._double()
        elif character == "\\":
            if self.at + 1 >= len(self.text):
                raise Malformed("shell_quote", "the command ends in a backslash", "leave it out, or double it")
            self._quoted(self.text[self.at + 1], self.at + 2)
        elif character in "*?":
            self.wild = True
            self._take(character, character, self.at + 1)
        elif character == "[":
            self._bracket()
        elif character == "{":
            self.braced = True
            self._take(character, character, self.at + 1)
        elif character == "~":
            self._tilde()
        elif character in "$`":
            raise _expansion(self.text, self.at)
        elif character in "()":
            raise _parenthesis(self.text, self.at)
        else:
            raise Malformed("shell_character", f"the character {character!r} is not known here", _QUOTE_IT)

    def _single(self) -> None:
        match = _IN_SINGLE.match(self.text, self.at + 1)
        assert match is not None
        if match.end() >= len(self.text):
            raise Malformed("shell_quote", f"the ' at character {self.at + 1} is never closed", "close it with '")
        self._quoted(match[0], match.end() + 1)

    def _double(self) -> None:
        text, at, inner = self.text, self.at + 1, list[str]()
        while True:
            match = _IN_DOUBLE.match(text, at)
            assert match is not None
            inner.append(match[0])
            at = match.end()
            if at >= len(text):
                raise Malformed("shell_quote", f'the " at character {self.at + 1} is never closed', 'close it with "')
            if text[at] == '"':
                self._quoted("".join(inner), at + 1)
                return
            if text[at] in "$`":
                raise _expansion(text, at)
            # Inside double quotes a backslash quotes these four only and is itself kept before anything else.
            following = text[at + 1 : at + 2]
            inner.append(following if following and following in '$`"\\' else "\\" + following)
            at += 2

    def _bracket(self) -> None:
        match = _BRACKET.match(self.text, self.at)
        if match is None:
            alone = self.at == self.start and self.text[self.at + 1 : self.at + 2] in {"", *_WORD_ENDS}
            if not alone:
                raise self._bad_bracket()
            self._take("[", "[", self.at + 1)
            return
        if any(not _ordered(low, high) for low, high in _RANGE.findall(match[0])):
            raise self._bad_bracket()
        self.wild = True
        self._take(match[0], match[0], match.end())

    def _bad_bracket(self) -> Malformed:
        message = f"the '[' at character {self.at + 1} begins no pattern that is supported"
        return Malformed("shell_glob_bracket", message, "use [abc], [a-z] or [!abc], or quote the '['")

    def _tilde(self) -> None:
        before = self.literal[-1][-1:] if self.literal else ""
        if self.at == self.start or before in {"", "=", ":"}:
            raise Malformed(
                "shell_tilde", f"'~' at character {self.at + 1} would be a home directory", "write the path out"
            )
        self._take("~", "~", self.at + 1)

    def _check_braces(self) -> None:
        whole = "".join(self.literal)
        if "," in whole or ".." in whole:
            raise Malformed("shell_brace", f"a brace expansion at character {self.start + 1}", "write the words out")
        if self.text[self.at - 1] == "}" and self.text[self.at : self.at + 1] in {"<", ">"}:
            raise Malformed(
                "shell_descriptor", f"a named descriptor at character {self.start + 1}", "only 0, 1 and 2 exist here"
            )


def _ordered(low: str, high: str) -> bool:
    kinds = (str.isdigit, str.islower, str.isupper)
    return low <= high and any(kind(low) and kind(high) for kind in kinds)


def _expansion(text: str, at: int) -> Malformed:
    where = f"at character {at + 1}"
    if text[at] == "`" or text.startswith("$(", at):
        return Malformed(
            "shell_substitution",
            f"a command substitution {where}",
            "run the inner command by itself, then use its result",
        )
    remedy = "write the value out, or put a literal '$' in single quotes"
    return Malformed("shell_expansion", f"'$' {where} would be expanded", remedy)
