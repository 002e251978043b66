"""The words of ``find``: start paths, files that tests look at, files it writes, programs it starts.

Stops: ``-delete``, ``-fprint`` and ``-exec`` passing as reading. ``-delete`` writes at every start path; the program
word of ``-exec`` and its kin is an operand of its own, a bare name standing for ``/usr/bin/NAME``, so that judges see a
path outside; that program's own words all count as paths. Does not stop find from starting what its box does hold:
only find itself, unless the operator's entry lists more in ``needs``.
"""

from __future__ import annotations

from collections.abc import Sequence

from bascule.core.paths import Access
from bascule.shell.operand_table import Role

_NO_VALUE = (
    "-a -and -o -or -not -daystart -depth -d -follow -ignore_readdir_race -noignore_readdir_race -mount -xdev -warn "
    "-nowarn -noleaf -empty -executable -false -true -nogroup -nouser -readable -writable -print -print0 -prune -quit "
    "-ls -help --help -version --version"
)
_TEXT_VALUE = (
    "-maxdepth -mindepth -regextype -amin -atime -cmin -context -ctime -fstype -gid -group -ilname -iname -inum "
    "-ipath -iregex -iwholename -links -lname -mmin -mtime -name -path -perm -printf -regex -size -type -uid -used "
    "-user -wholename -xtype"
)
PREDICATES: dict[str, tuple[Role, ...]] = {
    **dict.fromkeys(_NO_VALUE.split(), ()),
    **dict.fromkeys(_TEXT_VALUE.split(), (Role.TEXT,)),
    **dict.fromkeys(["-anewer", "-cnewer", "-newer", "-samefile", "-files0-from"], (Role.READ,)),
    **dict.fromkeys(["-fprint", "-fprint0", "-fls"], (Role.WRITE,)),
    "-fprintf": (Role.WRITE, Role.TEXT),
}
"""Every predicate of GNU find 4.9 but ``-newerXY``, ``-delete`` and those that start programs, with its values."""

_STARTS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_GLUE = frozenset({"(", ")", ",", "!"})
_BEFORE_PATHS = frozenset({"-H", "-L", "-P", "-O0", "-O1", "-O2", "-O3"})

Found = tuple[int, str, Role]
"""Index of a word, the path in it, what happens to it."""


def find_words(words: Sequence[str]) -> list[Found] | None:
    """Return the paths among the words that follow ``find``, or None if one of them is not understood.

    Words of a program that find starts come with :attr:`Role.OPTIONAL`: each counts as a possible path.
    """
    at = 0
    while at < len(words) and (words[at] in _BEFORE_PATHS or words[at] == "-D"):
        at += 2 if words[at] == "-D" else 1
    first = at + 1 if words[at : at + 1] == ["--"] else at
    at = first
    while at < len(words) and not words[at].startswith("-") and words[at] not in _GLUE:
        at += 1
    starts = [(index, words[index], Role.READ) for index in range(first, at)]
    found = list(starts)
    while at < len(words):
        word = words[at]
        if word == "-delete":
            found += [(index, path, Role.WRITE) for index, path, _ in starts] or [(at, ".", Role.WRITE)]
            at += 1
        elif word in _STARTS:
            end = _end_of_program(words, at + 1)
            found += _program_words(words, at + 1, end)
            at = end + 1
        else:
            roles = _roles(word)
            if roles is None:
                return None
            values = list(words[at + 1 : at + 1 + len(roles)])
            found += [
                (at + 1 + offset, value, role) for offset, (value, role) in enumerate(zip(values, roles, strict=False))
            ]
            at += 1 + len(roles)
    return found


def access_of(role: Role) -> Access | None:
    """Return how a word with this role touches a path; None if it names none."""
    if role is Role.WRITE:
        return Access.WRITE
    return Access.READ if role in {Role.READ, Role.PROGRAM} else None


def _roles(word: str) -> tuple[Role, ...] | None:
    if word in _GLUE:
        return ()
    if word.startswith("-newer") and len(word) == len("-newerXY"):
        # -newerXt compares with a time that is written out; every other letter names a file.
        return (Role.TEXT,) if word.endswith("t") else (Role.READ,)
    return PREDICATES.get(word)


def _end_of_program(words: Sequence[str], at: int) -> int:
    for index in range(at, len(words)):
        if words[index] == ";" or (words[index] == "+" and words[index - 1] == "{}"):
            return index
    return len(words)


def _program_words(words: Sequence[str], first: int, end: int) -> list[Found]:
    found: list[Found] = []
    for index in range(first, end):
        if index == first:
            found.append((index, words[index], Role.PROGRAM))
        elif words[index] != "{}":
            found.append((index, words[index], Role.OPTIONAL))
    return found
