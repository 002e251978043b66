"""The narrowest extent that covers several calls, the one an operator writes by hand, and both in words. Pure.

Stops: a proposal that reaches further than what was seen makes necessary: words widen one by one and never to options,
paths to the directory they share and never to a whole file system, the text of an interpreter never at all. Does not
stop an operator from writing a wider pattern; what it covers is said before it counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from bascule.core.errors import Malformed, NotPermitted
from bascule.core.interpreters import Source, text_of
from bascule.core.paths import Access, Layout, Zone, is_within, locate
from bascule.core.plan import Command, Connector
from bascule.core.quoting import quote
from bascule.desk.extent import Extent, Kind, Reach, Token, covers
from bascule.shell.command import read_command
from bascule.shell.operand_table import spec_of

SIMILAR = 8
"""How many answered questions a proposal looks back on."""

MIN_DEPTH = 2
"""Components a directory outside the agent's must have before everything under it can be covered."""

_VERB = re.compile(r"[a-z][a-z_-]*", re.ASCII)
_NAMED = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*=", re.ASCII)
_WORDS = frozenset({Kind.PROGRAM, Kind.WORD, Kind.ANY, Kind.OPTION})
_FREEABLE = frozenset({"pre_image"})


def widen(one: Extent, other: Extent) -> Extent | None:
    """Return the narrowest extent that covers both, or None if they are not alike enough."""
    if one == other:
        return one
    if one.tool != other.tool or len(one.tokens) != len(other.tokens):
        return None
    tokens = _widen_tokens(one.tokens, other.tokens)
    reaches = _widen_reaches(one.reaches, other.reaches)
    bindings = _widen_bindings(one, other)
    if tokens is None or reaches is None or bindings is None:
        return None
    return Extent(one.tool, tokens, reaches, *bindings)


def narrowest(latest: Extent, earlier: Iterable[Extent]) -> tuple[Extent, int]:
    """Return the narrowest extent over a call and those earlier ones that are like it, and how many it covers."""
    found, covered = latest, 1
    for extent in earlier:
        wider = widen(found, extent)
        if wider is not None:
            found, covered = wider, covered + 1
    return found, covered


def _widen_tokens(one: Sequence[Token], other: Sequence[Token]) -> tuple[Token, ...] | None:
    found = []
    fixed = _fixed(one) | _fixed(other)
    for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        token = mine if mine == theirs else None if index in fixed else _widen_token(mine, theirs)
        if token is None:
            return None
        found.append(token)
    return tuple(found)


def _widen_token(mine: Token, theirs: Token) -> Token | None:
    kinds = {mine.kind, theirs.kind}
    if kinds == {Kind.FILE}:
        return Token(Kind.FILE)
    if kinds <= {Kind.ARGUMENT, Kind.ANYTHING} and mine.text == theirs.text:
        return Token(Kind.ANYTHING, mine.text)
    if kinds <= {Kind.WORD, Kind.ANY, Kind.OPTION}:
        options = {_option(mine), _option(theirs)}
        if options == {""}:
            return Token(Kind.ANY)
        (shared,) = options if len(options) == 1 else ("",)
        return Token(Kind.OPTION, shared) if shared.endswith("=") else None
    return None


def _option(token: Token) -> str:
    """The name of an option with its ``=``, the whole option if it has none, empty for any other word.

    A word such as ``if=FILE`` is one too: another name makes the program (``dd``) do another thing.
    """
    if token.kind is Kind.OPTION:
        return token.text
    if not token.text.startswith("-"):
        named = _NAMED.match(token.text)
        return named[0] if named else ""
    name, equals, _ = token.text.partition("=")
    return name + equals


def _fixed(tokens: Sequence[Token]) -> set[int]:
    """The places where nothing varies by itself: what an interpreter runs and all before it, and a program's verbs.

    Of a program the operand table does not know, the plain words it begins with say what it is to do (``remote add``).
    """
    fixed = _texts(tokens)
    for start, end in _commands(tokens):
        if spec_of(tokens[start].text.rpartition("/")[2]) is None:
            words = tokens[start + 1 : end]
            verbs = takewhile(lambda part: part.kind is Kind.WORD and _VERB.fullmatch(part.text), words)
            fixed |= set(range(start, start + 1 + len(list(verbs))))
    return fixed


