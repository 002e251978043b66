"""What reach a path may have: the one table of zones and accesses.

Stops: file tools and programs being held to different rules. Layers 2 and 6 both read this table; neither adds to it.
"""

from __future__ import annotations

from bascule.core.paths import Access, PathUse, Zone
from bascule.core.verdict import Effect

_OWN_HINT = "write below workspace/, memory/ or output/"

TABLE: dict[tuple[Zone, Access], tuple[Effect, str, str, str]] = {
    (Zone.OWN, Access.READ): (Effect.ALLOW, "ok", "", ""),
    (Zone.OWN, Access.WRITE): (Effect.ALLOW, "ok", "", ""),
    (Zone.HOME, Access.READ): (Effect.ALLOW, "ok", "", ""),
    (Zone.HOME, Access.WRITE): (Effect.DENY, "path_read_only", "is not the agent's to write", _OWN_HINT),
    (Zone.TOOLS, Access.READ): (Effect.ALLOW, "ok", "", ""),
    (Zone.TOOLS, Access.WRITE): (Effect.DENY, "path_tools", "belongs to the operator's tools, read-only", _OWN_HINT),
    (Zone.SHARED, Access.READ): (
        Effect.DENY,
        "not_in_force",
        "is shared between agents, and shared directories are not in force",
        "hand the file over yourself, below the agent's own directory",
    ),
    (Zone.SHARED, Access.WRITE): (
        Effect.DENY,
        "not_in_force",
        "is shared between agents, and shared directories are not in force",
        _OWN_HINT,
    ),
    (Zone.DEVICE, Access.READ): (Effect.ALLOW, "ok", "", ""),
    (Zone.DEVICE, Access.WRITE): (Effect.ALLOW, "ok", "", ""),
    (Zone.OUTSIDE, Access.READ): (
        Effect.ASK,
        "path_outside",
        "lies outside the agent's directory",
        "approve this call, or copy the file below the agent's directory",
    ),
    (Zone.OUTSIDE, Access.WRITE): (
        Effect.ASK,
        "path_outside_write",
        "lies outside the agent's directory and would be written",
        "approve this call, or " + _OWN_HINT,
    ),
    (Zone.PROTECTED, Access.READ): (
        Effect.DENY,
        "path_protected",
        "is protected: policy, keys, other agents, system secrets, kernel interfaces, or a directory that holds them",
        "name a file that is none of these",
    ),
    (Zone.PROTECTED, Access.WRITE): (
        Effect.DENY,
        "path_protected",
        "is protected: policy, keys, other agents, system secrets, kernel interfaces, or a directory that holds them",
        _OWN_HINT,
    ),
}
"""Effect, code, reason (after the path) and remedy for every zone and access; complete, as a test shows."""


def strictest_use(uses: tuple[PathUse, ...]) -> tuple[Effect, str, str, str]:
    """Return effect, code, reason and remedy of the first of the strictest uses; ALLOW for none."""
    worst: tuple[Effect, str, str, str] = (Effect.ALLOW, "ok", "", "")
    for use in uses:
        effect, code, reason, remedy = TABLE[use.place.zone, use.access]
        if effect > worst[0]:
            worst = (effect, code, f"{use.origin}: {use.place.host} {reason}", remedy)
    return worst
