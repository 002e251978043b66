"""What reach a path may have: the one table of zones and accesses.

Stops: file tools and programs being held to different rules. Layers 2 and 6 both read this table; neither adds to it.
"""

from __future__ import annotations

from bascule.core.paths import Access, PathUse, Zone
from bascule.core.verdict import Effect

_BIND_HINT = "list it in sandbox.docker.binds of this agent"
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
        "path_not_bound",
        "is shared between agents, and policy binds it into no box of this one",
        _BIND_HINT,
    ),
    (Zone.SHARED, Access.WRITE): (
        Effect.DENY,
        "path_not_bound",
        "is shared between agents, and policy binds it into no box of this one",
        _BIND_HINT,
    ),
    (Zone.BIND, Access.READ): (Effect.ALLOW, "ok", "", ""),
    (Zone.BIND, Access.WRITE): (
        Effect.DENY,
        "path_bind_read_only",
        "is bound read-only",
        "end its line in sandbox.docker.binds with :rw",
    ),
    (Zone.BIND_WRITABLE, Access.READ): (Effect.ALLOW, "ok", "", ""),
    (Zone.BIND_WRITABLE, Access.WRITE): (Effect.ALLOW, "ok", "", ""),
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


_OF_AGENT = frozenset({Zone.OWN, Zone.HOME, Zone.TOOLS})
_NOT_MOUNTED = (
    Effect.DENY,
    "workspace_none",
    "is the agent's own, and policy mounts none of its directory",
    "set sandbox.workspaceAccess to ro or rw",
)
_READ_ONLY = (
    Effect.DENY,
    "path_read_only",
    "is not to be written, for policy mounts the agent's directory read-only",
    "set sandbox.workspaceAccess to rw",
)


def _row(use: PathUse, workspace: str) -> tuple[Effect, str, str, str]:
    if workspace == "none" and use.place.zone in _OF_AGENT:
        return _NOT_MOUNTED
    if workspace != "rw" and use.place.zone is Zone.OWN and use.access is Access.WRITE:
        return _READ_ONLY
    return TABLE[use.place.zone, use.access]


def strictest_use(uses: tuple[PathUse, ...], workspace: str) -> tuple[Effect, str, str, str]:
    """Return effect, code, reason and remedy of the first of the strictest uses; ALLOW for none.

    Args:
        uses: every path of a call.
        workspace: how the agent's own directory is mounted: ``none``, ``ro`` or ``rw``.
    """
    worst: tuple[Effect, str, str, str] = (Effect.ALLOW, "ok", "", "")
    for use in uses:
        effect, code, reason, remedy = _row(use, workspace)
        if effect > worst[0]:
            worst = (effect, code, f"{use.origin}: {use.place.host} {reason}", remedy)
    return worst
