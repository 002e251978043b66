"""What an operator sees before a read outside the agent's directory is let through."""

from __future__ import annotations

from bascule.core.call import Call


def card(call: Call) -> tuple[str, ...]:
    """The file, and whose eyes it is read with."""
    place = call.paths[0].place
    return (
        f"file: {place.host}",
        "read with the agent's own account: if that account may not read it, a yes does not help",
    )
