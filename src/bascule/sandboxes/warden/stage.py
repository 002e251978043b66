"""What a box contains: a list of mounts, links and small files, made from values.

Stops: a box holding more than was decided. The root is an empty tmpfs; what is not in this list does not exist in the
box. Everything is read-only, without setuid and devices; what an agent can write is also without execution.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bascule.core.confinement import Mount
from bascule.core.errors import Malformed
from bascule.core.paths import BOX_ROOT, BOX_SHARED, OWN_DIRECTORIES, SECRET_FILES, is_within

BOX_CANARY = "/canary"
"""Where a worker finds the file that only the gateway may read."""

BOX_CODE = "/opt/bascule"
"""Where a worker finds its own code."""

SCRATCH = "/tmp"  # noqa: S108 -- the box's own, empty at every start
"""Where a program may write what nobody keeps."""

DEVICES = ("null", "zero", "full", "random", "urandom")
"""Device nodes every box has."""

LINKS: Mapping[str, str] = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/shm": SCRATCH,  # noqa: S108 -- a link in the box
}
"""Links every box has."""


@dataclass(frozen=True, slots=True)
class Bind:
    """One file or directory of the host, seen at ``target``.

    With ``whole`` everything that is mounted below it comes along, and whose it is does not matter; such binds lie
    beneath all others.
    """

    source: str
    target: str
    writable: bool = False
    executable: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """A box's whole content.

    Attributes:
        binds: in the order they are mounted, those that are ``whole`` first.
        hidden: places covered by emptiness, where something stands there.
        links: symbolic links by their place, made only where nothing stands.
        files: small files of our own by their place.
        scratch_bytes: size of the box's ``/tmp``.
        scratches: further such places, with their bytes.
        covers: what must stand in what is ``whole``, by device and inode, and is covered before all else is mounted.
    """

    binds: tuple[Bind, ...]
    hidden: tuple[str, ...]
    links: Mapping[str, str]
    files: Mapping[str, str]
    scratch_bytes: int
    scratches: Mapping[str, int] = field(default_factory=dict)
    covers: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent as a stage sees it.

    Attributes:
        root: host path of its directory.
        uid: its uid as the box's user namespace shows it.
        tools_safe: ``tools/`` may be mounted.
        own: which of its own directories exist.
        bare: nothing of its directory is mounted; ``/workspace`` is an empty place.
    """

    root: str
    uid: int
    tools_safe: bool
    own: tuple[str, ...] = OWN_DIRECTORIES
    bare: bool = False


_NOTHING_HERE = {f"{BOX_ROOT}/.not-mounted": "policy mounts nothing of this agent's directory\n"}
"""Makes ``/workspace`` a place that can be stood in."""


def identity_files(uid: int) -> dict[str, str]:
    """The files by which a program finds its own account, and no other."""
    return {
        "/etc/passwd": f"agent:x:{uid}:{uid}::{BOX_ROOT}:/nonexistent\n",
        "/etc/group": f"agent:x:{uid}:\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\n",
    }


def _small_files(agent: Agent) -> dict[str, str]:
    return {**identity_files(agent.uid), **(_NOTHING_HERE if agent.bare else {})}


def own_binds(agent: Agent, at: str, *, writable: bool) -> list[Bind]:
    """What of its own directory an agent's box sees at ``at``; its tools as data."""
    if agent.bare:
        return []
    binds = [Bind(agent.root, at)]
    if writable:
        binds += [Bind(f"{agent.root}/{name}", f"{at}/{name}", writable=True) for name in agent.own]
    if agent.tools_safe:
        # To be read only: the one tool that was judged, and those its entry needs, are mounted over it to be run.
        binds.append(Bind(f"{agent.root}/tools", f"{at}/tools"))
    return binds


def granted_binds(mounts: Iterable[Mount], shared: str) -> tuple[Bind, ...]:
    """Binds of operator paths, outer ones first; the home's ``shared/`` appears at its own place."""
    binds = []
    for mount in sorted(mounts, key=lambda item: item.path.count("/")):
        inside = is_within(mount.path, shared)
        usual = BOX_SHARED + mount.path[len(shared) :] if inside else mount.path
        binds.append(Bind(mount.path, mount.target if mount.target else usual, writable=mount.writable))
    return tuple(binds)


def by_both_names(mounts: Iterable[Mount], words: Iterable[str] | None = None) -> tuple[Mount, ...]:
    """Return mounts with those that have a target also at the operator's path, for operands in that spelling.

    Args:
        mounts: what a box is given.
        words: give that second place only to what one of these names, or a directory above it; None for all.
    """
    said = None if words is None else tuple(words)
    given = tuple(mounts)
    named = (mount for mount in given if said is None or any(_names(word, mount.path) for word in said))
    second = (Mount(mount.path, mount.writable, mount.path) for mount in named if mount.target not in {"", mount.path})
    return (*given, *second)


