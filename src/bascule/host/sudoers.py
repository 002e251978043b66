"""Reading sudo's rules, as far as it takes to tell whom they name.

Stops: an account with a right to become root passing for an ordinary one; a rule that cannot be understood is counted
and said, never taken for harmless. Does not tell: which commands a rule allows (any is too much for an agent), nor
rules in a directory service, nor those of ``doas``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from bascule.core.errors import Unavailable
from bascule.host.people import read_text

SUDOERS = "/etc/sudoers"

_FILES = 256
_DEPTH = 16
_NAMES = 10_000

_ITEM = re.compile(r"(?P<no>(?:!\s*)*)(?P<what>[%+]?:?\"[^\"]*\"|[%+]?:?(?:\\.|[^\s,=:!\"\\])+)", re.ASCII)
_ALIAS = re.compile(r"(User|Runas|Host|Cmnd|Cmd)_Alias\s+(.*)", re.ASCII | re.DOTALL)
_ALIAS_NAME = re.compile(r"([A-Z][A-Z0-9_]*)\s*=\s*", re.ASCII)
_INCLUDE = re.compile(r"[#@](include|includedir)\s+(\"[^\"]+\"|\S+)\s*", re.ASCII)
_FREE = re.compile(r"\bNOPASSWD\s*:", re.ASCII)


@dataclass(frozen=True, slots=True)
class Item:
    """One name of a list: an account, ``#uid``, ``%group``, ``%#gid``, ``+netgroup``, an alias or ``ALL``."""

    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom a rule names; ``where`` is its file and line; ``free``: it asks for no password."""

    where: str
    users: tuple[Item, ...]
    free: bool


@dataclass(frozen=True, slots=True)
class Include:
    """Another file, or every file of a directory, to be read at this place."""

    path: str
    directory: bool


@dataclass(frozen=True, slots=True)
class Sudoers:
    """Every rule found, the aliases they use, and what could not be read, one line each."""

    rules: tuple[Rule, ...] = ()
    aliases: tuple[tuple[str, tuple[Item, ...]], ...] = ()
    unread: tuple[str, ...] = ()

    def naming(self, uid: int, names: Iterable[str], groups: Iterable[str], gids: Iterable[int]) -> tuple[Rule, ...]:
        """Return the rules that name an account.

        Args:
            uid: its number.
            names: its names; without any sudo refuses it, so that only a rule with its very number counts.
            groups: names of its groups.
            gids: their numbers.
        """
        known = frozenset(names)
        words = {f"#{uid}"}
        if known:
            words |= {"ALL", *known, *(f"%{group}" for group in groups), *(f"%#{gid}" for gid in gids)}
        aliases = dict(self.aliases)
        return tuple(rule for rule in self.rules if _names(rule.users, words, aliases, 0))


def _names(users: Iterable[Item], words: set[str], aliases: Mapping[str, tuple[Item, ...]], depth: int) -> bool:
    """True if a list names somebody: of several items that do, the last decides (``sudoers(5)``)."""
    named = False
    for item in users:
        hit = item.name in words
        if not hit and item.name in aliases and depth < _DEPTH:
            hit = _names(aliases[item.name], words, aliases, depth + 1)
        if hit:
            named = not item.negated
    return named


def parse(untrusted_text: str, where: str) -> tuple[Sudoers, tuple[Include, ...]]:
    """Return what one file says, and the files it brings in.

    Args:
        untrusted_text: its content.
        where: its path, for places.
    """
    rules: list[Rule] = []
    aliases: list[tuple[str, tuple[Item, ...]]] = []
    unread: list[str] = []
    includes: list[Include] = []
    for number, line in _joined(untrusted_text):
        place = f"{where}:{number}"
        if (include := _INCLUDE.fullmatch(line)) is not None:
            includes.append(Include(include[2].strip('"'), include[1] == "includedir"))
        elif (text := _bare(line)) and (alias := _ALIAS.fullmatch(text)) is not None:
            found = _aliases(alias[2]) if alias[1] == "User" else []
            aliases += found or []
            unread += [f"{place}: an alias that cannot be read"] if found is None else []
        elif text and not text.startswith("Defaults"):
            users, rest = _list(text)
            if users and "=" in rest:
                rules.append(Rule(place, users, _FREE.search(rest) is not None))
            else:
                unread.append(f"{place}: a rule that cannot be read")
    del untrusted_text
    return Sudoers(tuple(rules), tuple(aliases), tuple(unread)), tuple(includes)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one that ends in a backslash goes on in the next."""
    whole, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first or number
        if line.endswith("\\"):
            whole += line[:-1] + " "
            continue
        yield first, (whole + line).strip()
        whole, first = "", 0
    if whole:
        yield first, whole.strip()


