"""Why an agent has a tool or not, and which key would change it.

Stops: an operator loosening the wrong line because nobody says which one counts.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

from bascule.core.policy import RAW_BRIDGE, AgentPolicy, ExecSecurity
from bascule.policy.catalog import LATER_NAMES, normalise


@dataclass(frozen=True, slots=True)
class Explanation:
    """One tool of one agent.

    Attributes:
        agent: whose.
        tool: canonical name.
        present: policy gives the agent the tool.
        built: this version carries it out.
        reason: one line: why it is there or not.
        keys: every key that says no, in the order in which scopes are asked; empty if it is present.
        remedy: one line: what would change it; empty if it is present and built.
    """

    agent: str
    tool: str
    present: bool
    built: bool
    reason: str
    keys: tuple[str, ...]
    remedy: str


def explain_tool(agent: AgentPolicy, untrusted_tool: str, built: Collection[str]) -> Explanation:
    """Explain one tool; total, so an unknown name is explained too.

    Args:
        agent: its compiled policy.
        untrusted_tool: the name as somebody typed it; aliases count.
        built: tools this version carries out.
    """
    tool = normalise(untrusted_tool)
    del untrusted_tool
    standing = agent.tools.get(tool)
    if standing is None:
        near = difflib.get_close_matches(tool, list(agent.tools), n=1)
        remedy = f"did you mean {near[0]}?" if near else "bascule agents show lists the tools there are"
        return _explained(agent, tool[:64], "", f"there is no tool {tool[:64]!r}", remedy)
    keys = tuple(key for key in (standing.denied_by, standing.dropped_by) if key)
    if keys:
        keys = standing.removed_by or keys
        reason, remedy = _missing(tool, keys)
        return Explanation(agent.id, tool, present=False, built=tool in built, reason=reason, keys=keys, remedy=remedy)
    if tool not in built:
        reason = "policy allows it, and this version does not carry it out; calls are denied"
        return _explained(agent, tool, "present", reason, "use another tool")
    extra = _exec_note(agent) if tool == "exec" else ""
    return _explained(agent, tool, "present built", f"every scope allows it{extra}", "")


def _explained(agent: AgentPolicy, tool: str, states: str, reason: str, remedy: str) -> Explanation:
    present, built = "present" in states, "built" in states
    return Explanation(agent.id, tool, present=present, built=built, reason=reason, keys=(), remedy=remedy)


def explain_agent(agent: AgentPolicy, built: Collection[str]) -> tuple[Explanation, ...]:
    """Explain every tool an agent could have, those it has first; names nobody speaks of are left out."""
    found = [
        explain_tool(agent, tool, built)
        for tool, standing in agent.tools.items()
        if tool in built or tool not in LATER_NAMES or standing.denied_by
    ]
    return tuple(sorted(found, key=lambda one: (not one.present, not one.built)))


def explain_network(agent: AgentPolicy) -> tuple[str, ...]:
    """Return what an agent reaches, one line each, with the key that changes it."""
    egress, network = agent.egress, agent.sandbox.network
    lines = [f"network: {network}, by sandbox.network or sandbox.docker.network"]
    if network == "none":
        return tuple(lines)
    if network == RAW_BRIDGE:
        lines.append("programs: NO HOST RULES, every public address, past the proxy and all records")
        lines.append("tools: web_fetch and web_search go through the gateway and keep to what follows")
    allowed = [rule.written for rule in egress.allow]
    lines.append(f"reaches: {', '.join(allowed) or 'no public host'}, by {egress.where}.allow")
    lines += [f"never: {rule.written}, by {egress.where}.deny" for rule in egress.deny]
    lines += [f"private: {one.host} port {one.port}, by {egress.where}.allowPrivate" for one in egress.private]
    methods = ", ".join(sorted(egress.methods)) or "none"
    lines.append(f"methods: {methods}, where they can be seen: not inside HTTPS of a program of its own")
    lines.append(f"at most: {egress.requests_per_minute} requests a minute, {egress.connections} at once")
    return tuple(lines)


def scope_of(key: str) -> str:
    """Return which scope a key that says no belongs to, in one or two words."""
    scopes = (
        (".profile" in key or key.endswith(".alsoAllow"), "profile"),
        (".subagents." in key or key.startswith("subagents."), "spawned sessions"),
        (".byProvider." in key, "model provider"),
        (key.startswith("tools."), "global"),
        (key.startswith("agents."), "agent"),
    )
    if "sandbox.tools" in key:
        return "sandbox ceiling"
    return next((name for holds, name in scopes if holds), "parent")


def _missing(tool: str, keys: tuple[str, ...]) -> tuple[str, str]:
    """Return why a tool is missing and what would give it, every key named."""
    reasons, remedies = [], []
    for key in keys:
        if key.endswith(".deny"):
            reasons.append(f"{key} denies it")
            remedies.append(f"take {tool} out of {key}, for deny wins everywhere")
        elif key.endswith(".profile"):
            reasons.append(f"the profile in {key} does not hold it")
            remedies.append(f"add {tool} to {key.removesuffix('.profile')}.alsoAllow")
        else:
            reasons.append(f"{key} does not name it")
            remedies.append(f"add {tool} to {key}")
    return "; ".join(reasons), "; ".join(remedies)


def _exec_note(agent: AgentPolicy) -> str:
    if agent.exec.broken:
        return f"; but no program runs: {agent.exec.broken}"
    if agent.exec.security is ExecSecurity.DENY:
        return f"; but {agent.exec.where} switches programs off"
    return f"; {len(agent.exec.entries)} entries in {agent.exec.where}, ask {agent.exec.ask}"
