"""The warden's language: a few requests, every field checked, nothing else understood.

Stops: a gateway that was taken over asking the warden for more than a box: there is no field for a uid, a capability or
a host command, no variable that a loader heeds, and paths that name the home, secrets, kernel interfaces or a foreign
agent, and mount targets where a box has something of its own, are refused before anything is opened. Does not stop such
a gateway running the programs that exist, as an agent, on paths an operator could grant: for that it must first get
past the gate it contains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bascule.core.canonical import Json, read_arguments
from bascule.core.confinement import Limits, Mount
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.core.outfit import PLAIN, Outfit
from bascule.core.paths import BOX_ROOT, KERNEL_ROOTS, OCCUPIED, SECRET_FILES, SECRET_NAMES, is_within
from bascule.core.plan import ProgramKind
from bascule.sandboxes.warden import outfits, values
from bascule.sandboxes.warden.container_requests import FIELDS as CONTAINER_FIELDS
from bascule.sandboxes.warden.container_requests import (
    CheckTools,
    Contain,
    ContainerRequest,
    Discharge,
    ListContainers,
    build,
    write_body,
)

LARGEST_MESSAGE = 160 * 1024
"""Bytes of one message; below the kernel's default socket buffer (``net.core.wmem_default``, 208 KiB)."""


FILES_OF_START = 1
"""Descriptors that come with a worker's start: its socket."""
FILES_OF_RUN = (3, 4)
"""Descriptors that come with a program: its three streams, and for pipelines one to wait for.

With ``proxy`` one more comes last: a socket over which the listener of the box's network goes out."""


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a file worker."""

    id: int
    agent: AgentId
    writable: bool
    mounts: tuple[Mount, ...]
    limits: Limits
    bare: bool = False


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
        proxy: its network is not quite empty: one port on loopback, whose listener goes to the gateway.
        bare: nothing of the agent's own directory is in the box.
        outfit: further variables and scratch places.
        bridge: it may use its container's network; a warden is never told, for boxes of its own have none.
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
    proxy: bool = False
    bare: bool = False
    outfit: Outfit = PLAIN
    bridge: bool = False


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


Request: TypeAlias = StartWorker | RunProgram | Kill | Stop | Status | ContainerRequest

_FIELDS: Mapping[str, frozenset[str]] = {
    "start": frozenset({"id", "op", "agent", "writable", "mounts", "limits", "bare"}),
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
            "proxy",
            "bare",
            "outfit",
        }
    ),
    "kill": frozenset({"id", "op", "box"}),
    "stop": frozenset({"id", "op", "agent"}),
    "status": frozenset({"id", "op", "box"}),
    **CONTAINER_FIELDS,
}


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
    number = values.integer(fields, "id", 0)
    if operation in CONTAINER_FIELDS:
        return build(operation, fields)
    if operation == "kill":
        return Kill(number, values.integer(fields, "box", 1))
    if operation == "status":
        return Status(number, values.integer(fields, "box", 1))
    if operation == "stop":
        return Stop(number, None if fields["agent"] is None else values.agent(fields))
    agent, writable, mounts = values.agent(fields), values.boolean(fields, "writable"), values.mounts(fields["mounts"])
    limits, bare = values.limits(fields["limits"]), values.boolean(fields, "bare")
    if operation == "start":
        return StartWorker(number, agent, writable, mounts, limits, bare)
    kind, interpreter = values.kind(fields)
    return RunProgram(
        number,
        agent,
        values.argv(fields),
        values.path(fields["program"], "program"),
        values.digest(fields),
        kind,
        interpreter,
        tuple(values.path(item, "needs") for item in values.listed(fields, "needs", values.MOST_NEEDS)),
        writable,
        mounts,
        limits,
        values.boolean(fields, "proxy"),
        bare,
        outfits.outfit(fields["outfit"]),
    )


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

    def check_mount(self, mount: Mount) -> None:
        """Refuse a mount whose source is no operator's to grant, or whose target is a place of the box's own.

        Raises:
            Malformed: the home (but its ``shared/``), what contains it, protected trees, secrets, kernel interfaces;
                and, to be written, what contains secrets.
        """
        path, writable = mount.path, mount.writable
        for place in (*OCCUPIED, BOX_ROOT, self.home, *self.protected) if mount.target else ():
            if is_within(mount.target, place) or is_within(place, mount.target):
                raise Malformed("mount_refused", f"{mount.target[:200]} is a place of the box's own")
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


def write(request: Request) -> bytes:
    """Return the datagram of a request; :func:`parse` is its inverse.

    Raises:
        Malformed: it would be longer than a message may be.
    """
    body: dict[str, Json] = {"id": request.id}
    if isinstance(request, Contain | Discharge | ListContainers | CheckTools):
        body |= write_body(request)
    if isinstance(request, StartWorker | RunProgram):
        body |= {
            "op": "start" if isinstance(request, StartWorker) else "run",
            "agent": request.agent,
            "writable": request.writable,
            "mounts": values.mounts_json(request.mounts),
            "limits": values.limits_json(request.limits),
            "bare": request.bare,
        }
    if isinstance(request, RunProgram):
        body |= {
            "argv": list(request.argv),
            "program": request.program,
            "sha256": request.sha256,
            "kind": request.kind.value,
            "interpreter": request.interpreter,
            "needs": list(request.needs),
            "proxy": request.proxy,
            "outfit": outfits.outfit_json(request.outfit),
        }
    elif isinstance(request, Kill | Status):
        body |= {"op": "kill" if isinstance(request, Kill) else "status", "box": request.box}
    elif isinstance(request, Stop):
        body |= {"op": "stop", "agent": request.agent}
    message = json.dumps(body).encode()
    if len(message) > LARGEST_MESSAGE:
        raise Malformed("warden_message", "the command line is too long for a box")
    return message