def _bare(line: str) -> str:
    """The line without its comment: from a ``#`` on that begins no number (of an account) and is not quoted."""
    quoted = False
    for index, letter in enumerate(line):
        quoted ^= letter == '"'
        number, escaped = line[index + 1 : index + 2].isdigit(), line[index - 1 : index] == "\\"
        if letter == "#" and not (quoted or number or escaped):
            return line[:index].strip()
    return line


def _list(text: str) -> tuple[tuple[Item, ...], str]:
    """Return a list's items and what follows it."""
    items: list[Item] = []
    place = 0
    while (match := _ITEM.match(text, place)) is not None:
        name = re.sub(r"\\(.)", r"\1", match["what"].replace('"', ""))
        items.append(Item(name, match["no"].count("!") % 2 == 1))
        rest = text[match.end() :].lstrip()
        place = len(text) - len(rest)
        if not rest.startswith(","):
            return tuple(items), rest
        place += 1
        place += len(text[place:]) - len(text[place:].lstrip())
    return (), text


def _aliases(text: str) -> list[tuple[str, tuple[Item, ...]]] | None:
    found = []
    while True:
        name = _ALIAS_NAME.match(text)
        items, rest = _list(text[name.end() :]) if name is not None else ((), "")
        if name is None or not items or (rest and not rest.startswith(":")):
            return None
        found.append((name[1], items))
        if not rest:
            return found
        text = rest[1:].lstrip()


@dataclass(slots=True)
class _Reading:
    rules: list[Rule]
    aliases: list[tuple[str, tuple[Item, ...]]]
    unread: list[str]
    files: int = 0


def read(
    path: str = SUDOERS,
    text_of: Callable[[str], str | None] = read_text,
    names_in: Callable[[str], Iterable[str]] = os.listdir,
) -> Sudoers:
    """Return the rules of the machine, included files and all; nothing if there is no such file.

    Args:
        path: where they begin.
        text_of: a file's text, None if there is none; raises :class:`Unavailable`.
        names_in: what lies in a directory.
    """
    reading = _Reading([], [], [])
    _read(path, reading, text_of, names_in, 0)
    return Sudoers(tuple(reading.rules), tuple(reading.aliases), tuple(reading.unread))


def _read(
    path: str,
    into: _Reading,
    text_of: Callable[[str], str | None],
    names_in: Callable[[str], Iterable[str]],
    depth: int,
) -> None:
    into.files += 1
    if into.files > _FILES or depth > _DEPTH:
        into.unread.append(f"{path}: one of too many files")
        return
    try:
        text = text_of(path)
    except Unavailable as error:
        into.unread.append(error.message)
        return
    if text is None:
        return
    found, includes = parse(text, path)
    into.rules += found.rules
    into.aliases += found.aliases
    into.unread += found.unread
    for include in includes:
        target = str(PurePosixPath(path).parent / include.path)
        if "%" in include.path:
            into.unread.append(f"{path}: what {include.path} brings in")
        elif not include.directory:
            _read(target, into, text_of, names_in, depth + 1)
        else:
            for name in _those_read(target, into, names_in):
                _read(f"{target}/{name}", into, text_of, names_in, depth + 1)


def _those_read(directory: str, into: _Reading, names_in: Callable[[str], Iterable[str]]) -> list[str]:
    """The files that sudo would read: not those with a dot in their name, and no copies an editor left."""
    try:
        names = sorted(names_in(directory))
    except FileNotFoundError:
        return []
    except OSError as error:
        into.unread.append(f"{directory} cannot be read: {error.strerror}")
        return []
    return [name for name in names[:_NAMES] if "." not in name and not name.endswith("~")]
