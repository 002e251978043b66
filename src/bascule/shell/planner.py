"""From tokens to a plan: simple commands, pipelines, connectors, and where each standard stream goes.

Stops: assignments before a command, reserved words, builtins that exist only inside a shell, and every combination of
redirects that :class:`~bascule.core.plan.Streams` cannot say exactly (order matters in bash, and it does here). Does
not stop a program because of what it is; that is layer 6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bascule.core.errors import Malformed
from bascule.core.paths import normal
from bascule.core.plan import Command, Connector, Plan, Step, Streams, Word
from bascule.shell.lexer import OPERATOR, REDIRECT, WORD, Token

NULL = "/dev/null"

MAX_COMMANDS = 64
"""Commands of one line: each gets its own box, its own judgement and its own part of the card."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?\+?=", re.ASCII)

RESERVED = frozenset(
    {"if", "then", "elif", "else", "fi", "time", "for", "in", "until", "while", "do", "done", "case", "esac"}
    | {"coproc", "select", "function", "{", "}", "[[", "]]", "!"}
)
"""Bash's reserved words (bash manual, "Reserved Words"); quoting them changes nothing here."""

_NO_VARIABLES = "there are no shell variables here; write values out as words"
_NO_JOBS = "every command is waited for; there are no jobs"
_NO_FLOW = "join commands with '&&', '||' or ';' only"

_BUILTINS_BY_REMEDY = {
    "every command starts in the agent's own directory; write paths from there, or absolute": "cd pushd popd dirs",
    _NO_VARIABLES: "export declare typeset local readonly unset set shopt read mapfile readarray let getopts shift",
    "name the program itself as the command": (
        "eval exec command builtin source . alias unalias enable hash compgen complete compopt bind"
    ),
    _NO_JOBS: "bg fg jobs wait disown suspend trap",
    _NO_FLOW: "return break continue exit logout caller :",
    "leave it out; it is for people at a terminal": "history fc help times",
    "use 'which' to look a program up": "type",
    "use 'test' instead, without brackets": "[",
    "the operator's policy sets limits and modes": "ulimit umask",
}

BUILTINS = {name: remedy for remedy, names in _BUILTINS_BY_REMEDY.items() for name in names.split()}
"""Words that a shell carries out by itself, and what to do instead.

``[`` has a program too, but the second parser reads it as syntax; ``echo``, ``printf``, ``test``, ``kill``, ``pwd``,
``true`` and ``false`` are programs like any other.
"""

_NO_PROGRAMS = RESERVED | BUILTINS.keys()
_ORDINARY = re.compile(r"[A-Za-z0-9_./-]+")


@dataclass(slots=True)
class _Draft:
    """A command being read."""

    words: list[Token] = field(default_factory=list)
    redirects: list[tuple[Token, Token]] = field(default_factory=list)


def plan(tokens: Sequence[Token]) -> Plan:
    """Return the plan that the tokens spell.

    Raises:
        Malformed: an empty or trailing part, an assignment, a reserved word, a builtin without a program, a
            redirect that cannot be carried out exactly, or more than 64 commands; ``code`` says which.
    """
    if not tokens:
        raise Malformed("shell_empty", "the command is empty", "name a program")
    steps: list[Step] = []
    connector = Connector.FIRST
    pipeline: list[_Draft] = [_Draft()]
    waiting: Token | None = None
    commands = 1
    for token in tokens:
        if waiting is not None:
            pipeline[-1].redirects.append((waiting, _target(waiting, token)))
            waiting = None
        elif token.kind is WORD:
            pipeline[-1].words.append(token)
        elif token.kind is REDIRECT:
            waiting = token
        else:
            _check_present(pipeline[-1], token)
            commands += 1
            if commands > MAX_COMMANDS:
                raise Malformed("shell_too_many", f"more than {MAX_COMMANDS} commands in a line", "make several calls")
            if token.text == "|":
                pipeline.append(_Draft())
                continue
            steps.append(Step(connector, _pipeline(pipeline)))
            connector = Connector(token.text)
            pipeline = [_Draft()]
    if waiting is not None:
        raise _no_target(waiting)
    _check_end(pipeline[-1], tokens[-1])
    steps.append(Step(connector, _pipeline(pipeline)))
    return Plan(tuple(steps))


def _target(redirect: Token, token: Token) -> Token:
    if token.kind is not WORD:
        raise _no_target(redirect)
    return token


def _no_target(redirect: Token) -> Malformed:
    return Malformed(
        "shell_redirect", f"'{redirect.text}' at character {redirect.start + 1} has no target", "name a file after it"
    )


def _check_present(draft: _Draft, before: Token) -> None:
    if not draft.words:
        raise Malformed(
            "shell_empty_command",
            f"no command before '{before.text}' at character {before.start + 1}",
            "name a program",
        )


def _check_end(draft: _Draft, last: Token) -> None:
    if draft.words:
        return
    if last.kind is OPERATOR:
        raise Malformed("shell_trailing_operator", f"nothing follows the last '{last.text}'", "leave it out")
    raise Malformed("shell_empty_command", "a redirect without a command", "name a program, or use the write tool")