def container_binds(mounts: Iterable[Mount], shared: str, scratches: Iterable[str] = ()) -> tuple[Bind, ...]:
    """Binds of operator paths for a container, by both names, of which none lies within another.

    Docker follows links on its way to the place of a mount. In a place within another mount an agent could put one, and
    have a file of its own mounted over the Python that the container starts with. A second name that would lie so is
    left out: what it names is seen by its name in the box.

    Args:
        mounts: operator paths.
        shared: the home's.
        scratches: further scratch places, which may not meet any of these.

    Raises:
        Malformed: ``mount_nested``: one has no other name, and the one around it does not show the same.
    """
    given = tuple(mounts)
    kept: list[Bind] = []
    for bind in sorted(granted_binds(given, shared), key=lambda each: each.target.count("/")):
        around = next((other for other in kept if is_within(bind.target, other.target)), None)
        if around is None:
            kept.append(bind)
        elif bind.source != around.source + bind.target[len(around.target) :] or bind.writable > around.writable:
            what = f"{bind.target[:200]} would lie within {around.target[:200]}, which is mounted too"
            raise Malformed("mount_nested", what, "give each mount a container path of its own")
    second = granted_binds(by_both_names(given)[len(given) :], shared)
    for bind in second:
        if not any(is_within(bind.target, other.target) or is_within(other.target, bind.target) for other in kept):
            kept.append(bind)
    places = list(scratches)
    for bind in kept:
        if met := next(
            (place for place in places if is_within(place, bind.target) or is_within(bind.target, place)), ""
        ):
            raise Malformed("mount_nested", f"{met[:200]} is a scratch place, and {bind.target[:200]} is mounted too")
    return tuple(kept)


def _names(word: str, path: str) -> bool:
    return path in word or (word.startswith("/") and path.startswith(word.rstrip("/") + "/"))


@dataclass(frozen=True, slots=True)
class Supplies:
    """What comes from the machine.

    Attributes:
        files: programs, libraries and data directories, by real path on the host and in the box.
        named: other names of those, as links.
        granted: from :func:`granted_binds`.
        writable: the agent's own directories are writable.
        data: files of the machine that are read and never run.
    """

    files: Mapping[str, str]
    named: Mapping[str, str]
    granted: tuple[Bind, ...]
    writable: bool
    data: tuple[Bind, ...] = ()


def secrets_in(granted: Iterable[Bind]) -> tuple[str, ...]:
    """Return the system's secrets that lie below a granted directory, as the box would see them.

    A yes to ``/etc`` is a yes to everything in it but these: what no approval reaches by name, none reaches by way of
    the directory that holds it.
    """
    return tuple(
        bind.target + secret[len(bind.source) :]
        for bind in granted
        for secret in SECRET_FILES
        if secret != bind.source and is_within(secret, bind.source)
    )


def program_stage(
    agent: Agent,
    supplies: Supplies,
    *,
    mentions_root: bool,
    tools: Iterable[str],
    scratch_bytes: int,
) -> Stage:
    """What one program's box contains.

    Args:
        agent: whose box.
        supplies: what comes from the machine.
        mentions_root: an operand names the agent's directory by the operator's path, so it exists there too.
        tools: host paths of those files in ``tools/`` that may be run.
        scratch_bytes: size of ``/tmp``.
    """
    places = (BOX_ROOT, agent.root) if mentions_root else (BOX_ROOT,)
    own = [bind for place in places for bind in own_binds(agent, place, writable=supplies.writable)]
    if agent.tools_safe:
        own += [Bind(tool, place + tool[len(agent.root) :], executable=True) for tool in tools for place in places]
    system = [Bind(source, target, executable=True) for source, target in supplies.files.items()]
    hidden = (*secrets_in(supplies.granted), *(() if agent.tools_safe else (f"{place}/tools" for place in places)))
    links = {**LINKS, **supplies.named}
    binds = (*supplies.granted, *system, *supplies.data, *own)
    return Stage(binds, hidden, links, _small_files(agent), scratch_bytes)


def worker_stage(agent: Agent, supplies: Supplies, *, code: str, canary: str) -> Stage:
    """What a file worker's box contains: Python, its own code, the agent's directory, granted paths, a canary.

    Args:
        agent: whose box.
        supplies: Python, its library and shared libraries; granted paths.
        code: host path of the worker's folder.
        canary: host path of a file only the gateway may read; empty where the agent has the gateway's account.
    """
    system = [Bind(source, target, executable=True) for source, target in supplies.files.items()]
    system.append(Bind(code, f"{BOX_CODE}/bascule/sandboxes/worker"))
    if canary:
        system.append(Bind(canary, BOX_CANARY))
    own = own_binds(agent, BOX_ROOT, writable=supplies.writable)
    hidden = (*secrets_in(supplies.granted), *(() if agent.tools_safe else (f"{BOX_ROOT}/tools",)))
    links = {**LINKS, **supplies.named}
    return Stage((*supplies.granted, *system, *own), hidden, links, _small_files(agent), 1 << 20)
