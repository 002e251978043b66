"""The JSON shapes of what is said of boxes: which one an agent gets and why, which stand, what they say of themselves.

Stops: a key being spelled one way by the gateway and another by a script's documentation. Does not check anything at
run time; see :mod:`bascule.service.shapes`.
"""

from __future__ import annotations

from typing import TypedDict

from bascule.core.canonical import Json


class CheckBody(TypedDict):
    """One thing a probe looked at; ``id`` names the check."""

    id: str
    ok: bool
    detail: str
    remedy: str


class ProbeBody(TypedDict):
    """What an agent's box said of itself when started now."""

    agent: str
    backend: str
    ok: bool
    checks: list[CheckBody]


class BoxRow(TypedDict):
    """A box that lasts from call to call.

    ``session`` is whose it is alone, empty if all of the agent's use it; ``age`` and ``idle`` are seconds, None if not
    known; ``orphan``: a gateway that is gone left it behind.
    """

    id: str
    agent: str
    session: str
    backend: str
    state: str
    since: str
    age: int | None
    idle: int | None
    image: str
    orphan: bool


class FactRow(TypedDict):
    """One thing that is so of a box; ``where`` is empty if the file does not say it, ``key`` then what would."""

    id: str
    value: str
    key: str
    where: str


class MountRow(TypedDict):
    """A place of a box: ``source`` is the operator's path, empty if the box's own; ``access`` ``ro|rw|run|host``."""

    source: str
    target: str
    access: str


class KeyRow(TypedDict):
    """A key that takes a tool away, and the scope it belongs to."""

    scope: str
    key: str
    where: str


class ToolRow(TypedDict):
    """Why an agent has a tool or not; ``state`` is ``given|missing|not built``, ``keys`` are all that say no."""

    id: str
    state: str
    reason: str
    keys: list[KeyRow]
    remedy: str


class ExplainBody(TypedDict):
    """Which box an agent gets, which tools, and which key says so; ``lines`` is the same for people."""

    agent: str
    backend: str
    network: str
    workspace_access: str
    mounts: list[MountRow]
    limits: dict[str, Json]
    facts: list[FactRow]
    tools: list[ToolRow]
    lines: list[str]
