"""What Bascule answers to each case about OpenClaw, one function an area; a refusal to read the input is an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import re2
from pydantic import ValidationError

from bascule.core import ids
from bascule.core.errors import Malformed
from bascule.core.patterns import path_pattern_matches
from bascule.core.policy import ExecEntry
from bascule.core.quoting import render
from bascule.policy import binds, catalog, senders, toolrules
from bascule.policy.approvals_file import read_approvals, rules_for
from bascule.policy.boxrules import BoxSource, merged
from bascule.policy.paths import PathNames, resolve_pattern
from bascule.policy.schema.reading import read_config
from bascule.policy.schema.root import Config
from bascule.policy.schema.sandbox import Docker, Sandbox, network_problem, profile_problem
from bascule.policy.schema.tools import AgentTools, ToolLists, Tools

Case = Mapping[str, Any]
REFUSED = "refused"
"""The answer when the input is not accepted at all."""


def tuples(value: Any) -> Any:
    """Lists as the policy reader makes them."""
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def config(value: Any) -> Config:
    return read_config(json.dumps(value), "c")[0]


def exec_allowlist_pattern(given: Case) -> Any:
    env = given.get("env", {})
    names = PathNames("/agent", env.get("OPENCLAW_HOME", env.get("HOME", "")))
    pattern = resolve_pattern(given["pattern"], names)
    return path_pattern_matches(pattern, given["target"], asked=given["target"])


def exec_allowlist_match(given: Case) -> Any:
    file = {"version": 1, "agents": {"main": {"allowlist": given["entries"]}}}
    approvals = read_approvals(json.dumps(file), "a")
    if approvals.broken:
        return None, None
    rules = rules_for(approvals, "main", PathNames("/agent"))
    asked = given["resolution"]["rawExecutable"]
    path = given["resolution"].get("resolvedRealPath") or given["resolution"]["resolvedPath"] or asked
    for entry in rules.entries:
        if path_pattern_matches(entry.pattern, path, asked=asked) and arguments_match(entry, given.get("argv", [])):
            index = next(at for at in range(len(given["entries"])) if f"allowlist[{at}]" in entry.where)
            return entry.written, index
    return None, None


def arguments_match(entry: ExecEntry, argv: list[str] | None) -> bool:
    if entry.args is None:
        return True
    return argv is not None and re2.fullmatch(entry.args, render(argv[1:])) is not None


def exec_approvals_file(given: Case) -> Any:
    approvals = read_approvals(json.dumps(given["file"]), "a")
    if approvals.broken:
        return REFUSED
    agent = given.get("agentId") or "main"
    rules = rules_for(approvals, agent, PathNames("/agent"))
    words = {"security": rules.security, "ask": rules.ask, "askFallback": rules.ask_fallback}
    patterns = [entry.written for entry in rules.entries]
    main = approvals.file.agents.get("main")
    ids_given = [entry.id for entry in main.allowlist] if main is not None and main.allowlist else []
    return {
        "allowlist_patterns": patterns,
        "main_patterns": patterns,
        "agents_has_default": "default" in approvals.agents,
        "agents_main_pattern0": patterns[0] if patterns else None,
        "agent.ask": rules.ask,
        "agent": words,
        "agentSources": {catalog_key(name): key for name, key in rules.sources.items()},
        "defaults": words,
        "entry1_id": ids_given[1] if len(ids_given) > 1 else None,
    }


def catalog_key(name: str) -> str:
    return "askFallback" if name == "ask_fallback" else name


def tool_name(given: Case) -> Any:
    return catalog.normalise(given["name"])


def tool_groups(given: Case) -> Any:
    return catalog.expand(given["expand"] if "expand" in given else [given["group"]])


def tool_profile(given: Case) -> Any:
    return catalog.profile_tools(given["profile"])


def tool_policy(given: Case) -> Any:
    lists = ToolLists.model_validate(tuples(given["policy"]))
    allow = None if lists.allow is None else catalog.expand(lists.allow)
    scope = toolrules.Scope("tools", allow, catalog.expand(lists.deny or ()))
    return scope.admits(catalog.normalise(given["tool"]))


def subagent_tool_policy(given: Case) -> Any:
    read = config(given["cfg"])
    shared = read.tools if read.tools is not None else Tools()
    limits = read.agents.defaults.subagents if read.agents and read.agents.defaults else None
    depth = limits.max_spawn_depth if limits and limits.max_spawn_depth else 1
    return toolrules.subagent_scope(shared, given["depth"], depth).admits(given["tool"])


def sandbox_tool_policy(given: Case) -> Any:
    read = config(given["cfg"])
    shared = read.tools if read.tools is not None else Tools()
    listed = (read.agents.list_ if read.agents else None) or ()
    own = next((agent.tools for agent in listed if agent.id == given["agentId"]), None)
    scope = toolrules.sandbox_scope(shared, own if own is not None else AgentTools(), "agents.list[]")
    return {
        "allow": list(scope.allow or ()),
        "deny": list(scope.deny),
        "read_allowed": scope.admits("read"),
        "browser_allowed": scope.admits("browser"),
        "message_allowed": scope.admits("message"),
        "source_allow": scope.allow_key,
    }


def tool_allowlist_analysis(given: Case) -> Any:
    bundles = given.get("by_plugin", {})
    report = catalog.examine_allow(given["allow"], given["core_tools"], bundles)
    return {
        "unknownAllowlist": list(report.unknown),
        "pluginOnlyAllowlist": report.servers_only,
        "allow_preserved": list(given["allow"]),
        "warning": f"unknown entries ({', '.join(report.unknown)})",
    }


def tool_ceiling(given: Case) -> Any:
    named = [tool if isinstance(tool, str) else tool["name"] for tool in given["tools"]]
    scopes = [toolrules.Scope(step["label"], catalog.expand(step["allow"])) for step in given["steps"]]
    standing = {tool: toolrules.standing(scopes, tool) for tool in named}
    unknown = catalog.examine_allow(given["steps"][0]["allow"], named, {}).unknown
    return {
        "result": [tool for tool in named if not standing[tool].denied_by and not standing[tool].dropped_by],
        "warning": f"unknown entries ({', '.join(unknown)})",
    }


def config_validation(given: Case) -> Any:
    if "scope" not in given:
        docker = {"agents": {"defaults": {"sandbox": {"docker": given["agents.defaults.sandbox.docker"]}}}}
        read = config(docker)
        made = read.agents.defaults.sandbox.docker
        return {"ok": True, "setupCommand": made.setup_command if made else None}
    lists = {"allow": given["allow"], "alsoAllow": given["alsoAllow"]}
    places = {
        "tools": {"tools": lists},
        "agents.list[].tools": {"agents": {"list": [{"id": "a", "tools": lists}]}},
        "tools.byProvider.<id>": {"tools": {"byProvider": {"p": lists}}},
        "tools.sandbox.tools": {"tools": {"sandbox": {"tools": lists}}},
        "tools.subagents.tools": {"tools": {"subagents": {"tools": lists}}},
    }
    try:
        config(places[given["scope"]])
    except Malformed as refused:
        return {"ok": False, "reason": refused.message}
    return {"ok": True}


def sandbox_bind(given: Case) -> Any:
    spots = {"{ws}": "/srv/ws", "{outside}": "/srv/outside", "{dir}": "/srv/dir", "{realHome}": "/home/real"}

    def placed(text: str) -> str:
        for mark, spot in spots.items():
            text = text.replace(mark, spot)
        return text

    env = given.get("env", {})
    links = {placed(link): placed(target) for link, target in given.get("symlinks", {}).items()}
    if "aliasHome" in env.get("HOME", ""):
        env, links = {"HOME": "/home/alias"}, {"/home/alias": "/home/real"}
    links |= {"/var/run": "/run"} if any("/var/run" in target for target in links.values()) else {}
    roots = given.get("allowedSourceRoots")
    outside = given.get("allowSourcesOutsideAllowedRoots", False)
    rules = binds.BindRules(
        tuple(env.values()),
        links,
        None if roots is None or outside else tuple(map(placed, roots)),
        reserved_targets=given.get("allowReservedContainerTargets", False),
    )
    problem = binds.bind_problem(placed(given["bind"]), rules)
    if problem is None:
        return {"blocked": False}
    return {
        "blocked": True,
        "kind": problem.kind,
        "blocked_path": problem.path,
        "blocked_path_first_match": problem.path,
    }


def sandbox_network(given: Case) -> Any:
    join = given.get("allowContainerNamespaceJoin", False)
    return {"ok": not network_problem(given["network"], allow_join=join)}


def sandbox_profile(given: Case) -> Any:
    return {"ok": not profile_problem(given.get("seccompProfile") or given.get("apparmorProfile"))}


def sandbox_bind_spec(given: Case) -> Any:
    if "normalizeHostPath" in given:
        return binds.normal(given["normalizeHostPath"])
    bind = binds.parse_bind(given["spec"])
    return bind and {"host": bind.host, "container": bind.container, "options": bind.options}


def sandbox_config_merge(given: Case) -> Any:
    shared = Sandbox.model_validate({"scope": given["scope"], "docker": given["global"]})
    own = Sandbox.model_validate({"docker": given["agent"]})
    docker = merged(BoxSource("a", shared, own, (), ())).docker
    return (docker if docker is not None else Docker()).model_dump(by_alias=True)


def sandbox_env(given: Case) -> Any:
    allowed, blocked = binds.filter_env(given["env"], strict=given.get("strictMode", False))
    return {"allowed": allowed, "blocked": list(blocked)}


def signal_target(given: Case) -> Any:
    return senders.parse_target(given["raw"])


def signal_target_id(given: Case) -> Any:
    try:
        senders.parse_target(given["raw"])
    except Malformed:
        return False
    return True


def signal_account(given: Case) -> Any:
    return senders.parse_number(given["raw"])


def signal_allow_from(given: Case) -> Any:
    try:
        return {"entries": [senders.parse_entry(part) for part in given["raw"].split(",")]}
    except Malformed:
        return {"entries": [], "error": True}


def signal_uuid(given: Case) -> Any:
    return senders.parse_uuid(given["value"]) is not None


def signal_sender(given: Case) -> Any:
    found = senders.identify(given.get("sourceNumber"), given.get("sourceUuid"))
    if found is None:
        return None
    if found.number:
        return {"kind": "phone", "raw": found.number, "e164": found.number}
    return {"kind": "uuid", "raw": found.uuid}


def signal_group_policy(given: Case) -> Any:
    sender = senders.Sender(
        given["sender"].get("e164", ""), "" if "e164" in given["sender"] else given["sender"]["raw"]
    )
    return senders.group_admits(given["groupPolicy"], sender, given["allowFrom"])


def session_key_shape(given: Case) -> Any:
    return ids.session_shape(given["key"]).value


def session_subagent_depth(given: Case) -> Any:
    return ids.subagent_depth(given["key"])


def session_is_cron(given: Case) -> Any:
    return ids.is_cron(given["key"])


def session_chat_type(given: Case) -> Any:
    return ids.chat_type(given["key"])


def agent_id_valid(given: Case) -> Any:
    try:
        ids.parse_agent_id(given["id"])
    except Malformed:
        return False
    return True


RUNNERS: dict[str, Callable[[Case], Any]] = {
    function.__name__: function
    for function in (
        exec_allowlist_pattern,
        exec_allowlist_match,
        exec_approvals_file,
        tool_name,
        tool_groups,
        tool_profile,
        tool_policy,
        subagent_tool_policy,
        sandbox_tool_policy,
        tool_allowlist_analysis,
        tool_ceiling,
        config_validation,
        sandbox_bind,
        sandbox_network,
        sandbox_profile,
        sandbox_bind_spec,
        sandbox_config_merge,
        sandbox_env,
        signal_target,
        signal_target_id,
        signal_account,
        signal_allow_from,
        signal_uuid,
        signal_sender,
        signal_group_policy,
        session_key_shape,
        session_subagent_depth,
        session_is_cron,
        session_chat_type,
        agent_id_valid,
    )
}


def answer(case: Case) -> Any:
    """Return Bascule's answer; a refused input is ``refused`` unless the area has a word for it."""
    try:
        return RUNNERS[case["area"]](case["input"])
    except (Malformed, ValidationError):
        return {"ok": False} if case["area"] == "config_validation" else REFUSED


