"""Which model: policy, then keys, then the local one; never another than the one policy names; keys go nowhere else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.builders import agent_policy

from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.policy import AgentPolicy, ModelProvider, Policy
from bascule.runtime.providers.choice import BUILT_IN, Choice, build, choose
from bascule.runtime.providers.layered import LayeredProvider

OLLAMA = ModelProvider("ollama", "openai", "http://127.0.0.1:11434/v1", "OPENAI_API_KEY")
BOTH = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o"}


def policy(default: str = "", *providers: ModelProvider) -> tuple[Policy, AgentPolicy]:
    agent = replace(agent_policy(), model="")
    found = MappingProxyType({provider.name: provider for provider in providers})
    return Policy("v", {agent.id: agent}, agent.id, providers=found, default_model=default), agent


@pytest.mark.parametrize(
    ("default", "own", "environment", "name"),
    [
        ("", "", {}, "local:smollm2"),
        ("", "", {"OPENAI_API_KEY": ""}, "local:smollm2"),
        ("", "", {"OPENAI_API_KEY": "o"}, "openai:gpt-5.6-terra"),
        ("", "", BOTH, "anthropic:claude-sonnet-5-5"),
        ("openai:gpt-x", "", BOTH, "openai:gpt-x"),
        ("openai:gpt-x", "script:a.jsonl", BOTH, "script:a.jsonl"),
        ("ollama:qwen3:4b", "", {}, "ollama:qwen3:4b"),
        ("local", "", BOTH, "local:smollm2"),
        ("anthropic", "", BOTH, "anthropic:claude-sonnet-5-5"),
    ],
)
def test_the_first_that_is_named_wins(default: str, own: str, environment: dict[str, str], name: str) -> None:
    rules, agent = policy(default, OLLAMA)
    assert choose(rules, replace(agent, model=own), environment).name == name


@pytest.mark.parametrize(
    ("default", "error", "code"),
    [
        ("anthropic:claude", Unavailable, "model_key_missing"),
        ("nobody:x", Malformed, "model_provider_unknown"),
        ("ollama", Malformed, "model_unnamed"),
        ("script:", Malformed, "model_unnamed"),
    ],
)
def test_what_policy_names_is_never_replaced(default: str, error: type[BasculeError], code: str) -> None:
    rules, agent = policy(default, OLLAMA)
    with pytest.raises(error) as refused:
        choose(rules, agent, {"OPENAI_API_KEY": "o"})
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("provider", "sent"),
    [
        (BUILT_IN["openai"], "o"),
        (ModelProvider("openai", "openai", "", "OPENAI_API_KEY"), "o"),
        (OLLAMA, ""),
        (replace(OLLAMA, base_url="https://elsewhere.example/v1"), ""),
        (replace(OLLAMA, key_env="ELSEWHERE_KEY"), "e"),
        (replace(OLLAMA, kind="anthropic", key_env="ANTHROPIC_API_KEY"), ""),
    ],
)
def test_a_key_goes_to_the_service_it_is_for(tmp_path: Path, provider: ModelProvider, sent: str) -> None:
    environment = {**BOTH, "ELSEWHERE_KEY": "e"}
    built = build(Choice(provider, "m", "test"), environment, tmp_path, tmp_path)
    assert isinstance(built, LayeredProvider)
    assert built._service.key == sent
    asyncio.run(built.close())


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.example/v1",
        "http://10.0.0.7/v1",
        "ftp://127.0.0.1/",
        "https://user:pass@host/v1",
        "https://host/v1?key=1",
        "https://",
        "nonsense",
        "http://[::1",
    ],
)
def test_an_address_that_would_leak_is_refused(tmp_path: Path, url: str) -> None:
    choice = Choice(ModelProvider("p", "openai", url, "ELSEWHERE_KEY"), "m", "test")
    with pytest.raises(Malformed) as refused:
        build(choice, {"ELSEWHERE_KEY": "e"}, tmp_path, tmp_path)
    assert refused.value.code == "model_url"


def test_a_script_is_found_below_the_home(tmp_path: Path) -> None:
    (tmp_path / "demo.jsonl").write_text('{"say": "hi"}\n')
    assert build(Choice(BUILT_IN["script"], "demo.jsonl", "t"), {}, tmp_path, tmp_path).name == "script:demo.jsonl"


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        build(Choice(ModelProvider("p", "carrier-pigeon"), "m", "t"), {}, tmp_path, tmp_path)
