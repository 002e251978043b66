"""From two files to one frozen policy.

Stops: a judge finding an absent key at run time. Every absence becomes its strictest meaning here, once; what is read
but not acted on, or reaches further than it seems, becomes a finding. Does not stop a policy that says exactly what it
should not; its own examples are for that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from types import MappingProxyType

from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.ids import AgentId
from bascule.core.paths import Layout
from bascule.core.policy import AgentPolicy, ModelProvider, Operator, Policy, Quota
from bascule.policy.approvals_file import Approvals, read_approvals, rules_for
from bascule.policy.boxrules import BoxSource, bind_lines, is_sandboxed, merged, sandbox_policy, workspace_root
from bascule.policy.callrules import profile_of, unheeded_profile
from bascule.policy.egressplaces import own_places, refuse_own_places, unknown_agents
from bascule.policy.egressrules import EgressSource, egress_policy
from bascule.policy.execrules import Source, exec_policy
from bascule.policy.inventory import config_findings, tool_findings
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.lending import agent_binds, shared_binds
from bascule.policy.paths import PathNames
from bascule.policy.peers import peer_rows
from bascule.policy.places import Places
from bascule.policy.schema import ours
from bascule.policy.schema.agents import Defaults, Entry, ModelChoice
from bascule.policy.schema.reading import read_config
from bascule.policy.schema.root import Config
from bascule.policy.schema.sandbox import Sandbox
from bascule.policy.schema.tools import AgentTools, Exec, Tools
from bascule.policy.senders import parse_entry
from bascule.policy.signalrules import signal_policy
from bascule.policy.toolrules import AgentScopes, Bundles
from bascule.policy.webrules import http_policy

DEFAULT_PROMPTS = ("AGENTS.md",)
"""Prompt files of an agent that names none, below ``prompts/<id>/``."""

_KINDS = {"anthropic": "anthropic", "openai": "openai", "script": "script", "local": "local"}
_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}


def policy_version(untrusted_config: bytes, untrusted_approvals: bytes | None) -> str:
    """Return the digest of both files' bytes, hex SHA-256; a missing file differs from an empty one."""
    total = hashlib.sha256(b"bascule-policy-1\0")
    for content in (untrusted_config, untrusted_approvals):
        total.update(b"-" if content is None else b"+" + hashlib.sha256(content).digest())
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class _Given:
    """Everything one agent is compiled from."""

    config: Config
    document: Document
    approvals: Approvals
    places: Places
    bundles: Bundles


def compile_policy(
    untrusted_config: bytes, untrusted_approvals: bytes | None, places: Places
) -> tuple[Policy, tuple[Finding, ...]]:
    """Return the policy and what an operator should know about it, most urgent first.

    Args:
        untrusted_config: content of ``bascule.json5``.
        untrusted_approvals: content of ``exec-approvals.json``; None if there is none, and then nothing is listed.
        places: the home and its surroundings.

    Raises:
        Malformed: ``policy_syntax``, ``policy_schema`` or ``policy_secret``. A broken approvals file raises nothing:
            it denies every program and says why.
    """
    version = policy_version(untrusted_config, untrusted_approvals)
    config, document = read_config(untrusted_config, places.config_name)
    approvals = read_approvals(untrusted_approvals, places.approvals_name)
    del untrusted_config, untrusted_approvals
    given = _Given(config, document, approvals, places, _bundles(config))
    findings = [*config_findings(config, document, places), *_approvals_findings(given)]
    agents: dict[AgentId, AgentPolicy] = {}
    for agent, entry, path in agents_of(config, document):
        agents[agent], found = _agent(agent, entry, path, given)
        findings += found
    peers = peer_rows(config, document, agents)
    findings += shared_binds(agents, peers)
    people = {name: _person(name, person, document) for name, person in (config.operators or {}).items()}
    approval_seconds = config.approvals.timeout_seconds if config.approvals else None
    passkey = config.approvals.passkey if config.approvals else None
    answering = _default_agent(config, agents)
    signal, signal_findings = signal_policy(config, document, people, agents, answering)
    findings += signal_findings
    http, http_findings = http_policy(config, document)
    findings += http_findings
    refuse_own_places(config.egress, own_places(http, signal), document)
    findings += unknown_agents(config.egress, agents)
    policy = Policy(
        version,
        MappingProxyType(agents),
        answering,
        1800 if approval_seconds is None else approval_seconds,
        MappingProxyType(_providers(config, document, agents)),
        tuple(name for name, person in people.items() if person.approves),
        model_name(config.models.default if config.models else None),
        MappingProxyType(people),
        http=http,
        signal=signal,
        passkey="off" if passkey is None else passkey,
        peers=peers,
    )
    unique = dict.fromkeys(findings)
    return policy, tuple(sorted(unique, key=lambda finding: (-finding.severity, finding.check, finding.detail)))