def _pipeline(drafts: Sequence[_Draft]) -> tuple[Command, ...]:
    last = len(drafts) - 1
    return tuple(_command(draft, first=at == 0, last=at == last) for at, draft in enumerate(drafts))


def _command(draft: _Draft, *, first: bool, last: bool) -> Command:
    _check_program(draft.words[0])
    words = tuple([Word(token.text, token.glob) for token in draft.words])
    if not draft.redirects:
        return Command(words)
    streams = _streams(draft.redirects)
    if streams.stdin not in {None, NULL} and not first:
        raise Malformed(
            "shell_redirect_pipe", "'<' after a pipe would throw the pipe's data away", "drop one of the two"
        )
    if streams.stdout not in {None, NULL} and not last:
        raise Malformed(
            "shell_redirect_pipe",
            "'>' to a file before a pipe would leave the pipe empty",
            "use 'tee', or two commands",
        )
    return Command(words, streams)


def _check_program(token: Token) -> None:
    name = token.text
    if token.bare and token.glob is None and name not in _NO_PROGRAMS and _ORDINARY.fullmatch(name):
        return
    where = f"at character {token.start + 1}"
    if token.glob is not None:
        raise Malformed("shell_glob_command", f"a pattern {where} stands for the program", "name the program in full")
    if not name:
        raise Malformed("shell_empty_command", f"the program name {where} is empty", "name a program")
    if _ASSIGNMENT.match(name):
        raise Malformed("shell_assignment", f"an assignment {where} stands before the command", _NO_VARIABLES)
    if name.startswith("!"):
        raise Malformed("shell_negation", f"'!' {where} negates or recalls history", "leave it out; use '||'")
    if name.startswith("%"):
        raise Malformed("shell_builtin", f"{name[:40]!r} {where} resumes a job of the shell", _NO_JOBS)
    if name in RESERVED:
        raise Malformed("shell_reserved_word", f"{name!r} {where} is shell syntax, not a program", _NO_FLOW)
    if name in BUILTINS:
        raise Malformed("shell_builtin", f"{name!r} {where} exists only inside a shell", BUILTINS[name])


def _streams(redirects: Sequence[tuple[Token, Token]]) -> Streams:
    """Apply redirects left to right, as bash does, and return them if :class:`Streams` can say the result."""
    stdin: str | None = None
    stdout: str | None = None
    stderr = "err"
    append = False
    seen: set[int] = set()
    for redirect, target in redirects:
        operator = redirect.text
        for descriptor in _descriptors(redirect, target):
            if descriptor in seen:
                raise Malformed(
                    "shell_redirect_twice",
                    f"descriptor {descriptor} is redirected twice",
                    "redirect each stream once",
                )
            seen.add(descriptor)
        if operator == "<":
            stdin = _file(target)
        elif operator == ">&":
            # A later '>' would move standard output away and leave standard error on the old one: see below.
            stderr = "null" if stdout == NULL else "out"
        elif redirect.descriptor == 2:
            if _file(target) != NULL:
                raise Malformed(
                    "shell_redirect_stderr", "standard error cannot go to a file alone", "use '2>&1' or '2>/dev/null'"
                )
            stderr = "null"
        else:
            if stderr == "out":
                raise Malformed(
                    "shell_redirect_order", "'2>&1' before '>' sends errors elsewhere than output", "put '2>&1' last"
                )
            stdout = _file(target)
            append = operator.endswith(">>") and stdout != NULL
            if operator.startswith("&"):
                stderr = "null" if stdout == NULL else "out"
    return Streams(stdin, stdout, append, stderr)


def _descriptors(redirect: Token, target: Token) -> tuple[int, ...]:
    """Return the descriptors a redirect changes.

    Raises:
        Malformed: a descriptor the operator does not go with, or a duplication other than ``2>&1``.
    """
    number, operator = redirect.descriptor, redirect.text
    if operator.startswith("&"):
        return (1, 2)
    if operator == ">&":
        exact = number == 2 and target.text == "1" and target.bare and target.start == redirect.end
        if not exact:
            raise Malformed(
                "shell_redirect_duplicate",
                f"a duplication at character {redirect.start + 1} is not '2>&1'",
                "use '2>&1'",
            )
        return (2,)
    if operator == "<":
        if number not in {-1, 0}:
            raise Malformed("shell_descriptor", f"'{number}<' is not supported", "use '< file'")
        return (0,)
    if number == 0:
        raise Malformed("shell_descriptor", "'0>' would write to standard input", "use '> file'")
    return (2,) if number == 2 else (1,)


def _file(target: Token) -> str:
    if target.glob is not None:
        raise Malformed("shell_redirect_glob", "a redirect to a pattern", "name the file in full")
    path = target.text
    if path == NULL:
        return path
    # Bash itself gives /dev/tcp, /dev/fd and the like a meaning of their own; '-' is no file to our path rules.
    if path in {"", "-"} or f"{normal(path)}/".startswith("/dev/"):
        raise Malformed("shell_redirect_target", f"{path[:40]!r} is no file to redirect to", "name a file")
    return path
