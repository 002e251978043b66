"""Single values of the warden's language, each refused unless it is exactly what it may be.

Stops: a number, path or list beyond its bounds getting as far as the code that would use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bascule.core.canonical import Json
from bascule.core.confinement import Limits, Mount
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId, parse_agent_id
from bascule.core.paths import normal
from bascule.core.plan import ProgramKind

_MOST_WORDS = 4096
_LONGEST_PATH = 4096
_LARGEST_ARGV = 96 * 1024
MOST_NEEDS = 64
_MOST_MOUNTS = 32
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RUNNABLE = frozenset({ProgramKind.NATIVE, ProgramKind.SCRIPT})
LIMITS = frozenset(Limits.__slots__)
_MOST_CPUS = 1 << 20


def integer(fields: Mapping[str, Json], name: str, least: int) -> int:
    """Return an integer of at least ``least``.

    Raises:
        Malformed: it is none.
    """
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Malformed("warden_value", f"{name} must be an integer of at least {least}")
    return value


def boolean(fields: Mapping[str, Json], name: str) -> bool:
    """Return true or false.

    Raises:
        Malformed: it is none.
    """
    value = fields[name]
    if not isinstance(value, bool):
        raise Malformed("warden_value", f"{name} must be true or false")
    return value


def listed(fields: Mapping[str, Json], name: str, most: int) -> list[Json]:
    """Return a list of at most ``most``.

    Raises:
        Malformed: it is none.
    """
    value = fields[name]
    if not isinstance(value, list) or len(value) > most:
        raise Malformed("warden_value", f"{name} must be a list of at most {most}")
    return value


def agent(fields: Mapping[str, Json]) -> AgentId:
    """Return an agent id.

    Raises:
        Malformed: it is none.
    """
    value = fields["agent"]
    if not isinstance(value, str) or parse_agent_id(value) != value:
        raise Malformed("warden_value", "agent must be an agent id in lower case")
    return AgentId(value)


def argv(fields: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the words of a command line.

    Raises:
        Malformed: it is none.
    """
    words = listed(fields, "argv", _MOST_WORDS)
    kept = tuple(word for word in words if isinstance(word, str) and "\0" not in word)
    if not kept or len(kept) != len(words) or sum(len(word.encode()) + 1 for word in kept) > _LARGEST_ARGV:
        raise Malformed("warden_value", "argv must be words without NUL, not too long")
    return kept


def path(value: Json, name: str) -> str:
    """Return a plain absolute path.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value or len(value) > _LONGEST_PATH:
        raise Malformed("warden_value", f"{name} must be an absolute path")
    if normal(value) != value or value == "/":
        raise Malformed("warden_value", f"{name} must be a plain path: no '.', '..', '//' or '/' at its end")
    return value


def digest(fields: Mapping[str, Json]) -> str:
    """Return a SHA-256.

    Raises:
        Malformed: it is none.
    """
    value = fields["sha256"]
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise Malformed("warden_value", "sha256 must be 64 hex digits")
    return value


def kind(fields: Mapping[str, Json]) -> tuple[ProgramKind, str]:
    """Return what a program is, and its interpreter.

    Raises:
        Malformed: it is none.
    """
    said = fields["kind"]
    if not isinstance(said, str) or said not in _RUNNABLE:
        raise Malformed("warden_value", "kind must be native or script")
    if said == ProgramKind.SCRIPT:
        return ProgramKind.SCRIPT, path(fields["interpreter"], "interpreter")
    if fields["interpreter"] != "":
        raise Malformed("warden_value", "a native program has no interpreter")
    return ProgramKind.NATIVE, ""


def mounts(value: Json) -> tuple[Mount, ...]:
    """Return operator paths.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, list) or len(value) > _MOST_MOUNTS:
        raise Malformed("warden_value", f"mounts must be a list of at most {_MOST_MOUNTS}")
    found = []
    for item in value:
        if not isinstance(item, Mapping) or item.keys() != {"path", "target", "writable"}:
            raise Malformed("warden_value", "a mount has exactly the fields path, target, writable")
        target = item["target"] if item["target"] == "" else path(item["target"], "a mount's target")
        found.append(Mount(path(item["path"], "a mount's path"), boolean(item, "writable"), str(target)))
    return tuple(found)


def limits(value: Json) -> Limits:
    """Return resource maxima.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, Mapping) or value.keys() != LIMITS:
        raise Malformed("warden_value", f"limits has exactly the fields {', '.join(sorted(LIMITS))}")
    maxima = Limits(**{name: integer(value, name, 1) for name in LIMITS})
    if maxima.cpus > _MOST_CPUS:
        raise Malformed("warden_value", "cpus is beyond any machine")
    return maxima


def limits_json(maxima: Limits) -> dict[str, Json]:
    """Return resource maxima as :func:`limits` reads them."""
    return {name: int(getattr(maxima, name)) for name in sorted(LIMITS)}


def mounts_json(granted: tuple[Mount, ...]) -> list[Json]:
    """Return operator paths as :func:`mounts` reads them."""
    return [{"path": mount.path, "target": mount.target, "writable": mount.writable} for mount in granted]
