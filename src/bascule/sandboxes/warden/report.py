"""Reading what bubblewrap, or our own child before it, said of a box; pure.

Stops: a box that never came up being taken for a program that failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

_SIGKILL = 9


@dataclass(frozen=True, slots=True)
class Report:
    """How a box ended: a problem's code and message (empty for none), and the program's exit status."""

    problem: str
    message: str
    status: int


def has_started(text: bytes) -> bool:
    """True once bubblewrap has made the box."""
    return b'"child-pid"' in text


def read_report(text: bytes, code: int, *, killed: bool) -> Report:
    """Return how a box ended.

    Args:
        text: lines of JSON; our child's says ``error``, bubblewrap's ``child-pid`` and, once the program ran,
            ``exit-code``.
        code: exit status of bubblewrap itself, negative for a signal.
        killed: the warden killed it.
    """
    exit_code: int | None = None
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and isinstance(said.get("error"), dict):
            return Report(str(said["error"].get("code")), str(said["error"].get("message")), 125)
        if isinstance(said, dict) and isinstance(said.get("exit-code"), int):
            exit_code = said["exit-code"]
    if exit_code is not None:
        return Report("", "", exit_code)
    if killed or code < 0:
        return Report("", "", 128 + (-code if code < 0 else _SIGKILL))
    return Report("box_failed", "the box could not be set up", code)
