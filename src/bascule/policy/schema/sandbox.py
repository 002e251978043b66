"""``sandbox``: the box an agent's files and programs live in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from bascule.policy.schema.base import Count, Name, Names, Opaque, Section, Text

_SIZE = re.compile(r"(\d{1,12})([bkmg]?)b?", re.ASCII)
LEAST_MEMORY = 6 << 20
"""Bytes below which Docker, too, refuses a limit: a number whose unit was forgotten."""

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def bytes_of(text: str | int) -> int:
    """Return the bytes meant by ``512m``, ``1g``, ``4096`` (Docker's notation).

    Raises:
        ValueError: anything else.
    """
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError("a size is a number and one of b, k, m, g, such as 512m")
    return int(match.group(1)) * _UNITS[match.group(2)]


def _joined(value: Any) -> Any:
    if isinstance(value, tuple) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return value


def _size(value: Any) -> Any:
    return bytes_of(value) if isinstance(value, str) else value


def _enough(value: int) -> int:
    if 0 < value < LEAST_MEMORY:
        raise ValueError(f"{value} bytes are too few for any program; write a unit, such as 512m")
    return value


Size = Annotated[int, BeforeValidator(_size), Field(ge=0, le=1 << 44)]
Memory = Annotated[Size, AfterValidator(_enough)]
Lines = Annotated[Text, BeforeValidator(_joined)]


class Ulimit(Section):
    """A resource limit pair."""

    soft: Count | None = None
    hard: Count | None = None


class Docker(Section):
    """The Docker backend. What would hand the host to the box is refused here, not found later."""

    image: Name | None = None
    container_prefix: Name | None = None
    workdir: Name | None = None
    read_only_root: bool | None = None
    tmpfs: Names | None = None
    network: Name | None = None
    user: Name | None = None
    cap_drop: Names | None = None
    env: dict[str, Text] | None = None
    setup_command: Lines | None = None
    pids_limit: Count | None = None
    memory: Memory | None = None
    memory_swap: Size | None = None
    cpus: float | None = Field(None, gt=0, le=1024)
    ulimits: dict[str, str | int | Ulimit] | None = None
    seccomp_profile: Name | None = None
    apparmor_profile: Name | None = None
    dns: Names | None = None
    extra_hosts: Names | None = None
    binds: Names | None = None
    dangerously_allow_reserved_container_targets: bool | None = None
    dangerously_allow_external_bind_sources: bool | None = None
    dangerously_allow_container_namespace_join: bool | None = None

    @field_validator("seccomp_profile", "apparmor_profile")
    @classmethod
    def _confining(cls, value: str | None) -> str | None:
        if problem := profile_problem(value):
            raise ValueError(problem)
        return value

    @field_validator("network")
    @classmethod
    def _apart(cls, value: str | None) -> str | None:
        if problem := network_problem(value, allow_join=True):
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _alone(self) -> Self:
        join = bool(self.dangerously_allow_container_namespace_join)
        if problem := network_problem(self.network, allow_join=join):
            raise ValueError(problem)
        return self


def network_problem(network: str | None, *, allow_join: bool) -> str:
    """Return why a Docker network may not be used, empty if it may."""
    name = (network or "").strip().lower()
    if name == "host":
        return "network host removes the network wall; use none, or proxy in sandbox.network"
    if name.startswith("container:") and not allow_join:
        return "joining another container's network needs dangerouslyAllowContainerNamespaceJoin: true"
    return ""


def profile_problem(profile: str | None) -> str:
    """Return why a seccomp or AppArmor profile may not be used, empty if it may."""
    return "unconfined removes a wall; leave the key out" if is_unconfined(profile) else ""


def is_unconfined(profile: str | None) -> bool:
    """True for ``unconfined`` in any case."""
    return (profile or "").strip().lower() == "unconfined"


class Limits(Section):
    """Resource maxima of one call, whatever the backend."""

    memory: Memory | None = None
    pids: int | None = Field(None, ge=1, le=1 << 20)
    cpu_seconds: int | None = Field(None, ge=1, le=86_400)
    wall_seconds: int | None = Field(None, ge=1, le=86_400)
    output_bytes: Size | None = None
    file_bytes: Size | None = None


class Prune(Section):
    """When an idle container goes; 0 keeps it."""

    idle_hours: Count | None = None
    max_age_days: Count | None = None


class Sandbox(Section):
    """``agents.defaults.sandbox`` and ``agents.list[].sandbox``."""

    mode: Literal["off", "non-main", "all"] | None = None
    backend: Literal["bubblewrap", "docker", "unsafe-none", "unsafe_none", "ssh", "openshell", "podman"] | None = None
    scope: Literal["session", "agent", "shared"] | None = None
    per_session: bool | None = None
    workspace_access: Literal["none", "ro", "rw"] | None = None
    workspace_root: Name | None = None
    session_tools_visibility: Literal["spawned", "all"] | None = None
    network: Literal["none", "proxy", "unsafe_bridge"] | None = None
    unsafe_single_uid: bool | None = None
    allow_single_uid: bool | None = None
    warm: bool | None = None
    limits: Limits | None = None
    docker: Docker | None = None
    prune: Prune | None = None
    browser: Opaque | None = None
    ssh: Opaque | None = None
