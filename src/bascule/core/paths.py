"""Path algebra: one spelling for every path, and the zone it lies in.

Stops: ``..``, doubled slashes, and the two names of one file (the operator's and the box's) being judged differently.
Purely lexical: a symbolic link is not seen here, and need not be, for the file worker follows none and a box holds
only what was mounted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bascule.core.confinement import Mount

BOX_ROOT = "/workspace"
"""Where an agent's directory appears inside its boxes; relative paths start here."""

BOX_SHARED = "/workspaces/shared"
"""Where the home's ``shared/`` appears inside boxes that are given it."""

OWN_DIRECTORIES = ("workspace", "memory", "output")
"""The directories of an agent that its account owns."""

DEVICES = frozenset({"/dev/null", "/dev/zero", "/dev/stdin", "/dev/stdout", "/dev/stderr", "-"})
"""Operands every box may name; each box has its own."""

SECRET_FILES = (
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh",
)
"""System files that no approval reaches."""

SECRET_NAMES = frozenset({".ssh", ".gnupg", ".aws", ".docker", ".kube", ".netrc", ".openclaw", ".clawdbot", ".config"})
"""Path components that mean credentials wherever they stand outside the agent's own directory."""

KERNEL_ROOTS = ("/proc", "/sys", "/dev", "/run", "/var/run", "/boot")
"""Trees that are interfaces to the kernel or to services, not files."""


OCCUPIED = (
    "/bin", "/boot", "/canary", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt/bascule", "/proc",
    "/run", "/sbin", "/sys", "/tmp", "/usr", "/var/run", "/var/tmp",  # noqa: S108 -- names inside a box
)  # fmt: skip
"""Box paths where something of a box's own stands, or may; nothing of the operator's is put there."""


class Zone(StrEnum):
    """What a path is to one agent."""

    OWN = "own"
    HOME = "home"
    TOOLS = "tools"
    SHARED = "shared"
    BIND = "bind"
    BIND_WRITABLE = "bind-writable"
    DEVICE = "device"
    OUTSIDE = "outside"
    PROTECTED = "protected"


class Access(StrEnum):
    """What a call wants of a path."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Place:
    """A path after normalising: ``box`` as seen in the box, ``host`` as the operator names it, and its zone."""

    zone: Zone
    box: str
    host: str


@dataclass(frozen=True, slots=True)
class PathUse:
    """One path a call touches, how, and which part of the call named it.

    ``command`` is the index of the plan's command whose operand it is, -1 for a tool argument or a redirect.
    """

    place: Place
    access: Access
    origin: str
    command: int = -1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie on this machine, for one agent.

    Attributes:
        home: absolute path of the Bascule home.
        agent_root: absolute path of the agent's directory.
        protected: further absolute paths no agent may name (code, keys).
        binds: directories and files that policy puts into every box of the agent, each with a target.
    """

    home: str
    agent_root: str
    protected: tuple[str, ...] = ()
    binds: tuple[Mount, ...] = ()


def normal(path: str) -> str:
    """Return an absolute path without ``.``, ``..``, empty components or a trailing slash.

    Args:
        path: absolute, or relative to the agent's directory in the box.
    """
    full = path if path.startswith("/") else f"{BOX_ROOT}/{path}"
    parts: list[str] = []
    for part in full.split("/"):
        if part in {"", "."}:
            continue
        if part == "..":
            if parts:
                parts.pop()
            continue
        parts.append(part)
    return "/" + "/".join(parts)


def is_within(path: str, root: str) -> bool:
    """True if ``path`` is ``root`` or lies below it, by whole components. Both must be normal."""
    return root in {"/", path} or path.startswith(root + "/")


def locate(path: str, layout: Layout) -> Place:
    """Return where a path lies for an agent; total, so every path has exactly one zone."""
    if path in DEVICES:
        return Place(Zone.DEVICE, path, path)
    plain = normal(path)
    if is_within(plain, layout.agent_root):
        plain = BOX_ROOT + plain[len(layout.agent_root) :]
    if is_within(plain, BOX_ROOT):
        inner = plain[len(BOX_ROOT) + 1 :]
        return Place(_inner_zone(inner), plain, layout.agent_root + plain[len(BOX_ROOT) :])
    shared = layout.home + "/shared"
    found = _bound(plain, layout) if layout.binds else None
    if found is None and is_within(plain, shared):
        found = Place(Zone.SHARED, BOX_SHARED + plain[len(shared) :], plain)
    if found is None and is_within(plain, BOX_SHARED):
        host = shared + plain[len(BOX_SHARED) :]
        bound = _bound(host, layout)
        found = bound if bound is not None else Place(Zone.SHARED, plain, host)
    if found is not None:
        return _above_binds(found, layout)
    return Place(Zone.PROTECTED if _is_protected(plain, layout) else Zone.OUTSIDE, plain, plain)


def _bound(plain: str, layout: Layout) -> Place | None:
    """The place of a path that lies in a bind, under either of its names; of nested ones the innermost counts."""
    best: tuple[int, Mount, str] | None = None
    for bind in layout.binds:
        for root in (bind.target, bind.path):
            if is_within(plain, root) and (best is None or len(root) > best[0]):
                best = (len(root), bind, plain[len(root) :])
    if best is None:
        return None
    _, bind, below = best
    return Place(Zone.BIND_WRITABLE if bind.writable else Zone.BIND, bind.target + below, bind.path + below)


def _above_binds(place: Place, layout: Layout) -> Place:
    """``/workspaces/shared`` itself holds, in a box, the binds below it and nothing else, so it may be looked at."""
    holds = place.box == BOX_SHARED and any(is_within(bind.target, BOX_SHARED) for bind in layout.binds)
    return Place(Zone.BIND, place.box, place.host) if holds else place


def respelled(pattern: str, layout: Layout) -> tuple[str, str, str]:
    """Return a path or pattern as a box spells it, with the beginning that was put in, and the one it stands for.

    Both beginnings are empty for one that is in the box's spelling already. Of nested places the innermost counts.
    """
    pairs = [(bind.path, bind.target) for bind in layout.binds]
    for host, box in sorted([*pairs, (layout.agent_root, BOX_ROOT)], key=lambda pair: -len(pair[0])):
        if pattern.startswith(host + "/"):
            return box + pattern[len(host) :], box, host
    return pattern, "", ""


def shown(box: str, layout: Layout) -> str:
    """Return the operator's path for a box path, for messages; one that lies nowhere stays as it is."""
    return locate(box, layout).host if box.startswith("/") else box


def _inner_zone(inner: str) -> Zone:
    top, _, rest = inner.partition("/")
    if top == "tools":
        return Zone.TOOLS
    if top in OWN_DIRECTORIES and rest:
        return Zone.OWN
    return Zone.HOME


def _is_protected(plain: str, layout: Layout) -> bool:
    guarded = (layout.home, *layout.protected)
    if any(is_within(plain, root) or is_within(root, plain) for root in guarded):
        return True
    if any(is_within(plain, root) for root in (*KERNEL_ROOTS, *SECRET_FILES)):
        return True
    return not SECRET_NAMES.isdisjoint(plain.split("/"))
