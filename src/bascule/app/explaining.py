"""What an operator is told of an agent's box and of every tool it has not got: read, never tried out.

Stops: a missing tool or a surprising box without the key that is behind it. Works on the policy a gateway runs with, or
on the files when none runs; starts nothing, so it says what is wanted. What is in force, a probe says.
"""

from __future__ import annotations

from pathlib import Path

from bascule.core.canonical import Json
from bascule.core.confinement import Limits
from bascule.core.errors import Malformed, Unavailable
from bascule.core.ids import AgentId, parse_agent_id
from bascule.core.policy import AgentPolicy, Backend
from bascule.host.policy_files import Loaded, load
from bascule.policy.boxexplain import BoxMount, Fact, Keys, box_mounts, explain_box
from bascule.policy.explain import Explanation, explain_agent, scope_of
from bascule.policy.json5 import read
from bascule.policy.places import CONFIG_NAME
from bascule.sandboxes.docker import record
from bascule.service.boxshapes import ExplainBody, FactRow, KeyRow, MountRow, ToolRow

_ACCESS = {
    "ro": "read-only",
    "rw": "writable",
    "run": "read-only, may be run",
    "host": "of programs: read and run, written where an entry says writes, all as far as their account may",
}


def explain_files(home: Path, untrusted_agent: str, built: frozenset[str]) -> ExplainBody:
    """Explain an agent of a home in which no gateway runs.

    Args:
        home: absolute path.
        untrusted_agent: its name, as somebody typed it.
        built: tools this version carries out.

    Raises:
        BasculeError: the files cannot be used, or there is no such agent.
    """
    loaded = load(home, built)
    agent = parse_agent_id(untrusted_agent)
    del untrusted_agent
    if agent not in loaded.policy.agents:
        raise Malformed("agent_unknown", f"there is no agent {agent}", "see: bascule agents list")
    return explain(loaded, agent)


def explain(loaded: Loaded, agent: AgentId) -> ExplainBody:
    """Explain an agent of a policy.

    Args:
        loaded: the policy, with its files and the tools this version carries out.
        agent: one of its agents.
    """
    rules, document = loaded.policy.agents[agent], read(loaded.config, CONFIG_NAME)
    keys = Keys(document)
    facts = explain_box(rules, document, _image(Path(rules.layout.home), rules))
    mounts = box_mounts(rules)
    tools = [_tool(found, keys) for found in explain_agent(rules, loaded.places.built_tools)]
    return ExplainBody(
        agent=rules.id,
        backend=rules.sandbox.backend.value,
        network=rules.sandbox.network,
        workspace_access=rules.sandbox.workspace_access,
        mounts=[MountRow(source=place.source, target=place.target, access=place.access) for place in mounts],
        limits=limits(rules.sandbox.limits),
        facts=[FactRow(id=fact.subject, value=fact.value, key=fact.key, where=fact.where) for fact in facts],
        tools=tools,
        lines=[*map(_line, facts), *map(_mount, mounts), *(_missing(row) for row in tools if row["state"] != "given")],
    )


def with_shared_account(found: ExplainBody) -> ExplainBody:
    """Return the same, headed by what a home says in which every agent acts under the gateway's own account."""
    value = "NO ACCOUNT ISOLATION: the boxes run under the gateway's own account"
    fact = FactRow(id="account", value=value, key="sandbox.unsafeSingleUid", where="")
    return ExplainBody(**{**found, "facts": [fact, *found["facts"]], "lines": [value, *found["lines"]]})


def limits(value: Limits) -> dict[str, Json]:
    """Limits by name, with their units."""
    return {
        "memoryBytes": value.memory_bytes,
        "pids": value.pids,
        "cpuSeconds": value.cpu_seconds,
        "wallSeconds": value.wall_seconds,
        "outputBytes": value.output_bytes,
        "fileBytes": value.file_bytes,
    }


def _image(home: Path, rules: AgentPolicy) -> str:
    """Return the id the home's record has for the agent's image; empty if it has none, or cannot be read."""
    if rules.sandbox.backend is not Backend.DOCKER:
        return ""
    try:
        found = record.read((home / record.FILE).read_text("utf-8")).get(rules.sandbox.docker.image)
    except (OSError, UnicodeDecodeError, Malformed, Unavailable):
        return ""
    return "" if found is None else found.id


def _tool(found: Explanation, keys: Keys) -> ToolRow:
    state = "missing" if not found.present else ("given" if found.built else "not built")
    removed = [KeyRow(scope=scope_of(key), key=key, where=keys.where(key)) for key in found.keys]
    return ToolRow(id=found.tool, state=state, reason=found.reason, keys=removed, remedy=found.remedy)


def _line(fact: Fact) -> str:
    said = f"{fact.subject}: {fact.value}"
    if not fact.key:
        return said
    return f"{said}; by {fact.key} ({fact.where})" if fact.where else f"{said}; built in, {fact.key} changes it"


def _mount(place: BoxMount) -> str:
    return f"in it: {place.target}, {_ACCESS[place.access]}, " + (place.source or "its own, empty at every call")


def _missing(row: ToolRow) -> str:
    return f"no {row['id']}: {row['reason']}"
