"""What is judged: five agents, twenty tools, sixty allowing and ten denying rules, compiled from text as any policy is.

One truth table for everybody: an agent has a tool if an allow list names it and no deny list does. Every engine is held
to it before it is timed. Paths are made up; nothing here touches a disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bascule.core.call import Call, Intent, Proposal, seal
from bascule.core.facts import Facts
from bascule.core.ids import AgentId, main_session
from bascule.core.label import OPERATOR
from bascule.core.paths import Layout
from bascule.core.plan import Plan, Program, ProgramKind
from bascule.core.policy import AgentPolicy, Policy
from bascule.core.toolspec import ToolSpec
from bascule.core.verdict import Effect
from bascule.policy.compile import compile_policy
from bascule.policy.places import Places
from bascule.shell.command import read_command
from bascule.shell.expand import with_programs
from bascule.tools.exec.spec import SPEC as EXEC
from bascule.tools.exec.spec import paths_of
from bascule.tools.named.spec import SPECS as NAMED
from bascule.tools.read.spec import SPEC as READ
from bascule.tools.read.spec import intend

AGENTS = ("main", "rex", "guru", "manager", "web")

TOOLS = (
    "read", "exec", "memory_search", "memory_get", "sessions_send", "sessions_list", "sessions_history",
    "sessions_spawn", "session_status", "subagents", "message", "cron", "image", "apply_patch", "canvas",
    "browser", "process", "gateway", "nodes", "agents_list",
)  # fmt: skip

ALLOWED, DENIED = 12, 2
"""Rules of each kind an agent has: 5 x 12 + 5 x 2 = 70."""

LISTED = ("ls", "cat", "head", "tail", "find", "wc", "du", "uname", "whoami", "sort", "uniq", "cut", "tr", "grep")
"""Programs on every agent's exec allowlist: 5 x 14 = 70 entries, the one that is called last."""

COMMAND = "grep -n 'needle in hay' memory/2026-11-22.md | head -n 5"

NOW = 1_800_000_000.0

FACTS = Facts(NOW)
"""Everything in force, nobody contained, no quota spent."""


def allowed(agent: str) -> tuple[str, ...]:
    """Return the tools an agent's allow list names; each agent's begins elsewhere in the list of tools."""
    start = AGENTS.index(agent) * 2
    return tuple(TOOLS[(start + each) % len(TOOLS)] for each in range(ALLOWED))


def denied(agent: str) -> tuple[str, ...]:
    """Return the tools an agent's deny list names: one that it would have, one that it would not."""
    names = allowed(agent)
    return (names[-1], next(tool for tool in TOOLS if tool not in names))


def has(agent: str, tool: str) -> bool:
    """Return the truth that every engine must tell."""
    return tool in allowed(agent) and tool not in denied(agent)


PAIRS = tuple((agent, tool) for agent in AGENTS for tool in TOOLS)


def policy() -> Policy:
    """Return the compiled policy."""
    listed = [
        {"id": agent, "tools": {"allow": list(allowed(agent)), "deny": list(denied(agent))}, "sandbox": {"mode": "off"}}
        for agent in AGENTS
    ]
    config = {"agents": {"list": listed}, "tools": {"exec": {"security": "allowlist", "ask": "on-miss"}}}
    entries = [{"pattern": f"/usr/bin/{name}"} for name in LISTED]
    approvals = {
        "version": 1,
        "defaults": {"security": "allowlist", "ask": "on-miss", "askFallback": "deny"},
        "agents": {agent: {"allowlist": entries} for agent in AGENTS},
    }
    places = Places("/srv/bots", "/home/operator", {"/bin": "/usr/bin"}, built_tools=frozenset({"read", "exec"}))
    return compile_policy(json.dumps(config).encode(), json.dumps(approvals).encode(), places)[0]


def plan(command: str = COMMAND) -> Plan:
    """Return a parsed command with its programs found."""
    parsed = read_command(command)
    found = [
        Program(words.argv[0], f"/usr/bin/{words.argv[0]}", ProgramKind.NATIVE, "a" * 64) for words in parsed.commands
    ]
    return with_programs(parsed, found)


def call(rules: AgentPolicy, tool: str, specs: Mapping[str, ToolSpec]) -> Call:
    """Return a parsed call of a tool: a file for ``read``, a pipeline of two programs for ``exec``."""
    if tool == "read":
        return sealed(rules.id, READ, {"path": "memory/2026-11-22.md"}, rules.layout)
    if tool == "exec":
        return sealed(rules.id, EXEC, {"command": COMMAND}, rules.layout)
    return sealed(rules.id, specs[tool], {}, rules.layout)


def sealed(agent: AgentId, spec: ToolSpec, args: dict[str, str], layout: Layout) -> Call:
    """Return the call that a proposal with these arguments becomes."""
    intent = Intent()
    if spec is READ:
        intent = intend(args, layout)
    elif spec is EXEC:
        intent = paths_of(plan(args["command"]), layout)
    asked = Proposal(agent, main_session(agent), spec.name, json.dumps(args), OPERATOR)
    return seal(asked, spec, args, intent, {})


def cases() -> tuple[tuple[Call, AgentPolicy, Effect], ...]:
    """Return every agent with every tool: the call, the rules, and the effect the truth table gives."""
    rules = policy()
    named = {spec.name: spec for spec in NAMED}
    built = []
    for agent, tool in PAIRS:
        own = rules.agents[AgentId(agent)]
        built.append((call(own, tool, named), own, Effect.ALLOW if has(agent, tool) else Effect.DENY))
    return tuple(built)


def an_exec_call() -> tuple[Call, AgentPolicy]:
    """Return the pipeline, called by an agent that may."""
    own = policy().agents[AgentId("main")]
    return sealed(own.id, EXEC, {"command": COMMAND}, own.layout), own
