"""What ``sandbox.docker`` adds to an agent's boxes or takes from them: ``env``, ``tmpfs``, ``ulimits``, ``memorySwap``.

Stops: a variable that a loader heeds, an empty place over something of a box's own, a limit that would widen what is in
force, and a limit nobody keeps being believed in. Each counts in both backends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bascule.core.confinement import Limits
from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.outfit import Outfit, variable_problem
from bascule.core.paths import BOX_ROOT, OCCUPIED, is_within, normal
from bascule.policy.binds import filter_env
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.schema.sandbox import Docker, Ulimit, bytes_of

_USUAL_BYTES = 64 << 20
_ANYWAY = frozenset({"/run", "/dev/shm", "/var/run"})  # noqa: S108 -- names inside a box
_SCRATCH = frozenset({"/tmp", "/var/tmp"})  # noqa: S108 -- names inside a box
_HARMLESS = frozenset({"rw", "noexec", "nosuid", "nodev"})
_MOST = 16

_ULIMITS: Mapping[str, str] = {
    "nofile": "open_files", "nproc": "pids", "fsize": "file_bytes", "cpu": "cpu_seconds",
}  # fmt: skip
"""Names that have a counterpart among the limits of every call."""


def outfit(agent: str, docker: Docker, document: Document, path: Path) -> tuple[Outfit, tuple[Finding, ...]]:
    """Return what an agent's programs get besides their own, and what of the file is not passed on.

    Args:
        agent: whose.
        docker: the merged section.
        document: the file.
        path: of the ``sandbox`` section named in messages.

    Raises:
        Malformed: ``policy_schema``.
    """
    findings = list(_dropped(agent, docker))
    env = filter_env(docker.env if docker.env is not None else {})[0]
    variables: list[tuple[str, str]] = []
    for name, value in (docker.env if docker.env is not None else {}).items():
        problem = variable_problem(name, value)
        if problem:
            raise _refuse(
                document, (*path, "docker", "env", name), f"the variable {name[:64]!r} {problem}", "remove it"
            )
        if name in env:
            variables.append((name, value))
    scratches: dict[str, int] = {}
    for spec in docker.tmpfs if docker.tmpfs is not None else ():
        place, size = _scratch(spec, document, (*path, "docker", "tmpfs"))
        if place in _ANYWAY:
            detail = f"{agent}: {place} is no place of its own in a box; programs write to /tmp"
            findings.append(
                Finding("sandbox.tmpfs_inert", Severity.INFO, detail, "remove it from sandbox.docker.tmpfs")
            )
        else:
            scratches[place] = size
    if len(variables) + len(scratches) > _MOST:
        raise _refuse(document, (*path, "docker"), f"more than {_MOST} variables and scratch places", "name fewer")
    return Outfit(tuple(variables), tuple(scratches.items())), tuple(findings)


def _dropped(agent: str, docker: Docker) -> Iterator[Finding]:
    for name in filter_env(docker.env if docker.env is not None else {})[1]:
        detail = f"{agent}: the variable {name} is not passed into the box"
        yield Finding("sandbox.env_dropped", Severity.WARN, detail, "remove it from sandbox.docker.env")


def _scratch(spec: str, document: Document, path: Path) -> tuple[str, int]:
    place, _, said = spec.partition(":")
    plain, size = normal(place), _USUAL_BYTES
    for option in said.split(",") if said else ():
        name, _, value = option.partition("=")
        if name == "size" and value:
            try:
                size = bytes_of(value)
            except ValueError:
                raise _refuse(document, path, f"{spec[:80]!r} has no size", "write size=64m") from None
        elif option not in _HARMLESS and name not in {"mode", "uid", "gid"}:
            raise _refuse(document, path, f"{option[:40]!r} of {spec[:80]!r} is not carried out", "name a size alone")
    occupied = any(is_within(plain, own) or is_within(own, plain) for own in (*OCCUPIED, BOX_ROOT))
    if not place.startswith("/") or (occupied and plain not in _SCRATCH | _ANYWAY) or size < 1:
        raise _refuse(document, path, f"{spec[:80]!r} would lie over something of the box's own", "name another place")
    return plain, size


def tightened(limits: Limits, docker: Docker, document: Document, path: Path) -> Limits:
    """Return limits met with ``ulimits``; ``memorySwap`` has nothing to say, for no box swaps.

    Raises:
        Malformed: ``policy_schema``: a limit that has no counterpart, or less swap than memory.
    """
    swap = docker.memory_swap
    if swap and docker.memory and swap < docker.memory:
        problem = "is memory and swap together, so it cannot be less than memory"
        raise _refuse(document, (*path, "docker", "memorySwap"), problem, "remove it: no box swaps")
    for name, said in (docker.ulimits if docker.ulimits is not None else {}).items():
        most = _least(said)
        where = (*path, "docker", "ulimits", name)
        if most is None or (name == "core" and most):
            raise _refuse(document, where, "is no limit that a box can have", "write a number, or soft and hard")
        if name == "core":
            continue
        if name not in _ULIMITS:
            known = ", ".join(("core", *_ULIMITS))
            raise _refuse(document, where, "has no counterpart among the limits of a box", f"use one of {known}")
        limits = limits.meet(Limits(**{_ULIMITS[name]: max(1, most)}))
    return limits


def _least(said: str | int | Ulimit) -> int | None:
    """The smaller of soft and hard, None if that is no number."""
    if isinstance(said, Ulimit):
        numbers = [number for number in (said.soft, said.hard) if number is not None]
        return min(numbers, default=None)
    parts = str(said).split(":")
    if len(parts) > 2 or not all(part.isascii() and part.isdecimal() and len(part) < 16 for part in parts):
        return None
    return min(int(part) for part in parts)


def _refuse(document: Document, path: Path, problem: str, remedy: str) -> Malformed:
    return Malformed("policy_schema", f"{document.where(path)}: {dotted(path)}: {problem}", remedy)
