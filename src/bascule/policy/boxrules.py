"""Which box an agent gets: its ``sandbox`` section over the defaults, and limits that only tighten.

Stops: a box whose description nobody carries out being replaced by a weaker one; such a section is refused. An absent
``network`` is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bascule.core.confinement import Limits
from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.paths import normal
from bascule.core.policy import RAW_BRIDGE, Backend, DockerPolicy, SandboxPolicy
from bascule.policy.bridgerules import name_servers, raw_bridge
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.lending import Lines
from bascule.policy.outfitrules import outfit, tightened
from bascule.policy.schema.sandbox import Docker, Prune, Sandbox

_BACKENDS = {None: Backend.BUBBLEWRAP, "bubblewrap": Backend.BUBBLEWRAP, "docker": Backend.DOCKER}
_BACKENDS |= {"unsafe-none": Backend.UNSAFE_NONE, "unsafe_none": Backend.UNSAFE_NONE}
_TIGHTNESS = ("none", "proxy", "bridge", RAW_BRIDGE)


@dataclass(frozen=True, slots=True)
class BoxSource:
    """Both ``sandbox`` sections of one agent and where they stand."""

    agent: str
    shared: Sandbox
    own: Sandbox
    shared_path: Path
    own_path: Path


def merged(source: BoxSource) -> Sandbox:
    """Return the agent's keys over the shared ones; under scope ``shared`` its Docker keys count nothing."""
    scope = source.own.scope if source.own.scope is not None else source.shared.scope
    own = source.own.model_copy(update={"docker": None, "prune": None}) if scope == "shared" else source.own
    fields = {name: value for name in Sandbox.model_fields if (value := getattr(own, name)) is not None}
    if own.network is None and own.docker is not None and own.docker.network is not None:
        fields["network"] = None  # both keys say the same thing, and the agent's scope has spoken
    joined = source.shared.model_copy(update=fields)
    return joined.model_copy(update={"docker": merge_docker(source.shared.docker, own.docker)})


def merge_docker(shared: Docker | None, own: Docker | None) -> Docker | None:
    """Return the agent's Docker keys over the shared ones; mounts and variables are added together."""
    if shared is None or own is None:
        return own if shared is None else shared
    fields = {name: value for name in Docker.model_fields if (value := getattr(own, name)) is not None}
    if own.binds is not None:
        fields["binds"] = (*(shared.binds if shared.binds is not None else ()), *own.binds)
    if own.env is not None:
        fields["env"] = {**(shared.env if shared.env is not None else {}), **own.env}
    return shared.model_copy(update=fields)


def is_sandboxed(box: Sandbox) -> bool:
    """True if OpenClaw would sandbox any of the agent's sessions; then the sandbox tool ceiling holds for all."""
    return box.mode not in (None, "off")


def sandbox_policy(
    source: BoxSource, wall_seconds: Sequence[int], document: Document
) -> tuple[SandboxPolicy, tuple[Finding, ...]]:
    """Return an agent's box rules.

    Args:
        source: its sections.
        wall_seconds: further time limits, such as ``tools.exec.timeoutSec``.
        document: the file, for places in messages.

    Raises:
        Malformed: ``policy_schema``, a backend, a network or a key that is not carried out.
    """
    box = merged(source)
    path = source.own_path if document_has(document, source.own_path) else source.shared_path
    if box.backend not in _BACKENDS:
        raise _refuse(document, (*path, "backend"), f"the backend {box.backend} is not carried out", "use bubblewrap")
    _check_docker(box, document, path)
    findings: list[Finding] = []
    if _BACKENDS[box.backend] is Backend.UNSAFE_NONE:
        findings += _bare_host(box, source.agent, document, path)
    findings += _single_uid(box, source.agent)
    findings += _mode(box, source.agent)
    network = _network(box, document, path)
    findings += raw_bridge(network, _BACKENDS[box.backend], source.agent, document, path)
    docker = box.docker if box.docker is not None else Docker()
    added, dropped = outfit(source.agent, docker, document, path)
    findings += dropped
    access = box.workspace_access
    if access is None:
        access = "none" if is_sandboxed(box) else "rw"
    policy = SandboxPolicy(
        _BACKENDS[box.backend],
        network,
        access,
        bool(box.unsafe_single_uid),
        tightened(_limits(box, wall_seconds), docker, document, path),
        replace(_docker(box), dns=name_servers(docker.dns, network, document, path)),
        added,
        warm=bool(box.warm),
    )
    return policy, tuple(findings)


