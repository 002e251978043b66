"""Programs that do whatever a text tells them, and where on their command line that text is.

Stops: a yes for "the same program" covering another program text: a script whose content changed, code in an argument,
or lines piped in. Knows the common ones by name; the box around every program is what bounds the ones it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """Where a program's text comes from."""

    NONE = "none"
    FILE = "file"
    WORD = "word"
    INPUT = "input"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Text:
    """What a command runs. ``word`` is the index in its argument vector for FILE and WORD, else 0.

    NONE: the program is its own text. HIDDEN: it comes from somewhere this table cannot point at (a module's name, a
    file given by an option, another program's argument).
    """

    source: Source
    word: int = 0


_NOT = Text(Source.NONE)
_HIDDEN = Text(Source.HIDDEN)

_VERSION = re.compile(r"[-.]?[0-9][0-9.]*$")

_CARRIERS = re.compile(
    "ash|chroot|chrt|csh|doas|ed|emacs|env|ex|gdb|gmake|ionice|java|linux32|linux64|m4|make|nice|ninja|nohup|nsenter|"
    "parallel|rsync|script|setarch|setpriv|setsid|setuid|sqlite3|ssh|stdbuf|strace|sudo|tar|taskset|tcsh|time|timeout|"
    "unshare|vi|view|vim|watch|xargs"
)
"""Programs that run, or read orders from, what one of their arguments names."""


@dataclass(frozen=True, slots=True)
class _Family:
    """How interpreters of one kind take their text: ``plain`` options change nothing about it, ``code`` ones hold it.

    ``first`` says what the first other word is: a file, or the text itself.
    """

    first: Source
    plain: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PYTHON = _Family(Source.FILE, _words("-u -B -I -E -s -S -O -OO -q"), _words("-c"))
_SHELL = _Family(Source.FILE, _words("-e -u -x -eu -ex -eux"), _words("-c"))
_NODE = _Family(Source.FILE, code=_words("-e --eval -p --print"))
_PERL = _Family(Source.FILE, _words("-w -n -l -p"), _words("-e -E"))
_OTHER = _Family(Source.FILE)
_FAMILIES: Mapping[str, _Family] = {
    **dict.fromkeys(("python", "pypy"), _PYTHON),
    **dict.fromkeys(("bash", "dash", "fish", "ksh", "sh", "zsh"), _SHELL),
    **dict.fromkeys(("bun", "deno", "node", "nodejs"), _NODE),
    "perl": _PERL,
    "ruby": _Family(Source.FILE, _words("-w"), _words("-e")),
    "php": _Family(Source.FILE, code=_words("-r")),
    **dict.fromkeys(("lua", "luajit"), _Family(Source.FILE, code=_words("-e"))),
    **dict.fromkeys(("expect", "guile", "julia", "pwsh", "rscript", "tclsh", "wish"), _OTHER),
    "sed": _Family(Source.WORD, _words("-n -E -r -s -u -z -i")),
    "jq": _Family(Source.WORD, _words("-r -c -e -n -s -S -M")),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "yq"), _Family(Source.WORD)),
}


def text_of(path: str, argv: Sequence[str]) -> Text:
    """Return where the text that ``argv`` makes the program at ``path`` run comes from."""
    name = _VERSION.sub("", path.rpartition("/")[2].lower())
    if _CARRIERS.fullmatch(name):
        return _HIDDEN
    family = _FAMILIES.get(name)
    if family is None:
        return _NOT
    first = next((index for index, word in enumerate(argv) if index and word not in family.plain), len(argv))
    word = argv[first] if first < len(argv) else "-"
    if word in family.code:
        return Text(Source.WORD, first + 1) if first + 1 < len(argv) else _HIDDEN
    if word == "-":
        return Text(Source.INPUT) if family.first is Source.FILE else _HIDDEN
    return _HIDDEN if word.startswith("-") else Text(family.first, first)
