"""Laws of the policy room, over generated policies: nothing a scope adds lets more through."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bascule.core.errors import Malformed
from bascule.core.policy import ExecSecurity, Standing
from bascule.policy.approvals_file import read_approvals, rules_for
from bascule.policy.catalog import TOOLS
from bascule.policy.compile import compile_policy
from bascule.policy.execrules import Source, exec_policy
from bascule.policy.json5 import read
from bascule.policy.paths import PathNames
from bascule.policy.places import Places
from bascule.policy.schema.reading import read_config
from bascule.policy.schema.tools import Exec
from bascule.policy.toolrules import under

ENTRIES = st.sampled_from(
    ["read", "write", "exec", "bash", "group:fs", "group:web", "group:sessions", "group:openclaw", "*", "web_*", "mem*"]
)
LISTS = st.lists(ENTRIES, max_size=4)
SCOPE = st.fixed_dictionaries({}, optional={"allow": LISTS, "deny": LISTS})
PROFILE = st.fixed_dictionaries({}, optional={"profile": st.sampled_from(["minimal", "coding", "messaging", "full"])})
PLACES = Places("/h", "/home/me", {"/bin": "/usr/bin"})


def lists(draw: Any) -> dict[str, Any]:
    return {**draw(SCOPE), **draw(PROFILE)}


@st.composite
def configs(draw: Any) -> dict[str, Any]:
    shared, own = lists(draw), lists(draw)
    if draw(st.booleans()):
        shared["byProvider"] = {"p": draw(SCOPE)}
    if draw(st.booleans()):
        own["byProvider"] = {"p/m": draw(SCOPE)}
    if draw(st.booleans()):
        shared["sandbox"] = {"tools": draw(SCOPE)}
    mode = draw(st.sampled_from(["off", "all", "non-main"]))
    agent = {"id": "a", "model": "p/m", "tools": own, "sandbox": {"mode": mode}}
    providers = {"providers": {"p": {"kind": "local"}}}
    return {"tools": shared, "agents": {"list": [agent]}, "models": providers}


def has(config: dict[str, Any]) -> set[str]:
    policy, _ = compile_policy(json.dumps(config).encode(), None, PLACES)
    return {tool for tool, found in policy.agents["a"].tools.items() if found == Standing()}


def refusal(reader: Callable[[Any, str], object], text: bytes | str) -> Malformed | None:
    try:
        reader(text, "f")
    except Malformed as refused:
        return refused
    return None


def scopes_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    shared, own = config["tools"], config["agents"]["list"][0]["tools"]
    found = [shared, own, *shared.get("byProvider", {}).values(), *own.get("byProvider", {}).values()]
    return [*found, shared["sandbox"]["tools"]] if "sandbox" in shared else found


def copy(config: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(config))


@given(configs(), st.integers(0, 9), LISTS)
def test_a_further_deny_never_lets_more_through(config: dict[str, Any], which: int, more: list[str]) -> None:
    stricter = copy(config)
    scope = scopes_of(stricter)[which % len(scopes_of(stricter))]
    is_sandbox = scope is stricter["tools"].get("sandbox", {}).get("tools")
    # The built-in sandbox deny is replaced by an explicit one, as in OpenClaw; that is a change, not an addition.
    if is_sandbox and "deny" not in scope:
        scope["deny"] = []
        before = has(stricter)
    else:
        before = has(config)
    scope["deny"] = [*scope.get("deny", []), *more]
    assert has(stricter) <= before


@given(configs(), st.integers(0, 9))
def test_an_empty_allow_at_any_scope_allows_nothing(config: dict[str, Any], which: int) -> None:
    config["agents"]["list"][0]["sandbox"] = {"mode": "all"}  # so that the sandbox ceiling is a scope, too
    scopes = scopes_of(config)
    scopes[which % len(scopes)]["allow"] = []
    assert has(config) == set()


@given(configs(), LISTS)
def test_no_agent_has_what_the_global_list_lacks(config: dict[str, Any], allow: list[str]) -> None:
    config["tools"]["allow"] = allow
    ceiling = {"tools": {"allow": allow}, "agents": {"list": [{"id": "a"}]}}
    assert has(config) <= has(ceiling)


@given(configs())
def test_a_section_that_configures_a_tool_adds_none(config: dict[str, Any]) -> None:
    configured = copy(config)
    configured["tools"]["exec"] = {"security": "full", "ask": "off"}
    configured["agents"]["list"][0]["tools"]["fs"] = {"workspaceOnly": False}
    configured["tools"]["elevated"] = {"enabled": True, "allowFrom": {"signal": ["*"]}}
    assert has(configured) == has(config)


@given(configs())
def test_silence_gives_no_tool(config: dict[str, Any]) -> None:
    for scope in scopes_of(config):
        scope.pop("allow", None)
        scope.pop("profile", None)
    assert has(config) == set()


@given(configs())
def test_every_missing_tool_names_a_key_of_the_file(config: dict[str, Any]) -> None:
    policy, _ = compile_policy(json.dumps(config).encode(), None, PLACES)
    for tool, found in policy.agents["a"].tools.items():
        for key in (found.denied_by, found.dropped_by):
            assert key == "" or key.startswith(("tools.", "agents.list[0].tools.")), (tool, key)


@given(st.dictionaries(st.sampled_from(TOOLS), st.booleans()), st.dictionaries(st.sampled_from(TOOLS), st.booleans()))
def test_a_spawned_session_has_at_most_its_parents_tools(parent: dict[str, bool], child: dict[str, bool]) -> None:
    def standings(tools: dict[str, bool]) -> dict[str, Standing]:
        return {tool: Standing() if present else Standing("x.deny") for tool, present in tools.items()}

    found = under(standings(parent), standings(child), "parent")
    assert {tool for tool, one in found.items() if one == Standing()} == {
        tool for tool in child if child[tool] and parent.get(tool, False)
    }


WORDS = st.sampled_from([None, "deny", "allowlist", "full"])
ASKS = st.sampled_from([None, "off", "on-miss", "always"])


@given(WORDS, WORDS, WORDS, ASKS, ASKS, ASKS)
def test_the_stricter_word_of_both_files_counts(
    one: str | None, two: str | None, file: str | None, ask: str | None, own: str | None, filed: str | None
) -> None:
    rules_text = {"version": 1, "agents": {"a": {"security": file, "ask": filed}}}
    approvals = read_approvals(json.dumps(rules_text), "f")
    rules = rules_for(approvals, "a", PathNames("/h/agents/a"))
    sections = (Exec.model_validate({"security": one, "ask": ask}), Exec.model_validate({"security": two, "ask": own}))
    got, _ = exec_policy("a", [Source("tools.exec", sections[0]), Source("x", sections[1])], rules, approvals)
    words = {one, two, file} - {None}
    assert (got.security is ExecSecurity.DENY) == ("deny" in words or not words)
    said = {ask, own, filed}
    assert (got.ask.value == "always") == ("always" in said)
    assert got.ask.value != "on-miss" or "off" not in said


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_the_reader_raises_nothing_but_malformed(text: bytes | str) -> None:
    refused = refusal(read, text)
    assert refused is None or (refused.code == "policy_syntax" and refused.message.startswith("f:"))


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["version", "agents", "defaults", "tools", "allow", "list", "id", "main", "*", "allowlist"])
            | st.sampled_from(
                ["pattern", "args", "needs", "security", "exec", "sandbox", "docker", "operators", "default"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSONISH | st.text(max_size=60))
def test_the_configuration_reader_raises_nothing_but_malformed(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    refused = refusal(read_config, text)
    assert refused is None or refused.code in {"policy_syntax", "policy_schema", "policy_secret"}
    assert refused is None or "\n" not in str(refused)


@given(JSONISH | st.text(max_size=60) | st.binary(max_size=60))
def test_the_approvals_reader_raises_nothing_and_a_broken_file_says_why(value: Any) -> None:
    if isinstance(value, dict) and "version" in value:
        value = {**value, "version": 1}
    text = value if isinstance(value, str | bytes) else json.dumps(value)
    approvals = read_approvals(text, "f")
    assert bool(approvals.broken) == (approvals.file is None)
    assert "\n" not in approvals.broken
    for agent in (*approvals.agents, "main"):
        rules = rules_for(approvals, agent, PathNames("/h/agents/a", "", {"/bin": "/usr/bin"}))
        got, _ = exec_policy(agent, [Source("tools.exec", Exec.model_validate({"security": "full"}))], rules, approvals)
        assert not approvals.broken or got.security is ExecSecurity.DENY


@settings(max_examples=50)
@given(configs())
def test_compiling_twice_gives_the_same_policy(config: dict[str, Any]) -> None:
    text = json.dumps(config).encode()
    assert compile_policy(text, None, PLACES) == compile_policy(text, None, PLACES)
