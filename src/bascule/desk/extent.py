"""How far a yes reaches: the calls a grant covers, as a value that can be shown, stored and compared. Pure.

Stops: a grant covering a program with another content, another line of programs, an option nobody saw, a path outside
the directory that was named, or a script that has changed. A word that may be anything is never an option. Does not
stop a program from doing, with words and files inside the extent, what it is for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bascule.core.call import Call
from bascule.core.canonical import Json, canonical, digest
from bascule.core.errors import Tampered
from bascule.core.interpreters import Source, text_of
from bascule.core.label import Confidentiality
from bascule.core.paths import Access, Zone, is_within
from bascule.core.plan import Command
from bascule.core.toolspec import ActionClass


class Kind(StrEnum):
    """What a token stands for."""

    PROGRAM = "program"
    WORD = "word"
    ANY = "any"
    OPTION = "option"
    JOIN = "join"
    STREAM = "stream"
    FILE = "file"
    ARGUMENT = "argument"
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True)
class Token:
    """One part of a call.

    ``text`` is a program's path, a word, an option with its ``=``, a connector, a stream's operator or an argument's
    name; ``bound`` a program's or an argument's SHA-256. FILE is a redirect's file, whose path the extent's paths hold.
    """

    kind: Kind
    text: str = ""
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """Paths of one zone that may be used in one way: ``path`` itself, and with ``below`` everything under it."""

    access: Access
    zone: Zone
    path: str
    below: bool = False


@dataclass(frozen=True, slots=True)
class Extent:
    """A set of calls of one tool.

    Attributes:
        tool: its name.
        tokens: programs, words and connectors in order; for other tools than ``exec`` their arguments but the path.
        reaches: every path a covered call may touch.
        bindings: identities that must be as they were, by name, as pairs.
        free: names of identities that may be anything.
    """

    tool: str
    tokens: tuple[Token, ...]
    reaches: tuple[Reach, ...]
    bindings: tuple[tuple[str, str], ...]
    free: tuple[str, ...] = ()


GRANTABLE = frozenset({ActionClass.READ, ActionClass.MEMORY, ActionClass.COMPUTE, ActionClass.WRITE, ActionClass.WEB})
"""Classes a grant may cover at all; what leaves the machine for a person, acts later or changes Bascule is asked each
time."""

_PATH_ARGUMENT = "path"


def extent_of(call: Call) -> Extent:
    """Return the extent that covers this very call and its repetitions only."""
    uses = {
        Reach(use.access, use.place.zone, use.place.host) for use in call.paths if use.place.zone is not Zone.DEVICE
    }
    tokens = _of_plan(call) if call.plan is not None else _of_arguments(call)
    return Extent(
        call.tool,
        tokens,
        tuple(sorted(uses, key=lambda reach: (reach.access, reach.zone, reach.path))),
        tuple(sorted(call.bindings.items())),
    )


def _of_arguments(call: Call) -> tuple[Token, ...]:
    if call.action in {ActionClass.READ, ActionClass.MEMORY} and _PATH_ARGUMENT in call.args:
        return ()  # how much of a file is read makes no other call of it
    return tuple(
        Token(Kind.ARGUMENT, name, digest(value)) for name, value in sorted(call.args.items()) if name != _PATH_ARGUMENT
    )


def _of_plan(call: Call) -> tuple[Token, ...]:
    tokens: list[Token] = []
    for step in call.plan.steps if call.plan is not None else ():
        for position, command in enumerate(step.pipeline):
            tokens.append(Token(Kind.JOIN, "|" if position else step.connector.value))
            tokens += _of_command(command)
    return tuple(tokens)


def _of_command(command: Command) -> list[Token]:
    program, streams = command.program, command.streams
    tokens = [Token(Kind.PROGRAM, program.path if program else "", program.sha256 if program else "")]
    tokens += [Token(Kind.WORD, word) for word in command.argv[1:]]
    for operator, file in (("<", streams.stdin), (">>" if streams.append else ">", streams.stdout)):
        if file is not None:
            tokens += [Token(Kind.STREAM, operator), Token(Kind.FILE, file)]
    if streams.stderr != "err":
        tokens.append(Token(Kind.STREAM, f"2>{streams.stderr}"))
    return tokens


def refusal(call: Call, action: ActionClass) -> str:
    """Return why no yes may reach beyond this one call, empty if one may.

    Args:
        call: the call.
        action: the worst class in it.
    """
    if action not in GRANTABLE:
        return f"calls of the class {action.value} are asked about one by one"
    if action is ActionClass.WEB and call.label.confidentiality is not Confidentiality.PUBLIC:
        return "private data would leave with it"
    for index, command in enumerate(call.plan.commands if call.plan is not None else ()):
        text = text_of(command.program.path if command.program else "", command.argv)
        # A name where no file is has an empty identity; the interpreter may look elsewhere (node x runs x.js).
        unbound = not call.bindings.get(f"script:{index}")
        if text.source is Source.HIDDEN:
            return f"{command.argv[0]} runs something that this line does not show"
        if text.source is Source.INPUT and unbound:
            return f"{command.argv[0]} runs whatever comes in"
        if text.source is Source.FILE and unbound:
            return f"{command.argv[0]} runs {command.argv[text.word]}, whose content is not known before the yes"
    return ""


def covers(extent: Extent, exact: Extent) -> bool:
    """True if ``exact``, as :func:`extent_of` gave it, lies in ``extent``."""
    return (
        extent.tool == exact.tool
        and len(extent.tokens) == len(exact.tokens)
        and all(_admits(mine, theirs) for mine, theirs in zip(extent.tokens, exact.tokens, strict=True))
        and all(any(_reaches(mine, theirs) for mine in extent.reaches) for theirs in exact.reaches)
        and extent.bindings == tuple(pair for pair in exact.bindings if pair[0] not in extent.free)
    )


def _admits(mine: Token, theirs: Token) -> bool:
    if mine == theirs:
        return True
    match mine.kind:
        case Kind.ANY:
            return theirs.kind is Kind.WORD and not theirs.text.startswith("-")
        case Kind.OPTION:
            return theirs.kind is Kind.WORD and theirs.text.startswith(mine.text)
        case Kind.FILE:
            return theirs.kind is Kind.FILE and not mine.text
        case Kind.ANYTHING:
            return theirs.kind is Kind.ARGUMENT and theirs.text == mine.text
        case _:
            return False


def _reaches(mine: Reach, theirs: Reach) -> bool:
    if (mine.access, mine.zone) != (theirs.access, theirs.zone):
        return False
    return is_within(theirs.path, mine.path) if mine.below else mine.path == theirs.path


def to_json(extent: Extent) -> str:
    """Return the extent as the database keeps it."""
    body: Json = {
        "tool": extent.tool,
        "tokens": [[token.kind.value, token.text, token.bound] for token in extent.tokens],
        "reaches": [[reach.access.value, reach.zone.value, reach.path, reach.below] for reach in extent.reaches],
        "bindings": [list(pair) for pair in extent.bindings],
        "free": list(extent.free),
    }
    return canonical(body).decode("utf-8")


def from_json(text: str) -> Extent:
    """Return the extent of :func:`to_json`.

    Raises:
        Tampered: it is none.
    """
    try:
        body: Mapping[str, list[list[str]]] = json.loads(text)
        return Extent(
            str(body["tool"]),
            tuple(Token(Kind(kind), word, bound) for kind, word, bound in body["tokens"]),
            tuple(
                Reach(Access(access), Zone(zone), path, bool(below)) for access, zone, path, below in body["reaches"]
            ),
            tuple((name, value) for name, value in body["bindings"]),
            tuple(str(name) for name in body["free"]),
        )
    except (ValueError, KeyError, TypeError):
        raise Tampered(
            "extent_damaged", "what a yes reaches cannot be read back", "run: bascule ledger verify"
        ) from None
