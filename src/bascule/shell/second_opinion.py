"""A second parser, tree-sitter's bash grammar, asked whether it reads the same words and redirects as ours.

Stops: a mistake in our lexer going unnoticed, as far as the other grammar does not share it. It only ever refuses. It
is not exact itself, which is why it never decides: words after a redirect's target it files under the redirect (they
are counted as words here), it knows no NUL, it splits words at line continuations, and it reads some rare but valid
lines differently; those are refused too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from bascule.core.errors import Malformed
from bascule.shell.lexer import WORD, Token

_LANGUAGE = Language(tree_sitter_bash.language())

_CONTAINERS = frozenset({"program", "list", "pipeline", "command", "redirected_statement", "command_name"})
_WORDS = frozenset({"word", "number", "string", "raw_string", "concatenation"})
_LEAVES = frozenset({"word", "raw_string"})
_OPERATORS = frozenset({"|", "&&", "||", ";"})
_REDIRECTS = frozenset({"<", ">", ">>", ">&", "&>", "&>>"})
_PARTS = frozenset({"word", "number", "string", "raw_string", "string_content", '"', "{", "}", "[", "]"})

_REMEDY = "write it more plainly: one space between words, quotes around whole words, redirects at the end"


def check(text: str, tokens: Sequence[Token]) -> None:
    """Return if tree-sitter reads the same sequence of words, operators and redirects, each at the same place.

    Args:
        text: the command line the tokens were read from.
        tokens: what :func:`bascule.shell.lexer.tokens` returned for it.

    Raises:
        Malformed: ``shell_disagreement``, for any other reading, error or unexpected construct.
    """
    source = text.encode("utf-8")
    # A parser is cheap and not safe to share between threads, so each question gets its own. Parser and tree are kept
    # by name until the answer is read: a node is a view into memory that is theirs.
    parser = Parser(_LANGUAGE)
    tree = parser.parse(source)
    root = tree.root_node
    if root.has_error:
        raise _refuse("sees an error")
    if _items(root) != _ours(text, source, tokens):
        raise _refuse("reads other words or redirects")


def _ours(text: str, source: bytes, tokens: Sequence[Token]) -> list[tuple[str, int, int]]:
    """Return kind, first and last byte of each token."""
    if len(text) == len(source):
        return [(_kind(token), token.start, token.end) for token in tokens]
    offsets = [0]
    for character in text:
        offsets.append(offsets[-1] + len(character.encode("utf-8")))
    return [(_kind(token), offsets[token.start], offsets[token.end]) for token in tokens]


def _kind(token: Token) -> str:
    if token.kind is WORD:
        return "word"
    number = "" if token.descriptor < 0 else str(token.descriptor)
    return number + token.text


def _items(root: Node) -> list[tuple[str, int, int]]:
    """Return kind, first and last byte of every word, operator and redirect, in order of place."""
    found: list[tuple[str, int, int]] = []
    # A stack, not recursion: a long chain of '&&' is a tree as deep as it is long.
    waiting = [root]
    while waiting:
        node = waiting.pop()
        kind = node.type
        if kind in _WORDS:
            if kind not in _LEAVES:
                _check_word(node)
            found.append(("word", node.start_byte, node.end_byte))
        elif kind in _OPERATORS:
            found.append((kind, node.start_byte, node.end_byte))
        elif kind == "file_redirect":
            redirect, others = _redirect(node)
            found.append(redirect)
            waiting.extend(others)
        elif kind in _CONTAINERS:
            waiting.extend(node.children)
        else:
            raise _refuse(f"sees {re.sub('[^a-z_]', '?', kind)[:40]} where we see none")
    found.sort(key=lambda item: item[1])
    return found


def _redirect(node: Node) -> tuple[tuple[str, int, int], list[Node]]:
    """Return the redirect itself, and its target with whatever else the grammar files under it."""
    children = list(node.children)
    number = ""
    if children and children[0].type == "file_descriptor":
        number = (children[0].text or b"").decode("ascii", "replace")
        children = children[1:]
    if not children or children[0].type not in _REDIRECTS:
        raise _refuse("sees another kind of redirect")
    return (number + children[0].type, node.start_byte, children[0].end_byte), children[1:]


def _check_word(node: Node) -> None:
    waiting = list(node.children)
    while waiting:
        part = waiting.pop()
        if part.type not in _PARTS:
            raise _refuse("sees an expansion inside a word")
        waiting.extend(part.children)


def _refuse(how: str) -> Malformed:
    return Malformed("shell_disagreement", f"a second parser {how}", _REMEDY)
