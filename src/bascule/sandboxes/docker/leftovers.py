"""What earlier containers left behind: in the engine, and in the gateway's own state.

Stops: a container that was half made when something died, or whose gateway is gone, staying for ever. Only containers
that carry this home's name are looked at; another home's are never touched.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from pathlib import Path

from bascule.core.errors import Unavailable
from bascule.sandboxes.warden.client import WardenClient

_PLACE = re.compile(r"[0-9a-f]{32}", re.ASCII)


async def remove_unknown(client: WardenClient, known: Collection[str]) -> int:
    """Remove every container of this home that stands at none of the ``known`` places; return how many that were.

    Raises:
        Unavailable: the engine or the warden does not answer.
    """
    strange = [str(row["place"]) for row in await client.containers() if row["place"] not in known]
    removed = 0
    for place in strange:
        if _PLACE.fullmatch(place):  # any other is no gateway's, and goes when the next container is made
            await client.discharge(None, place)
            removed += 1
    return removed


def clear_places(parent: Path, known: Collection[str]) -> None:
    """Remove directories in which no gateway listens any more."""
    with contextlib.suppress(OSError):
        for place in list(parent.iterdir()):
            if place.name not in known and _PLACE.fullmatch(place.name):
                with contextlib.suppress(OSError):
                    for name in list(place.iterdir()):
                        name.unlink()
                    place.rmdir()


def is_lost(error: Unavailable) -> bool:
    """True if the engine is certainly not there, as against slow."""
    return error.code == "docker_unreachable"