def agrees(case: Case, got: Any) -> bool:
    """True if Bascule's answer is what OpenClaw's is."""
    expected, area = case["expected"], case["area"]
    if area == "exec_allowlist_match":
        pattern, index = got
        return (
            pattern == expected["matched_pattern"]
            if "matched_pattern" in expected
            else index == expected["matched_entry_index"]
        )
    if got == REFUSED:
        return expected is False and area in {"tool_policy", "subagent_tool_policy"}
    if area in {"tool_groups", "tool_profile"} and got is not None:
        if isinstance(expected, dict):
            return set(expected["contains"]) <= set(got) and not set(expected["not_contains"]) & set(got)
        return expected is not None and set(got) == set(expected)
    if not isinstance(expected, dict) or not isinstance(got, dict):
        return bool(got == expected)
    return all(_field(name, wanted, got) for name, wanted in expected.items())


def _field(name: str, wanted: Any, got: Mapping[str, Any]) -> bool:
    if name == "allow_contains":
        return set(wanted) <= set(got["allow"])
    if name == "deny_not_contains":
        return not set(wanted) & set(got["deny"])
    if name == "reason_contains":
        return wanted in got["reason"]
    if name == "warning_contains":
        return wanted in got["warning"]
    if name == "error":
        return "error" in got
    if isinstance(wanted, dict) and isinstance(got.get(name), dict) and name in {"agent", "defaults"}:
        return all(got[name].get(key) == value for key, value in wanted.items())
    return name in got and bool(got[name] == wanted)