def agents_of(config: Config, document: Document) -> tuple[tuple[AgentId, Entry, Path], ...]:
    """Return every agent with its section and where it stands.

    Raises:
        Malformed: ``policy_schema``, there is none.
    """
    found: list[tuple[AgentId, Entry, Path]] = []
    if config.agents is not None:
        for index, listed in enumerate(config.agents.list_ or ()):
            found.append((AgentId(listed.id), listed, ("agents", "list", index)))
        for name, entry in (config.agents.entries or {}).items():
            found.append((AgentId(name), entry, ("agents", "entries", name)))
    if not found:
        raise Malformed("policy_schema", f"{document.where(('agents',))}: there is no agent", "add one to agents.list")
    return tuple(found)


def _agent(agent: AgentId, entry: Entry, path: Path, given: _Given) -> tuple[AgentPolicy, tuple[Finding, ...]]:
    config, places = given.config, given.places
    defaults = config.agents.defaults if config.agents and config.agents.defaults else Defaults()
    shared = config.tools if config.tools is not None else Tools()
    own = entry.tools if entry.tools is not None else AgentTools()
    box = BoxSource(
        agent,
        defaults.sandbox if defaults.sandbox is not None else Sandbox(),
        entry.sandbox if entry.sandbox is not None else Sandbox(),
        ("agents", "defaults", "sandbox"),
        (*path, "sandbox"),
    )
    model = _model_of(entry, defaults, config)
    provider, _, _ = model.partition(":")
    scopes = AgentScopes(
        dotted(path), shared, own, provider.lower(), model.replace(":", "/", 1).lower(), is_sandboxed(merged(box)),
        given.bundles,
    )  # fmt: skip
    tools = scopes.standings()
    root = places.agent_root(agent)
    rules = rules_for(given.approvals, agent, PathNames(root, places.user_home, places.links))
    sources = (Source("tools.exec", shared.exec_), Source(f"{dotted(path)}.tools.exec", own.exec_))
    exec_rules, exec_findings = exec_policy(agent, sources, rules, given.approvals)
    sandbox, box_findings = sandbox_policy(box, _timeouts(shared.exec_, own.exec_), given.document)
    profile = profile_of(merged(box), given.document, (box.own_path, box.shared_path), places)
    sandbox = replace(sandbox, docker=replace(sandbox.docker, seccomp=profile))
    binds, bind_findings = agent_binds(agent, bind_lines(box), given.document, places)
    egress, egress_findings = egress_policy(EgressSource(agent, config.egress, sandbox.network), given.document)
    if sandbox.network == "bridge":
        sandbox = replace(sandbox, network="proxy")
    prompts = entry.prompts if entry.prompts is not None else defaults.prompts
    compiled = AgentPolicy(
        agent,
        entry.name if entry.name is not None else agent,
        model,
        MappingProxyType(tools),
        exec_rules,
        sandbox,
        _quota((config.quota, defaults.quota, entry.quota)),
        Layout(places.home, root, places.protected, binds),
        _prompts(agent, DEFAULT_PROMPTS if prompts is None else prompts, path, given),
        (f"{root}/MEMORY.md",),
        dotted(path),
        egress,
    )
    found = (
        *exec_findings,
        *box_findings,
        *unheeded_profile(sandbox, agent),
        *bind_findings,
        *workspace_root(merged(box), agent, root),
        *egress_findings,
        *tool_findings(compiled, shared, own, given.bundles, places),
    )
    return compiled, found


def _timeouts(*sections: Exec | None) -> tuple[int, ...]:
    said = [number for section in sections if section for number in (section.timeout_sec, section.timeout_seconds)]
    return tuple(number for number in said if number is not None)


