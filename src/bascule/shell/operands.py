"""Which words of a command name paths, and whether they are read or written.

Stops: a path outside the agent's directory slipping by as an option's value, an abbreviation, a list or a redirect.
Of a program that ``operand_table.py`` does not know, or a known program with an option it does not know, every word
counts, and every part of it that could be a path. Judged lexically. Does not stop what a program reads because of a
file's content (``wc --files0-from``): the box holds nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bascule.core.paths import Access
from bascule.core.plan import Command, ProgramKind
from bascule.shell.find_operands import Found, access_of, find_words
from bascule.shell.operand_table import PLAIN_TEXT, Role, Spec, option_role, spec_of

_SYSTEM = ("/usr/bin/", "/bin/")
_SEPARATORS = re.compile(r"[=:,;@]")
_PATH_BEGINS = re.compile(r"\.{0,2}/")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9]")

# Named once: naming a member through its class calls back into Python before 3.12, several times a word.
_FLAG, _TEXT, _OPTIONAL, _READ, _WRITE, _PROGRAM = (
    Role.FLAG, Role.TEXT, Role.OPTIONAL, Role.READ, Role.WRITE, Role.PROGRAM,
)  # fmt: skip
_NO_PATH = frozenset({_TEXT, _OPTIONAL})
_NO_VALUE = frozenset({_FLAG, _OPTIONAL})
_NOT_ITSELF = frozenset({ProgramKind.MISSING, ProgramKind.MULTICALL})
_SHIPPED = frozenset({"", *_SYSTEM})


@dataclass(frozen=True, slots=True)
class Operand:
    """One path that a command names.

    Attributes:
        word: the whole word it stands in.
        path: as it is written; relative paths start in the agent's directory.
        access: how the program would use it, as far as its words tell.
        origin: where it stands, for a person: ``word 2 of cat``, ``output of sort``.
        redirect: a redirect names it, not a word of the program.
    """

    word: str
    path: str
    access: Access
    origin: str
    redirect: bool = False


def path_operands(command: Command) -> tuple[Operand, ...]:
    """Return every path the command names, redirects included, ``/dev/null`` not; each path and access once of each.

    Call it after globs are expanded; a command that still holds one is treated like an unknown program's.
    """
    words = command.argv
    name = _table_name(command, words[0])
    found = _known(command, name, words[1:])
    if found is None:
        roles = _roles_of_unknown(name)
        found = [item for index, word in enumerate(words[1:]) for item in _possible(index, word, *roles)]
    operands: dict[tuple[str, Access, bool], Operand] = {}
    for index, path, role in found:
        for part in _readings(index, path, role):
            access = access_of(part[2])
            if access is not None and part[1]:
                origin = f"word {index + 2} of {words[0]}"
                operands.setdefault((part[1], access, False), Operand(words[index + 1], part[1], access, origin))
    for operand in _redirects(command):
        operands.setdefault((operand.path, operand.access, True), operand)
    return tuple(operands.values())


def _readings(index: int, text: str, role: Role) -> Iterator[Found]:
    if role is _OPTIONAL:
        yield from _possible(index, text, _READ)
    elif role is _PROGRAM and "/" not in text:
        yield (index, f"/usr/bin/{text}", role)
    elif role is _WRITE and text == "-":
        # Only for reading does '-' mean a stream to every program of the table.
        yield (index, "./-", role)
    else:
        yield (index, text, role)


def _redirects(command: Command) -> Iterator[Operand]:
    name, streams = command.words[0].text, command.streams
    if streams.stdin not in {None, "/dev/null"}:
        yield Operand(streams.stdin or "", streams.stdin or "", Access.READ, f"input of {name}", redirect=True)
    if streams.stdout not in {None, "/dev/null"}:
        yield Operand(streams.stdout or "", streams.stdout or "", Access.WRITE, f"output of {name}", redirect=True)


def _known(command: Command, name: str | None, words: Sequence[str]) -> list[Found] | None:
    """Return the paths by the program's own rules, or None if they are not known for all of its words."""
    if name is None or any(word.glob is not None for word in command.words):
        return None
    if name in PLAIN_TEXT:
        return []
    if name == "find":
        return find_words(list(words))
    spec = spec_of(name)
    return None if spec is None else _Reading(spec, words).paths()


