"""The warden's language: five requests, every field checked, nothing else understood.

Stops: a gateway that was taken over asking the warden for more than a box: there is no field for a mount target, a
uid, a capability, an environment or a host command, and paths that name the home, secrets, kernel interfaces or a
foreign agent are refused before anything is opened. Does not stop such a gateway running the programs that exist, as an
agent, on paths an operator could grant: for that it must first get past the gate it contains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bascule.core.canonical import Json, read_arguments
from bascule.core.confinement import Limits, Mount
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId, parse_agent_id
from bascule.core.paths import KERNEL_ROOTS, SECRET_FILES, SECRET_NAMES, is_within, normal
from bascule.core.plan import ProgramKind

LARGEST_MESSAGE = 160 * 1024
"""Bytes of one message; below the kernel's default socket buffer (``net.core.wmem_default``, 208 KiB)."""

_MOST_WORDS = 4096
_LONGEST_PATH = 4096
_LARGEST_ARGV = 96 * 1024
_MOST_NEEDS = 64
_MOST_MOUNTS = 32
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RUNNABLE = frozenset({ProgramKind.NATIVE, ProgramKind.SCRIPT})

FILES_OF_START = 1
"""Descriptors that come with a worker's start: its socket."""
FILES_OF_RUN = (3, 4)
"""Descriptors that come with a program: its three streams, and for pipelines one to wait for."""


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a file worker."""

    id: int
    agent: AgentId
    writable: bool
    mounts: tuple[Mount, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class RunProgram:
    """Run one program in a fresh box.

    Attributes:
        id: number the answer carries.
        agent: whose account.
        argv: its words; the first is only a name.
        program: absolute path of the file, free of links.
        sha256: what it must hash to.
        kind: native or script.
        interpreter: absolute path from ``#!``; empty unless a script.
        needs: absolute paths that also exist in the box.
        writable: the agent's own directories are writable.
        mounts: operator paths.
        limits: resource maxima.
    """

    id: int
    agent: AgentId
    argv: tuple[str, ...]
    program: str
    sha256: str
    kind: ProgramKind
    interpreter: str
    needs: tuple[str, ...]
    writable: bool
    mounts: tuple[Mount, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill one box; its exit is reported when it is gone."""

    id: int
    box: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Kill every box of an agent, or of all; answered when they are gone."""

    id: int
    agent: AgentId | None


@dataclass(frozen=True, slots=True)
class Status:
    """Measure one box from outside."""

    id: int
    box: int


Request: TypeAlias = StartWorker | RunProgram | Kill | Stop | Status

_FIELDS: Mapping[str, frozenset[str]] = {
    "start": frozenset({"id", "op", "agent", "writable", "mounts", "limits"}),
    "run": frozenset(
        {
            "id",
            "op",
            "agent",
            "argv",
            "program",
            "sha256",
            "kind",
            "interpreter",
            "needs",
            "writable",
            "mounts",
            "limits",
        }
    ),
    "kill": frozenset({"id", "op", "box"}),
    "stop": frozenset({"id", "op", "agent"}),
    "status": frozenset({"id", "op", "box"}),
}

_LIMITS = frozenset({"memory_bytes", "pids", "cpu_seconds", "wall_seconds", "output_bytes", "file_bytes"})


def parse(untrusted_message: bytes) -> Request:
    """Return the request, or refuse it whole.

    Args:
        untrusted_message: one datagram.

    Raises:
        Malformed: too long, not JSON, an unknown operation, an unknown or missing field, or a value out of bounds.
    """
    if len(untrusted_message) > LARGEST_MESSAGE:
        raise Malformed("warden_message", "a message is too long")
    try:
        text = untrusted_message.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("warden_message", "a message is not UTF-8") from None
    del untrusted_message
    fields = read_arguments(text)
    operation = fields.get("op")
    expected = _FIELDS.get(operation) if isinstance(operation, str) else None
    if expected is None:
        raise Malformed("warden_operation", "an unknown operation")
    if fields.keys() != expected:
        raise Malformed("warden_fields", f"{operation} has exactly the fields {', '.join(sorted(expected))}")
    return _build(str(operation), fields)


def _build(operation: str, fields: Mapping[str, Json]) -> Request:
    number = _integer(fields, "id", 0)
    if operation == "kill":
        return Kill(number, _integer(fields, "box", 1))
    if operation == "status":
        return Status(number, _integer(fields, "box", 1))
    if operation == "stop":
        return Stop(number, None if fields["agent"] is None else _agent(fields))
    agent, writable, mounts = _agent(fields), _boolean(fields, "writable"), _mounts(fields["mounts"])
    limits = _limits(fields["limits"])
    if operation == "start":
        return StartWorker(number, agent, writable, mounts, limits)
    kind, interpreter = _kind(fields)
    return RunProgram(
        number,
        agent,
        _argv(fields),
        _path(fields["program"], "program"),
        _hash(fields),
        kind,
        interpreter,
        tuple(_path(item, "needs") for item in _list(fields, "needs", _MOST_NEEDS)),
        writable,
        mounts,
        limits,
    )


def _integer(fields: Mapping[str, Json], name: str, least: int) -> int:
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Malformed("warden_value", f"{name} must be an integer of at least {least}")
    return value


def _boolean(fields: Mapping[str, Json], name: str) -> bool:
    value = fields[name]
    if not isinstance(value, bool):
        raise Malformed("warden_value", f"{name} must be true or false")
    return value


def _list(fields: Mapping[str, Json], name: str, most: int) -> list[Json]:
    value = fields[name]
    if not isinstance(value, list) or len(value) > most:
        raise Malformed("warden_value", f"{name} must be a list of at most {most}")
    return value


def _agent(fields: Mapping[str, Json]) -> AgentId:
    value = fields["agent"]
    if not isinstance(value, str) or parse_agent_id(value) != value:
        raise Malformed("warden_value", "agent must be an agent id in lower case")
    return AgentId(value)


def _argv(fields: Mapping[str, Json]) -> tuple[str, ...]:
    words = _list(fields, "argv", _MOST_WORDS)
    kept = tuple(word for word in words if isinstance(word, str) and "\0" not in word)
    if not kept or len(kept) != len(words) or sum(len(word.encode()) + 1 for word in kept) > _LARGEST_ARGV:
        raise Malformed("warden_value", "argv must be words without NUL, not too long")
    return kept


def _path(value: Json, name: str) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value or len(value) > _LONGEST_PATH:
        raise Malformed("warden_value", f"{name} must be an absolute path")
    if normal(value) != value or value == "/":
        raise Malformed("warden_value", f"{name} must be a plain path: no '.', '..', '//' or '/' at its end")
    return value


def _hash(fields: Mapping[str, Json]) -> str:
    value = fields["sha256"]
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise Malformed("warden_value", "sha256 must be 64 hex digits")
    return value


def _kind(fields: Mapping[str, Json]) -> tuple[ProgramKind, str]:
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in _RUNNABLE:
        raise Malformed("warden_value", "kind must be native or script")
    if kind == ProgramKind.SCRIPT:
        return ProgramKind.SCRIPT, _path(fields["interpreter"], "interpreter")
    if fields["interpreter"] != "":
        raise Malformed("warden_value", "a native program has no interpreter")
    return ProgramKind.NATIVE, ""


def _mounts(value: Json) -> tuple[Mount, ...]:
    if not isinstance(value, list) or len(value) > _MOST_MOUNTS:
        raise Malformed("warden_value", f"mounts must be a list of at most {_MOST_MOUNTS}")
    mounts = []
    for item in value:
        if not isinstance(item, Mapping) or item.keys() != {"path", "writable"}:
            raise Malformed("warden_value", "a mount has exactly the fields path, writable")
        mounts.append(Mount(_path(item["path"], "a mount's path"), _boolean(item, "writable")))
    return tuple(mounts)


def _limits(value: Json) -> Limits:
    if not isinstance(value, Mapping) or value.keys() != _LIMITS:
        raise Malformed("warden_value", f"limits has exactly the fields {', '.join(sorted(_LIMITS))}")
    return Limits(**{name: _integer(value, name, 1) for name in _LIMITS})


@dataclass(frozen=True, slots=True)
class Territory:
    """What of the machine belongs to whom, for refusing sources.

    Attributes:
        home: absolute path of the Bascule home, links resolved.
        protected: further trees no box is given (code, keys, policy files).
    """

    home: str
    protected: tuple[str, ...] = ()

    def agent_root(self, agent: AgentId) -> str:
        """The agent's directory."""
        return f"{self.home}/agents/{agent}"

    def check_mount(self, path: str, *, writable: bool) -> None:
        """Refuse a mount source that is no operator's to grant.

        Raises:
            Malformed: the home (but its ``shared/``), what contains it, protected trees, secrets, kernel interfaces;
                and, to be written, what contains secrets.
        """
        shared = f"{self.home}/shared"
        if path != shared and is_within(path, shared):
            return
        closed = (self.home, *self.protected, "/workspace", "/workspaces")
        if any(is_within(path, root) or is_within(root, path) for root in closed):
            raise Malformed("mount_refused", f"{path[:200]} is not a path a box may be given")
        if writable and any(is_within(root, path) for root in SECRET_FILES):
            raise Malformed("mount_refused", f"{path[:200]} holds secrets, so no box is given it to write")
        self._check_common(path)

    def check_program(self, path: str, agent: AgentId) -> None:
        """Refuse a file that may not be a program in a box.

        Raises:
            Malformed: anything below the home but the agent's own ``tools/``, secrets, kernel interfaces.
        """
        if is_within(path, f"{self.agent_root(agent)}/tools"):
            return
        if is_within(path, self.home) or is_within(self.home, path):
            raise Malformed("program_refused", f"{path[:200]} is not a program a box may be given")
        self._check_common(path)

    def _check_common(self, path: str) -> None:
        # What merely contains a secret may be given: its stage covers the secret up.
        if any(is_within(path, root) for root in (*KERNEL_ROOTS, *SECRET_FILES)):
            raise Malformed("mount_refused", f"{path[:200]} holds secrets or is an interface of the kernel")
        if not SECRET_NAMES.isdisjoint(path.split("/")):
            raise Malformed("mount_refused", f"{path[:200]} lies where credentials lie")