def _quota(sections: tuple[ours.Quota | None, ...]) -> Quota:
    """The smallest number said in any scope; the built-in one where nobody says any."""
    said = [section for section in sections if section is not None]
    base = Quota()
    minute = [quota.calls_per_minute for quota in said if quota.calls_per_minute is not None]
    day = [quota.calls_per_day for quota in said if quota.calls_per_day is not None]
    pending = [quota.pending_approvals for quota in said if quota.pending_approvals is not None]
    return Quota(
        min(minute, default=base.calls_per_minute),
        min(day, default=base.calls_per_day),
        min(pending, default=base.pending_approvals),
    )


def _prompts(agent: str, names: tuple[str, ...], path: Path, given: _Given) -> tuple[str, ...]:
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            where = given.document.where((*path, "prompts"))
            raise Malformed("policy_schema", f"{where}: the prompt file {name[:80]!r} must lie in prompts/{agent}/")
    return tuple(f"{given.places.prompt_root(agent)}/{name}" for name in names)


def model_name(model: str | None) -> str:
    """Return ``provider:model`` for OpenClaw's ``provider/model``; empty if none is named."""
    if model is None:
        return ""
    provider, slash, name = model.partition("/")
    return f"{provider}:{name}" if slash and ":" not in provider else model


def _model_of(entry: Entry, defaults: Defaults, config: Config) -> str:
    for choice in (entry.model, defaults.model, config.models.default if config.models else None):
        name = choice.primary if isinstance(choice, ModelChoice) else choice
        if name is not None:
            return model_name(name)
    return ""


def _providers(config: Config, document: Document, agents: dict[AgentId, AgentPolicy]) -> dict[str, ModelProvider]:
    found: dict[str, ModelProvider] = {}
    sections = (config.models.providers if config.models else None) or {}
    for name, section in sections.items():
        kind = section.kind if section.kind is not None else _KINDS.get(name)
        if kind is None:
            where = document.where(("models", "providers", name))
            known = ", ".join(sorted(set(_KINDS.values())))
            raise Malformed("policy_schema", f"{where}: models.providers.{name}: kind is needed", f"one of {known}")
        key = section.key_env if section.key_env is not None else _KEYS.get(kind, "")
        found[name] = ModelProvider(name, kind, section.base_url if section.base_url is not None else "", key)
    for agent in agents.values():
        name, colon, _ = agent.model.partition(":")
        if colon and name not in found and name in _KINDS:
            found[name] = ModelProvider(name, _KINDS[name], "", _KEYS.get(name, ""))
    return found


def _person(name: str, person: ours.Operator, document: Document) -> Operator:
    try:
        signal = tuple(parse_entry(entry) for entry in person.signal or ())
    except Malformed as refused:
        where = document.where(("operators", name, "signal"))
        raise Malformed("policy_schema", f"{where}: operators.{name}.signal: {refused.message}") from None
    if "*" in signal:
        where = document.where(("operators", name, "signal"))
        raise Malformed("policy_schema", f"{where}: operators.{name}.signal: an operator is a person, not everybody")
    return Operator(name, tuple(person.users or ()), signal, bool(person.chats), bool(person.approves))


def _default_agent(config: Config, agents: dict[AgentId, AgentPolicy]) -> AgentId:
    entries: list[tuple[str, Entry]] = []
    if config.agents is not None:
        entries += [(listed.id, listed) for listed in config.agents.list_ or ()]
        entries += list((config.agents.entries or {}).items())
    marked = [AgentId(name) for name, entry in entries if entry.default]
    return (*marked, *(agent for agent in agents if agent == "main"), *agents)[0]


def _bundles(config: Config) -> dict[str, tuple[str, ...]]:
    servers = (config.mcp.servers if config.mcp else None) or {}
    return {
        name.strip().lower(): tuple(f"{name}__{tool}".strip().lower() for tool in server.tools or {})
        for name, server in servers.items()
    }


def _approvals_findings(given: _Given) -> list[Finding]:
    approvals = given.approvals
    if approvals.broken:
        detail = f"{approvals.broken}; no agent may run programs"
        return [Finding("approvals.broken", Severity.CRITICAL, detail, "correct the file")]
    if approvals.file is None:
        detail = f"there is no {approvals.name}: no program is listed"
        return [Finding("approvals.missing", Severity.INFO, detail, "write one, or leave it so")]
    known = {agent for agent, _, _ in agents_of(given.config, given.document)}
    return [
        Finding(
            "approvals.agent_unknown",
            Severity.WARN,
            f"{approvals.name} has rules for {agent}, and there is no such agent",
            "compare its name with agents in the configuration",
        )
        for agent in approvals.agents
        if agent != "*" and agent not in known
    ]
