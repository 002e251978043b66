"""What an edit newly allows or denies, in terms of what agents can do rather than of lines.

Stops: a small edit with a large effect passing as a small edit. A change is called wider unless it is certain that it
only narrows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from bascule.core.confinement import Limits, Mount
from bascule.core.ids import AgentId
from bascule.core.policy import (
    AgentPolicy,
    Backend,
    DockerPolicy,
    ExecAsk,
    ExecEntry,
    ExecPolicy,
    ExecSecurity,
    Policy,
    Quota,
    Standing,
)
from bascule.core.reach import EgressPolicy


class Direction(StrEnum):
    """Which way a change goes."""

    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        direction: see :class:`Direction`.
        agent: whose, empty for the whole policy.
        subject: what changed, such as ``tool web_fetch`` or ``sandbox.network``.
        before: how it was, empty if it was not there.
        after: how it is, empty if it is gone.
    """

    direction: Direction
    agent: str
    subject: str
    before: str
    after: str


def diff_policies(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Return every difference that matters, widening ones first."""
    found = [*_whole(old, new)]
    for name in dict.fromkeys((*old.agents, *new.agents)):
        before, after = old.agents.get(name), new.agents.get(name)
        if before is None and after is not None:
            found.append(Change(Direction.WIDER, name, "agent", "", "new"))
            found += [Change(Direction.WIDER, name, f"tool {tool}", "", "allowed") for tool in _has(after.tools)]
        elif after is None:
            found.append(Change(Direction.NARROWER, name, "agent", "there", ""))
        elif before is not None:
            found += _agent(before, after)
    order = list(Direction)
    return tuple(sorted(found, key=lambda change: order.index(change.direction)))


def _has(tools: Mapping[str, Standing]) -> tuple[str, ...]:
    return tuple(tool for tool, standing in tools.items() if not standing.denied_by and not standing.dropped_by)


def _whole(old: Policy, new: Policy) -> Iterator[Change]:
    yield from _number("", "approvals.timeoutSeconds", old.approval_seconds, new.approval_seconds)
    yield from _ordered("", "approvals.passkey", ("always", "risky", "off"), old.passkey, new.passkey)
    for name in dict.fromkeys((*old.people, *new.people)):
        before, after = old.people.get(name), new.people.get(name)
        if before != after:
            narrower = after is None
            direction = Direction.NARROWER if narrower else Direction.WIDER
            yield Change(direction, "", f"operators.{name}", "" if before is None else str(before), str(after or ""))
    rows = ({(row.sender, row.receiver): row.send for row in policy.peers} for policy in (old, new))
    yield from _peers(*rows)
    yield from _plain("", "agents default", old.default_agent, new.default_agent)
    for name in dict.fromkeys((*old.providers, *new.providers)):
        yield from _plain("", f"models.providers.{name}", old.providers.get(name), new.providers.get(name))


def _peers(old: Mapping[tuple[AgentId, AgentId], str], new: Mapping[tuple[AgentId, AgentId], str]) -> Iterator[Change]:
    for pair in dict.fromkeys((*old, *new)):
        before, after = old.get(pair), new.get(pair)
        if before != after:
            narrower = after is None or after == "deny"
            direction = Direction.NARROWER if narrower else Direction.WIDER
            yield Change(direction, "", f"peers {pair[0]} to {pair[1]}", before or "", after or "")


def _agent(old: AgentPolicy, new: AgentPolicy) -> Iterator[Change]:
    had, has = set(_has(old.tools)), set(_has(new.tools))
    for tool in sorted(has - had):
        yield Change(Direction.WIDER, new.id, f"tool {tool}", _why_not(old.tools.get(tool)), "allowed")
    for tool in sorted(had - has):
        yield Change(Direction.NARROWER, new.id, f"tool {tool}", "allowed", _why_not(new.tools.get(tool)))
    yield from _exec(new.id, old.exec, new.exec)
    network = (old.sandbox.network, new.sandbox.network)
    yield from _ordered(new.id, "sandbox.network", ("none", "proxy", "unsafe_bridge"), *network)
    access = (old.sandbox.workspace_access, new.sandbox.workspace_access)
    yield from _ordered(new.id, "sandbox.workspaceAccess", ("none", "ro", "rw"), *access)
    if old.sandbox.backend is not new.sandbox.backend:
        # Between two kinds of boxes neither is tighter than the other in everything; the bare host is looser than both.
        left = old.sandbox.backend is Backend.UNSAFE_NONE
        direction = Direction.NARROWER if left else Direction.WIDER
        yield Change(direction, new.id, "sandbox.backend", old.sandbox.backend.value, new.sandbox.backend.value)
    yield from _filter(new.id, old.sandbox.docker, new.sandbox.docker)
    for part in fields(DockerPolicy):
        if part.name.startswith("seccomp"):
            continue
        made = (getattr(old.sandbox.docker, part.name), getattr(new.sandbox.docker, part.name))
        yield from _plain(new.id, f"sandbox.docker {part.name}", *made)
    yield from _plain(new.id, "sandbox.warm", str(old.sandbox.warm), str(new.sandbox.warm))
    yield from _binds(new.id, old, new)
    single = (old.sandbox.unsafe_single_uid, new.sandbox.unsafe_single_uid)
    yield from _number(new.id, "sandbox.unsafeSingleUid", *single)
    for item in fields(Limits):
        numbers = (getattr(old.sandbox.limits, item.name), getattr(new.sandbox.limits, item.name))
        yield from _number(new.id, f"sandbox.limits {item.name}", *numbers)
    for item in fields(Quota):
        yield from _number(new.id, f"quota {item.name}", getattr(old.quota, item.name), getattr(new.quota, item.name))
    yield from _egress(new.id, old.egress, new.egress)
    yield from _plain(new.id, "model", old.model, new.model)
    yield from _plain(new.id, "prompts", old.prompts, new.prompts)


def _filter(agent: str, old: DockerPolicy, new: DockerPolicy) -> Iterator[Change]:
    """A first profile only takes away; whether another one does is not looked into, and so it is called wider."""
    before, after = (f"{rules.seccomp} ({rules.seccomp_digest[:12]})" if rules.seccomp else "" for rules in (old, new))
    if before != after:
        direction = Direction.WIDER if before else Direction.NARROWER
        yield Change(direction, agent, "sandbox.docker.seccompProfile", before, after)


def _binds(agent: str, old: AgentPolicy, new: AgentPolicy) -> Iterator[Change]:
    before, after = ({(bind.path, bind.target): bind for bind in rules.layout.binds} for rules in (old, new))
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        wider = was is None or (now is not None and now.writable)
        direction = Direction.WIDER if wider else Direction.NARROWER
        yield Change(direction, agent, f"sandbox.docker.binds {key[0]}:{key[1]}", _bind(was), _bind(now))


def _bind(mount: Mount | None) -> str:
    if mount is None:
        return ""
    return "rw" if mount.writable else "ro"


def _egress(agent: str, old: EgressPolicy, new: EgressPolicy) -> Iterator[Change]:
    lists: tuple[tuple[str, bool, set[str], set[str]], ...] = (
        ("allow", True, {rule.written for rule in old.allow}, {rule.written for rule in new.allow}),
        ("deny", False, {rule.written for rule in old.deny}, {rule.written for rule in new.deny}),
        ("methods", True, set(old.methods), set(new.methods)),
        ("allowPrivate", True, _private(old), _private(new)),
    )
    for name, widens, before, after in lists:
        for value in sorted(after - before):
            yield Change(Direction.WIDER if widens else Direction.NARROWER, agent, f"egress.{name}", "", value)
        for value in sorted(before - after):
            yield Change(Direction.NARROWER if widens else Direction.WIDER, agent, f"egress.{name}", value, "")
    for name in ("max_response_bytes", "max_request_bytes", "requests_per_minute", "connections"):
        yield from _number(agent, f"egress {name}", getattr(old, name), getattr(new, name))
    yield from _plain(agent, "egress.search", old.search.template, new.search.template)


def _private(rules: EgressPolicy) -> set[str]:
    return {f"{place.host}:{place.port}" for place in rules.private}


def _why_not(standing: Standing | None) -> str:
    if standing is None:
        return "unknown"
    return f"denied by {standing.denied_by}" if standing.denied_by else f"not named by {standing.dropped_by}"


def _exec(agent: str, old: ExecPolicy, new: ExecPolicy) -> Iterator[Change]:
    if old.security is not new.security:
        direction = Direction.WIDER if new.security is ExecSecurity.ALLOWLIST else Direction.NARROWER
        yield Change(direction, agent, "exec security", old.security.value, new.security.value)
    if bool(old.broken) != bool(new.broken):
        direction = Direction.NARROWER if new.broken else Direction.WIDER
        yield Change(direction, agent, "exec approvals file", old.broken or "readable", new.broken or "readable")
    if old.ask is not new.ask:
        # Only "on-miss" to "always" and "on-miss" to "off" take something away in every case.
        narrower = old.ask is ExecAsk.ON_MISS
        direction = Direction.NARROWER if narrower else Direction.WIDER
        yield Change(direction, agent, "exec ask", old.ask.value, new.ask.value)
    before, after = _entries(old), _entries(new)
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if was is None or now is None:
            direction = Direction.WIDER if was is None else Direction.NARROWER
            yield Change(direction, agent, f"exec entry {key[0]}", _entry(was), _entry(now))
        elif _entry(was) != _entry(now):
            wider = (now.writes and not was.writes) or not set(now.needs) <= set(was.needs) or now.action != was.action
            direction = Direction.WIDER if wider else Direction.NARROWER
            yield Change(direction, agent, f"exec entry {key[0]}", _entry(was), _entry(now))


def _entries(rules: ExecPolicy) -> dict[tuple[str, str | None], ExecEntry]:
    return {(entry.pattern, entry.args): entry for entry in rules.entries}


def _entry(entry: ExecEntry | None) -> str:
    if entry is None:
        return ""
    parts = ["any arguments" if entry.args is None else f"args {entry.args}", str(entry.action)]
    parts += ["writes"] if entry.writes else []
    parts += [f"needs {' '.join(entry.needs)}"] if entry.needs else []
    return ", ".join(parts)


def _number(agent: str, subject: str, before: int, after: int) -> Iterator[Change]:
    if before != after:
        yield Change(Direction.WIDER if after > before else Direction.NARROWER, agent, subject, str(before), str(after))


def _ordered(agent: str, subject: str, order: tuple[str, ...], before: str, after: str) -> Iterator[Change]:
    if before != after:
        wider = after not in order or before not in order or order.index(after) > order.index(before)
        yield Change(Direction.WIDER if wider else Direction.NARROWER, agent, subject, before, after)


def _plain(agent: str, subject: str, before: object, after: object) -> Iterator[Change]:
    if before != after:
        yield Change(Direction.OTHER, agent, subject, "" if before is None else str(before), str(after or ""))
