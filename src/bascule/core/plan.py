"""A parsed command: which programs, which arguments, which pipes, which files.

Stops: anything being run that was not judged word by word. No shell ever sees the string; a plan is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Connector(StrEnum):
    """What stands before a step."""

    FIRST = ""
    AND = "&&"
    OR = "||"
    THEN = ";"


class ProgramKind(StrEnum):
    """What a program's file turned out to be."""

    NATIVE = "native"
    SCRIPT = "script"
    MULTICALL = "multicall"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Word:
    """One word after quote removal.

    ``glob`` is None for a literal word; else the pattern with literal characters backslash-escaped, and ``text`` is
    how the pattern was written.
    """

    text: str
    glob: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """A program as it lies on disk.

    Attributes:
        asked: the word the command used.
        path: absolute path after resolving bare names and links; empty if missing.
        kind: what the file is; a script names its interpreter.
        sha256: hex digest of the file, empty if missing.
        interpreter: absolute path from ``#!``, empty unless a script.
    """

    asked: str
    path: str
    kind: ProgramKind
    sha256: str = ""
    interpreter: str = ""


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a command's standard streams go.

    ``stdin``: None for the pipe (or nothing), else a file to read. ``stdout``: None for the pipe (or the caller),
    ``/dev/null``, or a file to write; ``append`` tells how. ``stderr``: ``err`` (the caller), ``out`` (with stdout),
    ``null``.
    """

    stdin: str | None = None
    stdout: str | None = None
    append: bool = False
    stderr: str = "err"


@dataclass(frozen=True, slots=True)
class Command:
    """One program and its words, the program's own name first; ``program`` is None until resolved."""

    words: tuple[Word, ...]
    streams: Streams = Streams()
    program: Program | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """The words' texts."""
        return tuple(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Step:
    """A pipeline and what joins it to the step before."""

    connector: Connector
    pipeline: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one command line, in order. Connectors associate to the left, as in POSIX lists."""

    steps: tuple[Step, ...]

    @property
    def commands(self) -> tuple[Command, ...]:
        """Every command, in order."""
        return tuple(command for step in self.steps for command in step.pipeline)
