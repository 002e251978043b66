"""Mistakes in the file are told in one line, with their place and the likely correction."""

from __future__ import annotations

import pytest

from bascule.core.errors import Malformed
from bascule.policy.schema.reading import leaves, read_config


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("{agents: {\n lst: []}}", "c:2:2: agents.lst: there is no such key", "did you mean list?"),
        ("{tools: {exec: {securty: 'deny'}}}", "c:1:17: tools.exec.securty: there is no such key", "security"),
        ("{tools: {exec: {ask: 'never'}}}", "c:1:22: tools.exec.ask: 'never' is not one of off, on-miss, always", ""),
        ("{tools: {exec: {ask: 'on_miss'}}}", "tools.exec.ask", "did you mean on-miss?"),
        ("{tools: {allow: 'read'}}", "c:1:17: tools.allow: must be an array", ""),
        ("{tools: {allow: ['read', 1]}}", "c:1:26: tools.allow[1]: must be a valid string", ""),
        ("{tools: {allow: ['']}}", "tools.allow[0]", ""),
        ("{tools: {Allow: []}}", "tools.Allow", "did you mean allow?"),
        ("{gateway: {port: '1'}}", "gateway.port: must be a valid integer", ""),
        ("{gateway: {port: 0}}", "gateway.port: must be greater", ""),
        ("{agents: {list: [{}]}}", "agents.list[0].id: this key is needed", ""),
        ("{agents: {list: [{id: 'a'}, {id: 'A'}]}}", "the agent a stands twice", ""),
        ("{agents: {list: [], entries: {}}}", "agents are given twice", ""),
        ("{agents: {entries: {A: {}}}}", "lower case", ""),
        ("{agents: {list: [{id: '../x'}]}}", "agents.list[0].id: an agent id is", ""),
        ("{agents: {defaults: {model: {primry: 'x'}}}}", "agents.defaults.model", "did you mean primary?"),
        ("{agents: {list: [{id: 'a', sandbox: {docker: {network: 'host'}}}]}}", "docker.network: network host", ""),
        ("{agents: {list: [{id: 'a', sandbox: {docker: {memory: '512'}}}]}}", "write a unit", ""),
        ("{operators: {pat: {approve: true}}}", "operators.pat.approve", "did you mean approves?"),
        ("{peers: [{from: 'a', too: 'b'}]}", "peers[0].t", ""),
        ("[]", "c:1:1: the file: must be an object", ""),
        ("{tool: {}, agnts: {}}", "c:1:2: tool: there is no such key; and 1 more", "did you mean tools?"),
    ],
)
def test_a_mistake_is_told_in_one_line(text: str, message: str, remedy: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_config(text, "c")
    assert refused.value.code == "policy_schema"
    assert message in refused.value.message
    assert remedy in refused.value.remedy
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "{gateway: {auth: {token: 'abc'}}}",
        "{gateway: {auth: {password: 'abc'}}}",
        "{models: {providers: {x: {apiKey: 'abc'}}}}",
        "{agents: {list: [{id: 'sk-abcdefghijklmnopqrst'}]}}",
        "{hooks: {token: 'abc'}}",
        "{env: {vars: {OPENAI_API_KEY: 'abc'}}}",
    ],
)
def test_a_secret_is_refused_and_its_key_named_but_not_its_value(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_config(text, "c")
    assert refused.value.code == "policy_secret"
    assert "abc" not in str(refused.value)


def test_a_reference_to_a_secret_is_none() -> None:
    config, _ = read_config("{gateway: {auth: {token: '${TOKEN}'}}}", "c")
    assert config.gateway is not None


def test_every_leaf_is_visited() -> None:
    assert list(leaves({"a": ({"b": 1}, 2), "c": None})) == [(("a", 0, "b"), 1), (("a", 1), 2), (("c",), None)]
