"""Other policy engines, given the same seventy rules, if they are installed. None is a dependency of this project.

Each function returns something that takes ``(agent, tool)`` and says whether the agent has the tool, with everything
prepared beforehand that the engine lets one prepare: the fastest honest use of it that we found.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.workload import AGENTS, allowed, denied, has

Says = Callable[[tuple[str, str]], bool]

_CASBIN = """
[request_definition]
r = sub, obj
[policy_definition]
p = sub, obj, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.sub == p.sub && r.obj == p.obj
"""


def floor() -> Says:
    """A set of tools for each agent: what the question costs with nothing around it."""
    sets = {agent: frozenset(tool for tool in allowed(agent) if has(agent, tool)) for agent in AGENTS}
    return lambda pair: pair[1] in sets[pair[0]]


def casbin_fast() -> Says:
    """Casbin's enforcer with an index over agents and tools."""
    casbin: Any = importlib.import_module("casbin")
    rules = [(agent, tool, "allow") for agent in AGENTS for tool in allowed(agent)]
    rules += [(agent, tool, "deny") for agent in AGENTS for tool in denied(agent)]
    with tempfile.TemporaryDirectory() as folder:
        model, lines = Path(folder, "model.conf"), Path(folder, "policy.csv")
        model.write_text(_CASBIN, "utf-8")
        lines.write_text("".join(f"p, {', '.join(rule)}\n" for rule in rules), "utf-8")
        enforcer = casbin.FastEnforcer(str(model), str(lines), cache_key_order=[0, 1])
    return lambda pair: bool(enforcer.enforce(*pair))


def cedar() -> Says:
    """Cedar through cedarpy, policies and entities parsed beforehand."""
    cedarpy: Any = importlib.import_module("cedarpy")
    line = '{}(principal == Agent::"{}", action == Action::"call", resource == Tool::"{}");'
    text = [line.format("permit", agent, tool) for agent in AGENTS for tool in allowed(agent)]
    text += [line.format("forbid", agent, tool) for agent in AGENTS for tool in denied(agent)]
    policies = cedarpy.PolicySet.from_str("\n".join(text))
    entities = cedarpy.Entities.from_json_str("[]")

    def says(pair: tuple[str, str]) -> bool:
        request = {"principal": f'Agent::"{pair[0]}"', "action": 'Action::"call"', "resource": f'Tool::"{pair[1]}"'}
        return bool(cedarpy.is_authorized(request, policies, entities).allowed)

    return says


def governance_toolkit() -> Says:
    """Microsoft's Agent Governance Toolkit, one policy an agent, deny before allow."""
    module: Any = importlib.import_module("agentmesh.governance.policy")
    engine = module.PolicyEngine()
    for agent in AGENTS:
        rules = [_toolkit_rule(module, tool, "deny", 10) for tool in denied(agent)]
        rules += [_toolkit_rule(module, tool, "allow", 1) for tool in allowed(agent)]
        engine.load_policy(module.Policy(name=agent, agents=[agent], rules=rules, default_action="deny"))
    return lambda pair: bool(engine.evaluate(pair[0], {"tool": pair[1]}).allowed)


def _toolkit_rule(module: Any, tool: str, action: str, priority: int) -> Any:
    name, condition = f"{action}-{tool}", f"tool == '{tool}'"
    return module.PolicyRule(name=name, condition=condition, action=action, priority=priority)


ENGINES: tuple[tuple[str, Callable[[], Says]], ...] = (
    ("set lookup (floor)", floor),
    ("casbin FastEnforcer", casbin_fast),
    ("Cedar (cedarpy, parsed beforehand)", cedar),
    ("Agent Governance Toolkit", governance_toolkit),
)
