"""Filling a plan in: globs replaced by the matches the file worker found, program words by the programs they name.

Stops: a file name that begins with ``-`` becoming an option (every match must begin with ``./`` or ``/``), a glob
without a match staying behind as a literal word, and an argument vector that grows without bound. Does not look
anything up itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bascule.core.errors import Malformed
from bascule.core.plan import Command, Plan, Program, Step, Word

MAX_WORDS = 4096
"""Words of one expanded command: a card must stay readable, and the kernel's argument limit far away."""


def glob_words(plan: Plan) -> tuple[str, ...]:
    """Return every pattern in the plan, once each, in order of first use."""
    found = (word.glob for command in plan.commands for word in command.words if word.glob is not None)
    return tuple(dict.fromkeys(found))


def with_globs(plan: Plan, matches: Mapping[str, Sequence[str]]) -> Plan:
    """Return the plan with every glob word replaced by its matches, in the order given.

    Args:
        plan: as :func:`bascule.shell.command.read_command` returned it.
        matches: for each pattern of :func:`glob_words`, paths that begin with ``./`` or ``/``.

    Raises:
        Malformed: ``glob_no_match``, ``glob_too_many``, or ``glob_name`` for a match that is no safe argument.
    """
    if not glob_words(plan):
        return plan
    return _each_command(plan, [_expanded(command, matches) for command in plan.commands])


def with_programs(plan: Plan, programs: Sequence[Program]) -> Plan:
    """Return the plan with one resolved program for each of ``plan.commands``, in that order.

    Raises:
        ValueError: there are more or fewer programs than commands.
    """
    pairs = zip(plan.commands, programs, strict=True)
    return _each_command(plan, [replace(command, program=program) for command, program in pairs])


def _each_command(plan: Plan, commands: Sequence[Command]) -> Plan:
    following = iter(commands)
    steps = (Step(step.connector, tuple(next(following) for _ in step.pipeline)) for step in plan.steps)
    return Plan(tuple(steps))


def _expanded(command: Command, matches: Mapping[str, Sequence[str]]) -> Command:
    words: list[Word] = []
    for word in command.words:
        if word.glob is None:
            words.append(word)
        else:
            words.extend(Word(_checked(name)) for name in _found(word, matches))
    if len(words) > MAX_WORDS:
        raise Malformed(
            "glob_too_many",
            f"the patterns match more than {MAX_WORDS} names",
            "narrow the pattern, or use find or grep -r",
        )
    return replace(command, words=tuple(words))


def _found(word: Word, matches: Mapping[str, Sequence[str]]) -> Sequence[str]:
    names = matches.get(word.glob or "", ())
    if not names:
        raise Malformed(
            "glob_no_match",
            f"nothing matches {word.text[:80]!r}",
            "check it, or quote it if meant literally",
        )
    return names


def _checked(name: str) -> str:
    if not name.startswith(("./", "/")):
        raise Malformed("glob_name", f"the match {name[:80]!r} does not begin with ./ or /", "name the file")
    if "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise Malformed("glob_name", f"the file name {name[:80]!r} is not text", "rename the file")
    return name
