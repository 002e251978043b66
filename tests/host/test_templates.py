"""The templates are policies that hold: they compile cleanly, and say what the seed's tables say."""

from __future__ import annotations

import pytest

from bascule.core.errors import Malformed
from bascule.core.finding import Severity
from bascule.core.policy import AgentPolicy, Backend, ExecAsk, ExecSecurity, Policy
from bascule.host.templates import TEAMS, team_template
from bascule.policy.compile import compile_policy
from bascule.policy.examples import read_examples
from bascule.policy.places import Places

EXEC = ("bruba-main", "bruba-rex", "bruba-guru", "bruba-manager")
PROGRAMS = ["ls", "cat", "head", "tail", "grep", "find", "wc", "du", "uname", "whoami"]


def compiled(name: str) -> tuple[Policy, list[str]]:
    files = team_template(name).files
    places = Places("/h", links={"/bin": "/usr/bin"})
    policy, findings = compile_policy(files["bascule.json5"].encode(), files["exec-approvals.json"].encode(), places)
    return policy, [f"{found.check}: {found.detail}" for found in findings if found.severity > Severity.INFO]


def has(agent: AgentPolicy) -> set[str]:
    return {name for name, found in agent.tools.items() if not found.denied_by and not found.dropped_by}


@pytest.mark.parametrize("name", TEAMS)
def test_a_template_compiles_without_a_warning(name: str) -> None:
    policy, warnings = compiled(name)
    assert warnings == []
    assert policy.operators == ("me",)


@pytest.mark.parametrize("name", TEAMS)
def test_every_agent_has_its_prompt_and_no_other_has(name: str) -> None:
    policy, _ = compiled(name)
    wanted = {prompt.removeprefix("/h/") for agent in policy.agents.values() for prompt in agent.prompts}
    given = {path for path in team_template(name).files if path.startswith("prompts/")}
    assert wanted == given


@pytest.mark.parametrize("name", TEAMS)
def test_a_template_brings_examples_of_every_effect(name: str) -> None:
    examples = read_examples(team_template(name).files["bascule.json5"], "bascule.json5")
    assert {str(example.want) for example in examples} == {"allow", "ask", "deny"}


def test_the_teams_tools_are_those_of_the_seed() -> None:
    policy, _ = compiled("bruba")
    tools = {str(name): has(agent) for name, agent in policy.agents.items()}
    common = {"read", "write", "exec", "memory_search", "memory_get", "sessions_send"}
    assert all(common <= tools[name] for name in EXEC)
    assert tools["bruba-rex"] - tools["bruba-main"] == {"cron", "image"}
    assert {"edit", "message"} <= tools["bruba-guru"]
    assert not {"edit", "message"} & tools["bruba-manager"]
    assert tools["bruba-web"] == {"read", "write", "web_search", "web_fetch"}
    assert not any({"web_search", "web_fetch", "browser", "gateway"} & tools[name] for name in EXEC)


def test_the_teams_programs_are_those_of_the_seed() -> None:
    policy, _ = compiled("bruba")
    for name in EXEC:
        rules = policy.agents[name].exec
        assert (rules.security, rules.ask) == (ExecSecurity.ALLOWLIST, ExecAsk.ON_MISS)
        patterns = [entry.pattern for entry in rules.entries]
        assert patterns == [f"/usr/bin/{program}" for program in PROGRAMS] + [f"/h/agents/{name}/tools/*.sh"]
        assert [bool(entry.needs) for entry in rules.entries] == [False] * 10 + [True]
        assert not any(entry.writes for entry in rules.entries)
    assert policy.agents["bruba-web"].exec.entries == ()


def test_the_teams_boxes_are_those_of_the_seed() -> None:
    policy, _ = compiled("bruba")
    boxes = {str(name): (agent.sandbox.backend, agent.sandbox.network) for name, agent in policy.agents.items()}
    assert boxes.pop("bruba-web") == (Backend.DOCKER, "proxy")
    assert set(boxes.values()) == {(Backend.BUBBLEWRAP, "none")}


def test_another_team_is_refused() -> None:
    with pytest.raises(Malformed, match="there is no team"):
        team_template("../bruba")