def _roles_of_unknown(name: str | None) -> tuple[Role, ...]:
    """Return what is assumed of every word: of a program that writes where its words say, writing too."""
    spec = spec_of(name) if name is not None else None
    writes = name == "find" or (spec is not None and (spec.rest is _WRITE or spec.destination))
    return (_READ, _WRITE) if writes else (_READ,)


def _table_name(command: Command, asked: str) -> str | None:
    """Return the name to look up: only a program of the system is what its name says."""
    program = command.program
    if program is not None and program.kind in _NOT_ITSELF:
        return None
    if program is not None and not program.path.startswith(_SYSTEM):
        return None
    directory, slash, name = asked.rpartition("/")
    return name if f"{directory}{slash}" in _SHIPPED else None


def _possible(index: int, word: str, *roles: Role) -> Iterator[Found]:
    """Yield every part of a word that some program could take for a path, with each of the roles."""
    pieces = _SEPARATORS.split(word)
    if _WEB_ADDRESS.match(word):
        # What follows the scheme is a host; were it taken for a path all the same, no box has anything there.
        del pieces[1]
    parts = [word, *pieces]
    if word.startswith("-") and not word.startswith("--"):
        # -Ipath; and -abIpath, wherever a path visibly begins.
        parts += [word[2:], pieces[0][2:]]
        begins = _PATH_BEGINS.search(pieces[0])
        if begins:
            parts.append(pieces[0][begins.start() :])
    for part in dict.fromkeys(parts):
        for role in roles:
            yield (index, part, role)


class _Reading:
    """One pass over a known program's words, as getopt would make it."""

    __slots__ = ("at", "found", "plain", "seen", "spec", "words")

    def __init__(self, spec: Spec, words: Sequence[str]) -> None:
        self.spec = spec
        self.words = words
        self.at = 0
        self.found: list[Found] = []
        self.plain: list[tuple[int, str]] = []
        self.seen: set[str] = set()

    def paths(self) -> list[Found] | None:
        options = True
        while self.at < len(self.words):
            word = self.words[self.at]
            if not options or word == "-" or not word.startswith("-"):
                self.plain.append((self.at, word))
            elif word == "--":
                options = False
            elif not (self._long(word[2:]) if word.startswith("--") else self._short(word[1:])):
                return None
            self.at += 1
        self._place()
        return self.found

    def _long(self, text: str) -> bool:
        name, equals, value = text.partition("=")
        known = option_role(self.spec, name)
        if known is None or (equals and known[1] is _FLAG):
            return False
        self.seen.add(known[0])
        if equals:
            self._value(known[1], value)
        elif known[1] not in _NO_VALUE:
            self._next_value(known[1])
        return True

    def _short(self, letters: str) -> bool:
        if self.spec.numbers and letters[0].isdecimal():
            # An old spelling such as -20 or -20q. A letter that elsewhere takes a value may be a unit here (head -2c).
            letters = letters.lstrip("0123456789")
            if any(self.spec.short.get(letter) is not _FLAG for letter in letters):
                return False
        for position, letter in enumerate(letters):
            role = self.spec.short.get(letter)
            if role is None:
                return False
            self.seen.add(letter)
            if role is _FLAG:
                continue
            attached = letters[position + 1 :]
            if attached:
                self._value(role, attached)
            elif role is not _OPTIONAL:
                self._next_value(role)
            break
        return True

    def _next_value(self, role: Role) -> None:
        if self.at + 1 < len(self.words):
            self.at += 1
            self._value(role, self.words[self.at])

    def _value(self, role: Role, value: str) -> None:
        if role not in _NO_PATH:
            self.found.append((self.at, value, role))

    def _place(self) -> None:
        """Give every word that is no option its role."""
        spec, plain = self.spec, self.plain
        leading = () if self.seen & spec.no_leading else spec.leading
        roles = [*leading, *[spec.rest] * len(plain)][: len(plain)]
        if spec.destination and not self.seen & spec.target:
            if len(plain) > 1:
                roles[-1] = _WRITE
            elif plain and spec.here:
                self.found.append((plain[0][0], ".", _WRITE))
        self.found += [(at, word, role) for (at, word), role in zip(plain, roles, strict=True) if role is not _TEXT]