_NOT_CARRIED = {
    "setup_command": "a box is made from its image or this machine alone; put what it does into the image",
    "extra_hosts": "no box is told names of its own",
    "apparmor_profile": "no box is given another profile than its backend's own",
    "user": "every box runs under the agent's own account",
}
"""Keys of ``sandbox.docker`` that would be believed in; by field, with the reason."""


def _check_docker(box: Sandbox, document: Document, path: Path) -> None:
    docker = box.docker if box.docker is not None else Docker()
    for name, why in _NOT_CARRIED.items():
        if getattr(docker, name) is not None:
            key = Docker.model_fields[name].alias or name
            raise _refuse(document, (*path, "docker", key), f"is not carried out: {why}", "remove it")
    if docker.read_only_root is False:
        raise _refuse(document, (*path, "docker", "readOnlyRoot"), "the root of a box is never writable", "remove it")
    if box.scope == "shared" or (box.scope is None and box.per_session is False):
        raise _refuse(document, (*path, "scope"), "agents never share a box", "use agent or session")


def _docker(box: Sandbox) -> DockerPolicy:
    docker, usual = box.docker if box.docker is not None else Docker(), DockerPolicy()
    prune = box.prune if box.prune is not None else Prune()
    return DockerPolicy(
        docker.image if docker.image is not None else usual.image,
        box.scope == "session" or (box.scope is None and bool(box.per_session)),
        prune.idle_hours * 3600 if prune.idle_hours is not None else usual.idle_seconds,
        prune.max_age_days * 86_400 if prune.max_age_days is not None else usual.age_seconds,
    )


def _mode(box: Sandbox, agent: str) -> Iterator[Finding]:
    if box.mode == "non-main":
        detail = f"{agent}: mode non-main is carried as all: the main session has the boxes and the tools of the others"
        remedy = "name what the main session needs in tools.sandbox.tools, or set sandbox.mode to off"
        yield Finding("sandbox.mode_non_main", Severity.INFO, detail, remedy)
    if box.mode in ("all", "non-main") and box.backend is None:
        detail = f"{agent}: sandbox.backend is not said, so its boxes are bubblewrap's; mode itself chooses no backend"
        yield Finding("sandbox.backend_unsaid", Severity.INFO, detail, "set sandbox.backend to docker or bubblewrap")


def workspace_root(box: Sandbox, agent: str, root: str) -> Iterator[Finding]:
    """Yield what ``workspaceRoot`` does not do: it names where the agent's directory is, and nothing moves there."""
    said = box.workspace_root
    if said is not None and not names_directory(said, root):
        detail = f"{agent}: sandbox.workspaceRoot names {said[:120]}, and the agent's directory is {root}"
        yield Finding("sandbox.workspace_root", Severity.WARN, detail, f"write {root}, or remove it")


def names_directory(said: str, root: str) -> bool:
    """True if ``workspaceRoot`` names an agent's directory, or the one that holds the agents', as OpenClaw means it.

    Args:
        said: the value, absolute or relative to the home.
        root: the agent's directory, ``HOME/agents/ID``.
    """
    parent = root.rpartition("/")[0]
    plain = normal(said if said.startswith("/") else f"{parent.rpartition('/')[0]}/{said}")
    return plain in (root, parent)


_OF_A_BOX = {"image": "image", "read_only_root": "readOnlyRoot"}
"""Keys of ``sandbox.docker`` that say what a program's box is made of, by field."""


