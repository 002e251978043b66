"""Reading the operator's filters of system calls, and telling which agent's container has which.

Stops: a profile that is a link, that others than its owner may write, or that would let through by default being
believed in, and one that changed since a gateway was started being taken for the one it was started with: what counts
is the digest of what was read with full rights then. Does not stop its owner from changing it for the next start.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from bascule.core.callprofile import parse_profile
from bascule.core.errors import Tampered, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import AgentPolicy, Backend, Policy
from bascule.host.policy_file import read_policy_file


def profile_digest(path: str) -> str:
    """Return the hex SHA-256 of a profile that can be carried out.

    Raises:
        Unavailable: ``seccomp_profile_missing``, ``policy_unreadable``.
        Tampered: ``policy_file_unsafe``.
        Malformed: ``seccomp_profile``.
    """
    real = os.path.realpath(path)
    if real != path and os.path.lexists(path):
        raise Tampered("policy_file_unsafe", f"{path} is or passes through a link", f"name {real}")
    content = read_policy_file(Path(path))
    if content is None:
        remedy = "write it, or take docker.seccompProfile out of the policy"
        raise Unavailable("seccomp_profile_missing", f"there is no {path}", remedy)
    parse_profile(content, os.uname().machine, path)
    return hashlib.sha256(content).hexdigest()


def with_profiles(policy: Policy, digest: Callable[[str], str] = profile_digest) -> Policy:
    """Return a policy that knows what the profiles it names say; ``digest`` reads one.

    Raises:
        BasculeError: as :func:`profile_digest`.
    """
    known: dict[str, str] = {}
    for rules in _filtered(policy):
        path = rules.sandbox.docker.seccomp
        known[path] = known[path] if path in known else digest(path)
    return _told(policy, {rules.id: known[rules.sandbox.docker.seccomp] for rules in _filtered(policy)})


def with_digests(policy: Policy, untrusted_digests: Mapping[str, str]) -> Policy:
    """Return a policy as somebody says its profiles were; who is not spoken of has an unknown one."""
    return _told(policy, {rules.id: untrusted_digests.get(rules.id, "") for rules in _filtered(policy)})


def pinned(policy: Policy) -> Mapping[AgentId, tuple[str, str]]:
    """Return the path and digest of every profile that containers are made with, by agent."""
    return {
        rules.id: (rules.sandbox.docker.seccomp, rules.sandbox.docker.seccomp_digest) for rules in _filtered(policy)
    }


def _filtered(policy: Policy) -> Iterator[AgentPolicy]:
    for rules in policy.agents.values():
        if rules.sandbox.backend is Backend.DOCKER and rules.sandbox.docker.seccomp:
            yield rules


def _told(policy: Policy, digests: Mapping[AgentId, str]) -> Policy:
    agents = {name: _with_digest(rules, digests.get(name)) for name, rules in policy.agents.items()}
    return replace(policy, agents=MappingProxyType(agents)) if digests else policy


def _with_digest(rules: AgentPolicy, digest: str | None) -> AgentPolicy:
    if digest is None:
        return rules
    docker = replace(rules.sandbox.docker, seccomp_digest=digest)
    return replace(rules, sandbox=replace(rules.sandbox, docker=docker))
