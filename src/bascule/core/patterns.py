"""Patterns as OpenClaw writes them: for program paths, and for tool names.

Stops: a pattern that takes exponential time, and a pattern that reaches further than it reads (``*`` never crosses a
slash, a bare name never matches a path somebody typed). Matching is one pass over the text with a bit set of pattern
positions, so time is linear in the text whatever the pattern. Does not stop: a pattern that is simply too broad; that
is a finding. Does not follow links: the literal directory of a pattern is resolved when the policy is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from bascule.core.paths import normal

WILDCARDS = frozenset("*?")
"""The only characters of a path pattern that do not stand for themselves (OpenClaw has no classes or braces)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: a non-deterministic automaton whose states are the bits of an integer.

    Attributes:
        literal: the whole pattern if it holds no wildcard, else None.
        prefix: literal text every match begins with; a cheap first test.
        accepts: for each character, the positions whose atom is that character.
        single: positions whose atom is ``?``.
        within: positions before which a ``*`` stands (loops on anything but a slash).
        across: positions before which a ``**`` stands (loops on anything).
        final: the bit of the position after the last atom.
    """

    literal: str | None
    prefix: str
    accepts: Mapping[str, int]
    single: int
    within: int
    across: int
    final: int

    def matches(self, text: str) -> bool:
        """True if the whole of ``text`` matches."""
        if self.literal is not None:
            return text == self.literal
        if not text.startswith(self.prefix):
            return False
        states = 1
        for character in text:
            taken = self.accepts.get(character, 0)
            loops = self.across
            if character != "/":
                taken |= self.single
                loops |= self.within
            states = ((states & taken) << 1) | (states & loops)
            if not states:
                return False
        return bool(states & self.final)


@lru_cache(maxsize=4096)
def path_pattern(pattern: str) -> Pattern:
    """Compile a path pattern: ``*`` within a component, ``**`` across, ``?`` one character, all else literal."""
    return _compile(pattern, names=False)


@lru_cache(maxsize=4096)
def name_pattern(pattern: str) -> Pattern:
    """Compile a tool name pattern: ``*`` is any run of characters, all else literal."""
    return _compile(pattern, names=True)


def _compile(pattern: str, *, names: bool) -> Pattern:
    accepts: dict[str, int] = {}
    single = within = across = position = index = 0
    while index < len(pattern):
        character = pattern[index]
        if character == "*":
            run = 1
            while index + run < len(pattern) and pattern[index + run] == "*":
                run += 1
            if names or run > 1:
                across |= 1 << position
            else:
                within |= 1 << position
            index += run
            continue
        if character == "?" and not names:
            single |= 1 << position
        else:
            accepts[character] = accepts.get(character, 0) | 1 << position
        position += 1
        index += 1
    wild = "*" if names else "*?"
    first = min((at for at in map(pattern.find, wild) if at >= 0), default=len(pattern))
    literal = pattern if first == len(pattern) else None
    return Pattern(literal, pattern[:first], accepts, single, within, across, 1 << position)


def is_bare(pattern: str) -> bool:
    """True for a pattern without a slash: it names a program found over the search path, not a file."""
    return "/" not in pattern


def literal_directory(pattern: str) -> str:
    """Return the directory part that holds no wildcard, without a trailing slash (``/a/b`` of ``/a/b/*.sh``)."""
    first = min((at for at in map(pattern.find, WILDCARDS) if at >= 0), default=len(pattern))
    return pattern[: pattern.rfind("/", 0, first)] if "/" in pattern[:first] else ""


def path_pattern_matches(pattern: str, path: str, *, asked: str) -> bool:
    """True if an allowlist pattern covers a program.

    Args:
        pattern: absolute with its directory resolved, a bare name, or ``*`` alone for any program.
        path: absolute path the word resolved to; dot segments are normalised here.
        asked: the word the command used.

    A bare name matches only a command that was invoked by bare name, never ``./name`` or ``/somewhere/name``.
    """
    text = pattern.strip()
    if not text:
        return False
    if text == "*":
        return True
    if is_bare(text):
        return "/" not in asked and path_pattern(text).matches(asked)
    if not path.startswith("/"):
        return False
    plain = normal(path) if "/." in path or "//" in path else path
    return path_pattern(text).matches(plain)


def tool_pattern_matches(pattern: str, name: str) -> bool:
    """True if a tool name pattern covers a tool; both must be normalised already (lower case, aliases resolved)."""
    return name_pattern(pattern).matches(name)
