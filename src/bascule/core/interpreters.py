"""Programs that do whatever a text tells them, and where on their command line that text is.

Stops: a yes for "the same program" covering another program text: a script whose content changed, code in an argument,
or lines piped in. Knows the common ones by name; the box around every program is what bounds the ones it does not know,
and what a script that it knows goes on to read.
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

_VERSION = re.compile(r"[-.]?[0-9][0-9.]*(-[a-z0-9_]+-linux-[a-z0-9]+)?$")
"""What distributions put behind a name: ``lua5.4``, ``perl5.36-x86_64-linux-gnu``."""

_CARRIERS = re.compile(
    r"ash|bun|busybox|chroot|chrt|csh|deno|doas|ed|emacs|env|ex|gdb|gmake|ionice|java|linux32|linux64|m4|make|mksh|nice|ninja|"
    r"nohup|nsenter|parallel|rsync|script|setarch|setpriv|setsid|setuid|sqlite3|ssh|stdbuf|strace|sudo|tar|taskset|tcsh|"
    r"time|timeout|toybox|unshare|vi|view|vim(\.\w+)?|watch|xargs"
)
"""Programs that run, or read orders from, what one of their arguments names."""


@dataclass(frozen=True, slots=True)
class _Family:
    """How interpreters of one kind take their text: ``plain`` options change nothing about it, ``code`` ones hold it.

    ``first`` says what the first other word is: a file, or the text itself. ``after`` says what words behind a text
    can be: NONE, the text's own arguments; WORD, arguments or further options, which can hold more text or point to
    it; FILE, a file that is run as well.
    """

    first: Source
    plain: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    after: Source = Source.NONE


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PYTHON = _Family(Source.FILE, _words("-u -B -I -E -s -S -O -OO -q"), _words("-c"))
_SHELL = _Family(Source.FILE, _words("-e -u -x -eu -ex -eux"), _words("-c"))
_NODE = _Family(Source.FILE, code=_words("-e --eval -p --print"), after=Source.WORD)
_PERL = _Family(Source.FILE, _words("-w -n -l -p"), _words("-e -E"), Source.WORD)
_AWK = _Family(Source.WORD)
_OTHER = _Family(Source.FILE)
_FAMILIES: Mapping[str, _Family] = {
    **dict.fromkeys(("python", "pypy"), _PYTHON),
    **dict.fromkeys(("bash", "dash", "fish", "ksh", "sh", "zsh"), _SHELL),
    **dict.fromkeys(("node", "nodejs"), _NODE),
    "perl": _PERL,
    "ruby": _Family(Source.FILE, _words("-w"), _words("-e"), Source.WORD),
    "php": _Family(Source.FILE, code=_words("-r"), after=Source.WORD),
    **dict.fromkeys(("lua", "luajit"), _Family(Source.FILE, code=_words("-e"), after=Source.FILE)),
    **dict.fromkeys(("expect", "guile", "julia", "pwsh", "rscript", "tclsh", "wish"), _OTHER),
    "sed": _Family(Source.WORD, _words("-n -E -r -s -u -z -i"), after=Source.WORD),
    "jq": _Family(Source.WORD, _words("-r -c -e -n -s -S -M"), after=Source.WORD),
    "yq": _Family(Source.WORD, after=Source.WORD),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "original-awk"), _AWK),
}


def text_of(path: str, argv: Sequence[str]) -> Text:
    """Return where the text that ``argv`` makes the program at ``path`` run comes from."""
    asked = path.rpartition("/")[2].lower()
    name = _VERSION.sub("", asked)
    if _CARRIERS.fullmatch(asked) or _CARRIERS.fullmatch(name):
        return _HIDDEN
    family = _FAMILIES.get(name)
    if family is None:
        return _NOT
    first = next((index for index, word in enumerate(argv) if index and word not in family.plain), len(argv))
    word = argv[first] if first < len(argv) else "-"
    if word in family.code:
        return _held(family, argv, first + 1)
    if word == "-":
        return Text(Source.INPUT) if family.first is Source.FILE else _HIDDEN
    if word.startswith("-"):
        return _HIDDEN
    return _held(family, argv, first) if family.first is Source.WORD else Text(Source.FILE, first)


def _held(family: _Family, argv: Sequence[str], word: int) -> Text:
    """The text is a word of the line, unless that is an option itself or what follows can bring in another text."""
    behind = argv[word + 1 :]
    if word >= len(argv) or argv[word].startswith("-") or (behind and family.after is Source.FILE):
        return _HIDDEN
    if family.after is Source.WORD and any(each.startswith("-") and each not in family.plain for each in behind):
        return _HIDDEN
    return Text(Source.WORD, word)
