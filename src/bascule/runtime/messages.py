"""A conversation as this project keeps it: what was said, which tools were asked for, what was answered.

Stops: a stored history that a model service refuses (a call without an answer), and a storage format that changes with
every release of a model library. What only the model layer understands (signed reasoning) is carried along as its own
JSON and never read here. Does not stop: a message from being a lie; its words are data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Told(StrEnum):
    """What became of a tool call, as the model is told."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class UserSaid:
    """Words that opened a turn."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call as the model wrote it: nobody has parsed the name or the arguments."""

    untrusted_tool: str
    untrusted_args: str


@dataclass(frozen=True, slots=True)
class ModelSaid:
    """One response.

    Attributes:
        text: what it says, may be empty.
        calls: the tools it asks for, in order.
        layer: the model layer's own JSON of the response, empty if there is none.
        provider: who said it, so that ``layer`` goes back to nobody else.
    """

    text: str
    calls: tuple[ToolRequest, ...] = ()
    layer: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What the model is told of one call."""

    text: str
    told: Told


@dataclass(frozen=True, slots=True)
class ToolsAnswered:
    """The answers to all calls of the response before, in the same order."""

    answers: tuple[ToolAnswer, ...]


Message: TypeAlias = UserSaid | ModelSaid | ToolsAnswered


def pack(text: str) -> str:
    """Return text as ASCII JSON, so that a NUL or a lone surrogate of a model survives any database."""
    return json.dumps(text)


def unpack(stored: str) -> str:
    """Return what :func:`pack` was given."""
    value = json.loads(stored)
    return value if isinstance(value, str) else ""


def printable(text: str) -> str:
    """Return text that encodes as UTF-8: each lone surrogate is written out as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
