"""Small policies for tests, compiled from text as real ones are."""

from __future__ import annotations

import json
from typing import Any

from bascule.core.finding import Finding
from bascule.core.policy import AgentPolicy, Policy
from bascule.policy.compile import compile_policy
from bascule.policy.places import Places

PLACES = Places("/h", "/home/me", {"/bin": "/usr/bin", "/usr/bin/sh": "/usr/bin/dash"}, built_tools=frozenset({"read"}))


def compiled(config: Any, approvals: Any = None, places: Places = PLACES) -> tuple[Policy, tuple[Finding, ...]]:
    """Compile values; None for the approvals file means there is none."""
    text = config if isinstance(config, str) else json.dumps(config)
    filed = approvals if isinstance(approvals, str | None) else json.dumps(approvals)
    return compile_policy(text.encode(), None if filed is None else filed.encode(), places)


def one(tools: Any = None, approvals: Any = None, shared: Any = None, **agent: Any) -> AgentPolicy:
    """Compile one agent called ``a``."""
    entry = {"id": "a", **agent} | ({"tools": tools} if tools is not None else {})
    config = {"agents": {"list": [entry]}} | ({"tools": shared} if shared is not None else {})
    policy, _ = compiled(config, approvals)
    return next(iter(policy.agents.values()))


def checks(config: Any, approvals: Any = None) -> set[str]:
    """Return the checks that found something."""
    return {finding.check for finding in compiled(config, approvals)[1]}


def tools_of(agent: AgentPolicy) -> set[str]:
    """Return the tools an agent has."""
    return {name for name, found in agent.tools.items() if not found.denied_by and not found.dropped_by}
