"""What a turn tells those who watch it, while it happens.

Stops: a surface (terminal, dashboard, Signal) reaching into the loop to find out what goes on. Events go to the
operator's surfaces, never into a model's context, so they may hold approval ids. Does not stop: text from holding
escape sequences, whole or cut in two; the sink that prints it makes them visible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from bascule.core.answer import Approval, State
from bascule.core.ids import SessionKey
from bascule.core.ports import Crossing


class TurnStatus(StrEnum):
    """Where a turn stands."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """A turn opened, or went on after a restart."""

    turn: int
    session: SessionKey


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolProposed:
    """The model asked for a tool; ``call`` pairs this with what follows."""

    call: int
    tool: str
    args: str


@dataclass(frozen=True, slots=True)
class ToolDecided:
    """The judges spoke; what follows is :class:`ApprovalAwaited`, :class:`ToolFinished` or :class:`ToolRefused`."""

    call: int
    crossing: Crossing


@dataclass(frozen=True, slots=True)
class ApprovalAwaited:
    """The turn waits for the operator."""

    call: int
    approval: Approval


@dataclass(frozen=True, slots=True)
class ApprovalAnswered:
    """The question was settled, here or elsewhere."""

    call: int
    approval: str
    state: State


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """It ran; ``told`` is what the model reads of it."""

    call: int
    crossing: Crossing
    told: str


@dataclass(frozen=True, slots=True)
class ToolRefused:
    """It did not run, or nobody knows whether it did; ``told`` says which."""

    call: int
    told: str


@dataclass(frozen=True, slots=True)
class ModelRetrying:
    """The model could not answer and is asked again; text of this step so far is void."""

    message: str
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """The model could not answer; the turn ends."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something the operator may want to know, one line (a download, a restarted child)."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The last event of a turn.

    ``text`` is the last thing the model said; ``code``, ``message`` and ``remedy`` say why it did not end by itself,
    empty if it did; ``seq`` is the ledger sequence of the last reply's record.
    """

    turn: int
    session: SessionKey
    status: TurnStatus
    text: str
    code: str = ""
    message: str = ""
    remedy: str = ""
    seq: int | None = None


Event: TypeAlias = (
    TurnBegan
    | TextDelta
    | ToolProposed
    | ToolDecided
    | ApprovalAwaited
    | ApprovalAnswered
    | ToolFinished
    | ToolRefused
    | ModelRetrying
    | ModelFailed
    | Note
    | TurnEnded
)

Emit: TypeAlias = Callable[[Event], None]
"""Where events go; must not block and must not raise."""