def _limits_json(limits: Limits) -> dict[str, Json]:
    return {name: int(getattr(limits, name)) for name in sorted(_LIMITS)}


def _mounts_json(mounts: tuple[Mount, ...]) -> list[Json]:
    return [{"path": mount.path, "writable": mount.writable} for mount in mounts]


def write(request: Request) -> bytes:
    """Return the datagram of a request; :func:`parse` is its inverse.

    Raises:
        Malformed: it would be longer than a message may be.
    """
    body: dict[str, Json] = {"id": request.id}
    if isinstance(request, StartWorker | RunProgram):
        body |= {
            "op": "start" if isinstance(request, StartWorker) else "run",
            "agent": request.agent,
            "writable": request.writable,
            "mounts": _mounts_json(request.mounts),
            "limits": _limits_json(request.limits),
        }
    if isinstance(request, RunProgram):
        body |= {
            "argv": list(request.argv),
            "program": request.program,
            "sha256": request.sha256,
            "kind": request.kind.value,
            "interpreter": request.interpreter,
            "needs": list(request.needs),
        }
    elif isinstance(request, Kill | Status):
        body |= {"op": "kill" if isinstance(request, Kill) else "status", "box": request.box}
    elif isinstance(request, Stop):
        body |= {"op": "stop", "agent": request.agent}
    message = json.dumps(body).encode()
    if len(message) > LARGEST_MESSAGE:
        raise Malformed("warden_message", "the command line is too long for a box")
    return message
