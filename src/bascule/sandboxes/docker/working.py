"""A container at work, as the gateway knows it, and the list of all a home has.

Stops: a container of this gateway's being taken for a stranger's in the list, and a call failing because the one before
it cost its container. Does not look at any.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bascule.core.box import BoxKey, Standing
from bascule.core.ids import AgentId
from bascule.core.posture import Posture
from bascule.sandboxes.docker.line import ContainerLine
from bascule.sandboxes.files import WorkerFiles
from bascule.sandboxes.warden.client import Measurement

Scope = tuple[AgentId, str]
"""Whose container: an agent's, or (second part not empty) one session's."""


@dataclass(slots=True, eq=False)
class Working:
    """One container at work."""

    key: BoxKey
    place: str
    digest: str
    line: ContainerLine
    measured: Measurement
    made: float
    used: float
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    files: WorkerFiles | None = None
    posture: Posture | None = None


_TRIES = 3


@asynccontextmanager
async def turn_of(standing: Callable[[], Awaitable[Working]]) -> AsyncIterator[Working]:
    """Yield a container when it is the caller's turn; one that was thrown away while this waited is not used.

    Args:
        standing: returns the container there is now, made if need be.
    """
    for tries in range(1, _TRIES + 1):
        container = await standing()
        async with container.turn:
            if container.line.alive or tries == _TRIES:
                yield container
                return


def with_tools(measured: Measurement, tools: str) -> Measurement:
    """Return a measurement with why ``tools/`` is not mounted."""
    return replace(measured, tools=tools)


def roster(rows: Iterable[Mapping[str, Any]], working: Mapping[Scope, Working], now: float) -> tuple[Standing, ...]:
    """Return what the engine has of a home, with what is known of it here.

    Args:
        rows: as the warden lists them.
        working: this gateway's own, by whose they are.
        now: the time by which they were used.
    """
    known = {container.place: (scope, container) for scope, container in working.items()}
    found: list[Standing] = []
    for row in rows:
        scope, container = known.get(str(row["place"]), (None, None))
        found.append(
            Standing(
                str(row["id"])[:12], str(row["agent"]), "docker", str(row["state"]), float(row["created"]),
                str(row["image"]), bool(row["orphan"]),
                session=scope[1] if scope is not None else "",
                idle=None if container is None else now - container.used,
            )
        )  # fmt: skip
    return tuple(found)