def _texts(tokens: Sequence[Token]) -> set[int]:
    """The places of interpreters, of what they run, and of all between."""
    places: set[int] = set()
    for start, end in _commands(tokens):
        words = ["*" if part.kind is Kind.ANY else part.text for part in tokens[start:end] if part.kind in _WORDS]
        text = text_of(words[0], words)
        if text.source in {Source.FILE, Source.WORD}:
            places |= set(range(start, start + text.word + 1))
        elif text.source is not Source.NONE:
            places |= set(range(len(tokens)))
    return places


def _commands(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """Where each program's tokens begin and end."""
    starts = [at for at, token in enumerate(tokens) if token.kind is Kind.PROGRAM]
    joins = [at for at, token in enumerate(tokens) if token.kind is Kind.JOIN]
    return [(start, next((join for join in joins if join > start), len(tokens))) for start in starts]


def _widen_reaches(one: Sequence[Reach], other: Sequence[Reach]) -> tuple[Reach, ...] | None:
    found: list[Reach] = []
    for kind in dict.fromkeys((reach.access, reach.zone) for reach in (*one, *other)):
        found += [reach for reach in one if (reach.access, reach.zone) == kind and reach in other]
        mine, theirs = (
            [reach for reach in side if (reach.access, reach.zone) == kind and reach not in found]
            for side in (one, other)
        )
        if not mine or not theirs:
            found += [*mine, *theirs]
            continue
        shared = _shared_directory([reach.path for reach in (*mine, *theirs)], [*mine, *theirs])
        if kind[1] is Zone.OUTSIDE and shared.count("/") < MIN_DEPTH:
            return None
        found.append(Reach(*kind, shared, below=True))
    return tuple(found)


def _shared_directory(paths: Sequence[str], reaches: Sequence[Reach]) -> str:
    """The lowest directory that every path lies in; a path that stands for all below it counts as a directory."""
    shared = paths[0] if reaches[0].below else paths[0].rpartition("/")[0]
    while shared and not all(is_within(path, shared) for path in paths):
        shared = shared.rpartition("/")[0]
    return shared or "/"


def _widen_bindings(one: Extent, other: Extent) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]] | None:
    mine, theirs = dict(one.bindings), dict(other.bindings)
    free = set(one.free) | set(other.free)
    differing = {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)}
    if not differing <= _FREEABLE:
        return None
    free |= differing
    return tuple((name, value) for name, value in one.bindings if name not in free), tuple(sorted(free))


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an operator wrote: arguments and a directory; None for exactly those of the call."""

    args: str | None
    under: str | None


def by_hand(exact: Extent, pattern: Pattern, layout: Layout) -> Extent:
    """Return the extent an operator's pattern describes, which covers the call it was written for.

    Raises:
        Malformed: ``grant_terms``: it cannot be read, or is for one program where the call has several.
        NotPermitted: ``grant_misses``: the call itself lies outside.
    """
    tokens = exact.tokens if pattern.args is None else _by_hand_tokens(exact.tokens, pattern.args)
    reaches = exact.reaches if pattern.under is None else _by_hand_reaches(exact.reaches, pattern.under, layout)
    made = replace(exact, tokens=tokens, reaches=reaches)
    if not covers(made, exact):
        detail = "the pattern does not cover the call it would be granted with"
        raise NotPermitted("grant_misses", detail, "write the words after the program's name; * is any but an option")
    fixed = _texts(exact.tokens)
    if any(mine != theirs for at, (mine, theirs) in enumerate(zip(tokens, exact.tokens, strict=True)) if at in fixed):
        raise NotPermitted("grant_never", "what an interpreter runs may not vary", "name the script itself")
    return made


def _by_hand_tokens(exact: Sequence[Token], args: str) -> tuple[Token, ...]:
    programs = [token for token in exact if token.kind is Kind.PROGRAM]
    if len(programs) != 1:
        raise Malformed("grant_terms", "a pattern of arguments is for a call of one program", "leave --args out")
    try:
        plan = read_command(f"program {args}")
    except Malformed as refused:
        raise Malformed("grant_terms", f"the pattern cannot be read: {refused.message}") from None
    command = plan.commands[0]
    if len(plan.commands) != 1 or command.streams != Command(()).streams or plan.steps[0].connector != Connector.FIRST:
        raise Malformed("grant_terms", "a pattern of arguments holds words only")
    words = [_by_hand_word(word.text, word.glob) for word in command.words[1:]]
    before = next(index for index, token in enumerate(exact) if token.kind is Kind.PROGRAM) + 1
    after = [token for token in exact[before:] if token.kind not in {Kind.WORD, Kind.ANY, Kind.OPTION}]
    return (*exact[:before], *words, *after)


def _by_hand_word(text: str, glob: str | None) -> Token:
    if glob is None:
        return Token(Kind.WORD, text)
    if glob == "*":
        return Token(Kind.ANY)
    name = text[:-1]
    if text.startswith("-") and text.endswith("=*") and not set(name) & set("*?[]"):
        return Token(Kind.OPTION, name)
    raise Malformed("grant_terms", f"{text!r} is no pattern", "write * for any word, --name=* for any value")


def _by_hand_reaches(exact: Sequence[Reach], under: str, layout: Layout) -> tuple[Reach, ...]:
    place = locate(under, layout)
    if place.zone is Zone.PROTECTED or (place.zone is Zone.OUTSIDE and place.host.count("/") < MIN_DEPTH):
        raise NotPermitted("grant_never", f"not everything under {place.host} can be covered", "name a directory in it")
    kinds = dict.fromkeys((reach.access, reach.zone) for reach in exact if is_within(reach.path, place.host))
    if not kinds:
        raise NotPermitted("grant_misses", f"no path of this call lies under {place.host}", "see its card for them")
    return (
        *(Reach(access, zone, place.host, below=True) for access, zone in kinds),
        *(reach for reach in exact if (reach.access, reach.zone) not in kinds),
    )


def in_words(extent: Extent) -> tuple[str, ...]:
    """Return what an extent covers, one string a line: the line of programs, the paths, and what else that lets in."""
    lines = [f"covers: {extent.tool} {_line(extent.tokens)}".rstrip()]
    programs = dict.fromkeys(token for token in extent.tokens if token.kind is Kind.PROGRAM)
    lines += [f"while {program.text} has the sha256 {program.bound}" for program in programs]
    lines += [f"while {name} is {value}" for name, value in extent.bindings]
    for reach in extent.reaches:
        verb = "writing" if reach.access is Access.WRITE else "reading"
        lines.append(f"{verb} {'anything under ' if reach.below else ''}{reach.path}")
    lines += _besides(extent)
    return tuple(lines)


def _line(tokens: Sequence[Token]) -> str:
    shown = {Kind.ANY: "<any word but an option>", Kind.FILE: "<a file named below>"}
    parts = []
    for token in tokens:
        if token.kind is Kind.ARGUMENT:
            parts.append(f"{token.text}=<as it was>")
        elif token.kind is Kind.ANYTHING:
            parts.append(f"{token.text}=<anything>")
        elif token.kind is Kind.OPTION:
            parts.append(f"{quote(token.text)}<any value>")
        elif token.kind in {Kind.JOIN, Kind.STREAM}:
            parts.append(token.text)
        else:
            parts.append(shown.get(token.kind, quote(token.text)) if not token.text else quote(token.text))
    return " ".join(part for part in parts if part)


def _besides(extent: Extent) -> list[str]:
    """What the wide parts let in that nobody has looked at."""
    kinds = {token.kind for token in extent.tokens}
    besides = []
    if Kind.ANY in kinds or Kind.OPTION in kinds:
        besides.append("so also: every other word in those places, whatever it makes the program do")
    if any(reach.below for reach in extent.reaches):
        besides.append("so also: every other file there, and those that come to be there")
    if Kind.ANYTHING in kinds or extent.free:
        besides.append("so also: any other content, and a file that has changed meanwhile")
    return besides
