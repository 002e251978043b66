"""Reading what bubblewrap, or our own child before it, said of a box, and why none can be.

Stops: a box that never came up being taken for a program that failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bascule.linux.userns import SETTINGS_ROOT, forbidding

BOX_FAILED = "box_failed"
"""Code of a box that bubblewrap did not make."""

_SIGKILL = 9


@dataclass(frozen=True, slots=True)
class Report:
    """How a box ended: a problem's code and message (empty for none), and the program's exit status."""

    problem: str
    message: str
    status: int


def why_not(problem: str, root: Path = SETTINGS_ROOT) -> str:
    """Return, to be added to a message, which setting may be why bubblewrap made no box; else the empty string.

    Args:
        problem: code of what went wrong.
        root: where the kernel shows its settings.
    """
    setting = forbidding(root) if problem == BOX_FAILED else None
    return f"; perhaps because {setting.name} is {setting.forbids} ({setting.remedy})" if setting is not None else ""


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
    return Report(BOX_FAILED, "the box could not be set up", code)
