"""Docker-style mounts: what ``host:container[:options]`` means, and which ones may never be.

Stops: mounting the system, the kernel's interfaces, the Docker socket, credentials, or a directory that contains one of
them; a source outside the allowed roots; a target that hides the agent's own directory. Judged by name after resolving
a snapshot of links; the mount itself is made link-free by the warden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.paths import BOX_ROOT, SECRET_NAMES, is_within, normal
from bascule.policy.paths import resolve_directory

BLOCKED = (
    "/etc", "/private/etc", "/proc", "/sys", "/dev", "/root", "/boot", "/run", "/var/run", "/private/var/run",
    "/var/lib/docker",
)  # fmt: skip
"""Host trees no box ever sees."""

BLOCKED_IN_HOME = (*sorted(SECRET_NAMES), ".cargo", ".npm")
"""Names directly below a home directory that hold credentials."""

RESERVED = (BOX_ROOT, "/agent")
"""Container paths that are the agent's own directory."""

_BLOCKED_ENV = re.compile(
    r"(?i)(?:.*_)?(?:API_?KEY|TOKEN|PASSWORD|PASSWD|PRIVATE_KEY|SECRET|CREDENTIALS?|PASSPHRASE)"
    r"|AWS_.*|AZURE_.*|GCP_.*|GOOGLE_APPLICATION_CREDENTIALS|(?:GH|GITHUB|GITLAB|NPM|SLACK|DISCORD)_.*TOKEN|SSH_.*|LD_.*"
    r"|DYLD_.*|BASH_ENV|ENV|PYTHONPATH|PYTHONSTARTUP|NODE_OPTIONS|PERL5LIB|RUBYOPT|GIT_.*"
)
_HARMLESS_ENV = frozenset({"LANG", "LC_ALL", "LANGUAGE", "TZ", "TERM", "PATH", "HOME", "USER", "SHELL", "NODE_ENV"})


@dataclass(frozen=True, slots=True)
class Bind:
    """One mount as written."""

    host: str
    container: str
    options: str = ""


@dataclass(frozen=True, slots=True)
class BindRules:
    """What a mount is judged by.

    Attributes:
        homes: home directories whose credential names are blocked.
        links: snapshot of directory links.
        roots: where sources must lie; None for anywhere that is not blocked.
        reserved_targets: targets within the agent's own directory are allowed.
    """

    homes: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    roots: tuple[str, ...] | None = None
    reserved_targets: bool = False


@dataclass(frozen=True, slots=True)
class BindProblem:
    """Why a mount may not be.

    Attributes:
        kind: ``non_absolute``, ``targets``, ``covers``, ``outside_allowed_roots``, ``reserved_target``, ``malformed``.
        path: the blocked path it meets.
    """

    kind: str
    path: str


def parse_bind(untrusted_spec: str) -> Bind | None:
    """Return ``host:container[:options]`` taken apart, None if it has no such shape."""
    host, separator, rest = untrusted_spec.partition(":")
    container, _, options = rest.partition(":")
    if not separator or not host or not container:
        return None
    return Bind(host, container, options)


def bind_problem(untrusted_spec: str, rules: BindRules) -> BindProblem | None:
    """Return why a mount may not be, None if nothing speaks against it."""
    bind = parse_bind(untrusted_spec)
    if bind is None or "\0" in untrusted_spec:
        return BindProblem("malformed", untrusted_spec[:120])
    if not bind.host.startswith("/") or not bind.container.startswith("/"):
        return BindProblem("non_absolute", bind.host)
    written = normal(bind.host)
    resolved = resolve_directory(written, rules.links)
    for source in dict.fromkeys((written, resolved)):
        if blocked := _blocked(source, rules):
            return blocked
    if rules.roots is not None and not any(is_within(resolved, _root(root, rules)) for root in rules.roots):
        return BindProblem("outside_allowed_roots", resolved)
    target = normal(bind.container)
    if not rules.reserved_targets and any(is_within(target, reserved) for reserved in RESERVED):
        return BindProblem("reserved_target", target)
    return None


def _root(root: str, rules: BindRules) -> str:
    return resolve_directory(normal(root), rules.links)


def _blocked(source: str, rules: BindRules) -> BindProblem | None:
    if source == "/":
        return BindProblem("covers", "/")
    homes = dict.fromkeys(name for home in rules.homes for name in (normal(home), _root(home, rules)))
    secrets = [f"{home}/{name}" for home in homes for name in BLOCKED_IN_HOME]
    for path in (*BLOCKED, *secrets):
        if is_within(source, path):
            return BindProblem("targets", path)
    for path in (*BLOCKED, *secrets):
        if is_within(path, source):
            return BindProblem("covers", path)
    return None


def filter_env(env: Mapping[str, str], *, strict: bool = False) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables a box may have, and the names of those it may not.

    Args:
        env: variables as written.
        strict: only names that are known to be harmless pass.
    """
    allowed: dict[str, str] = {}
    blocked: list[str] = []
    for name, value in env.items():
        secret = _BLOCKED_ENV.fullmatch(name) is not None or "\0" in value or "\0" in name or "=" in name
        if secret or (strict and name not in _HARMLESS_ENV):
            blocked.append(name)
        else:
            allowed[name] = value
    return allowed, tuple(blocked)
