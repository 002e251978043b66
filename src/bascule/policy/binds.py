"""Docker-style mounts: what ``host:container[:options]`` means, and which ones may never be.

Stops: mounting the system, the kernel's interfaces, the Docker socket, credentials, or a directory that contains one of
them; a source outside the allowed roots; a target that hides the agent's own directory. Judged by name after resolving
a snapshot of links; the mount itself is made link-free by the warden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.confinement import Mount
from bascule.core.paths import BOX_ROOT, BOX_SHARED, OCCUPIED, SECRET_NAMES, is_within, normal
from bascule.policy.paths import resolve_directory

BLOCKED = (
    "/etc", "/private/etc", "/proc", "/sys", "/dev", "/root", "/boot", "/run", "/var/run", "/private/var/run",
    "/var/lib/docker", "/var/lib/containerd", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
    "/System", "/Library",
)  # fmt: skip
"""Host trees no box is lent: kernel interfaces, system directories, what services keep."""

BLOCKED_IN_HOME = (*sorted(SECRET_NAMES), ".cargo", ".npm")
"""Names directly below a home directory that hold credentials."""

RESERVED = (BOX_ROOT, "/agent")
"""Container paths that are the agent's own directory."""

_HOMES = frozenset({"/home", "/Users"})
_READ_ONLY_FOR_ALL = f"{BOX_SHARED}/repo"
_OPTIONS = frozenset({"ro", "rw", "z", "Z", "private", "rprivate", "nosuid", "nodev", "noexec"})
"""Options of Docker's that a mount may name; all but ``rw`` is so in any case, or does not matter."""

_REASONS = {
    "malformed": "it is not host:container, host:container:ro or host:container:rw",
    "non_absolute": "both of its paths must be absolute, or the first begin with shared/",
    "targets": "{} is a system directory, a home, a socket, or holds keys, state or policy, and is never lent to a box",
    "covers": "it would bring {} along, which is never lent to a box",
    "outside_allowed_roots": "{} lies outside the directories that may be lent",
    "reserved_target": "{} is a place of the box's own",
    "option": "the option {} is not carried out; ro and rw are",
    "read_only": "{} is read-only for everybody",
}

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
        private: trees no box is lent besides :data:`BLOCKED`: the Bascule home, code, keys.
        lendable: the directory within them whose content may be lent; empty for none.
    """

    homes: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    roots: tuple[str, ...] | None = None
    reserved_targets: bool = False
    private: tuple[str, ...] = ()
    lendable: str = ""


@dataclass(frozen=True, slots=True)
class BindProblem:
    """Why a mount may not be.

    Attributes:
        kind: ``non_absolute``, ``targets``, ``covers``, ``outside_allowed_roots``, ``reserved_target``, ``malformed``,
            ``option``, ``read_only``.
        path: the blocked path it meets.
    """

    kind: str
    path: str

    @property
    def reason(self) -> str:
        """The problem in words."""
        return _REASONS[self.kind].format(self.path[:120])


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
    return _option_problem(bind, target)


def lent(untrusted_spec: str, rules: BindRules) -> Mount | BindProblem:
    """Return the mount a line of ``binds`` means, or why it may not be; a source ``shared/…`` lies in the home.

    Stricter than :func:`bind_problem`: nothing may be put where a box has something of its own, and a mount that does
    not end with ``:rw`` is read-only.
    """
    spec = f"{rules.lendable}/{untrusted_spec[7:]}" if untrusted_spec.startswith("shared/") else untrusted_spec
    del untrusted_spec
    problem = bind_problem(spec, rules)
    bind = parse_bind(spec)
    if problem is not None or bind is None:
        return problem if problem is not None else BindProblem("malformed", spec[:120])
    source, target = normal(bind.host), normal(bind.container)
    for place in (*OCCUPIED, *RESERVED, *rules.private):
        if is_within(target, place) or is_within(place, target):
            return BindProblem("reserved_target", place)
    if any(character in path for path in (source, target) for character in ",:"):
        return BindProblem("malformed", spec[:120])
    writable = "rw" in bind.options.split(",")
    if writable and rules.lendable and is_within(source, f"{rules.lendable}/repo"):
        return BindProblem("read_only", f"{rules.lendable}/repo")
    return Mount(source, writable, target)


def _option_problem(bind: Bind, target: str) -> BindProblem | None:
    options = bind.options.split(",") if bind.options else []
    unknown = next((option for option in options if option not in _OPTIONS), None)
    if unknown is not None or {"ro", "rw"} <= set(options):
        return BindProblem("option", unknown if unknown is not None else "ro,rw")
    if "rw" in options and is_within(target, _READ_ONLY_FOR_ALL):
        return BindProblem("read_only", _READ_ONLY_FOR_ALL)
    return None


def _root(root: str, rules: BindRules) -> str:
    return resolve_directory(normal(root), rules.links)


def _blocked(source: str, rules: BindRules) -> BindProblem | None:
    if source == "/":
        return BindProblem("covers", "/")
    if rules.lendable and source != rules.lendable and is_within(source, rules.lendable):
        return None
    for path in rules.private:
        if is_within(source, path):
            return BindProblem("targets", path)
        if is_within(path, source):
            return BindProblem("covers", path)
    homes = dict.fromkeys(name for home in rules.homes for name in (normal(home), _root(home, rules)))
    secrets = [f"{home}/{name}" for home in homes for name in BLOCKED_IN_HOME]
    for path in (*BLOCKED, *secrets):
        if is_within(source, path):
            return BindProblem("targets", path)
    for path in (*BLOCKED, *secrets):
        if is_within(path, source):
            return BindProblem("covers", path)
    above, _, name = source.rpartition("/")
    is_home = above in _HOMES or source in _HOMES
    if is_home or name.endswith(".sock") or not SECRET_NAMES.isdisjoint(source.split("/")):
        return BindProblem("targets", source)
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