def _bare_host(box: Sandbox, agent: str, document: Document, path: Path) -> Iterator[Finding]:
    if box.unsafe_single_uid:
        problem = "unsafe_none needs an account of its own for every agent, so unsafeSingleUid may not stand beside it"
        raise _refuse(document, (*path, "backend"), problem, "use bubblewrap, or remove unsafeSingleUid")
    detail = (
        f"{agent}: programs run on the bare host: they see every file their account may read and can start every "
        "program of this machine"
    )
    yield Finding("sandbox.unsafe_none", Severity.CRITICAL, detail, "set sandbox.backend to bubblewrap")
    docker = box.docker if box.docker is not None else Docker()
    idle = [name for field, name in _OF_A_BOX.items() if getattr(docker, field) is not None]
    if idle:
        detail = f"{agent}: on the bare host these keys of sandbox.docker do nothing: {', '.join(idle)}"
        yield Finding("sandbox.unsafe_none_keys", Severity.WARN, detail, "set sandbox.backend to docker")


def _single_uid(box: Sandbox, agent: str) -> Iterator[Finding]:
    if box.unsafe_single_uid:
        detail = f"{agent}: without subordinate uids it would run under the gateway's own account, not isolated from it"
        yield Finding("sandbox.unsafe_single_uid", Severity.WARN, detail, "remove sandbox.unsafeSingleUid")
    if box.allow_single_uid:
        detail = f"{agent}: sandbox.allowSingleUid allows nothing; its name did not say that it is unsafe"
        yield Finding("sandbox.single_uid_name", Severity.WARN, detail, "remove sandbox.allowSingleUid")


def document_has(document: Document, path: Path) -> bool:
    """True if the file has something at this path."""
    return path in document.spans


def _network(box: Sandbox, document: Document, path: Path) -> str:
    name = box.docker.network.strip().lower() if box.docker is not None and box.docker.network is not None else None
    if name is not None and name.startswith("container:"):
        problem = "joining another container's network is not carried out"
        raise _refuse(document, (*path, "docker", "network"), problem, "use none or bridge")
    said: list[str] = [box.network] if box.network is not None else []
    if name is not None:
        said.append(name if name in ("none", RAW_BRIDGE) else "bridge")
    return min(said, key=_TIGHTNESS.index, default="none")


def _limits(box: Sandbox, wall_seconds: Sequence[int]) -> Limits:
    base = SandboxPolicy().limits
    asked = box.limits
    docker = box.docker
    memory = [asked.memory if asked else None, docker.memory if docker else None]
    pids = [asked.pids if asked else None, docker.pids_limit if docker else None]
    wall = [asked.wall_seconds if asked else None, *wall_seconds]
    return Limits(
        _least(memory, base.memory_bytes),
        _least(pids, base.pids),
        _least([asked.cpu_seconds if asked else None], base.cpu_seconds),
        _least(wall, base.wall_seconds),
        _least([asked.output_bytes if asked else None], base.output_bytes),
        _least([asked.file_bytes if asked else None], base.file_bytes),
        base.open_files,
        max(1, int(docker.cpus * 1000)) if docker is not None and docker.cpus is not None else base.cpus,
    )


def _least(said: Sequence[int | None], base: int) -> int:
    """The smallest number said, else the built-in one. Zero means "no limit" to Docker and so counts as unsaid."""
    return min((number for number in said if number), default=base)


def bind_lines(source: BoxSource) -> Lines:
    """Return the ``binds`` that count for an agent; under scope ``shared`` its own do not."""
    scope = source.own.scope if source.own.scope is not None else source.shared.scope
    sections = [(source.shared, source.shared_path)]
    sections += [(source.own, source.own_path)] if scope != "shared" else []
    return [((*path, "docker", "binds"), (box.docker.binds if box.docker else None) or ()) for box, path in sections]


def _refuse(document: Document, path: Path, problem: str, remedy: str) -> Malformed:
    return Malformed("policy_schema", f"{document.where(path)}: {dotted(path)}: {problem}", remedy)
