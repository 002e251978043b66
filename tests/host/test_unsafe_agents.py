"""Who may have what is unsafe is read from policy by whoever starts the warden."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.host import policy_files
from bascule.host.unsafe_agents import bridged, on_host, unsafe_agents

RAW = "sandbox: { backend: 'docker', network: 'unsafe_bridge' }"
DOCKERS = "sandbox: { backend: 'docker', docker: { network: ' Unsafe_Bridge ' } }"


def written(home: Path, text: str) -> Path:
    (home / "bascule.json5").write_text(text)
    (home / "bascule.json5").chmod(0o644)
    return home


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"{{agents: {{list: [{{id: 'one', {RAW}}}, {{id: 'two'}}]}}}}", {"one"}),
        (f"{{agents: {{list: [{{id: 'one', {DOCKERS}}}, {{id: 'two'}}]}}}}", {"one"}),
        (f"{{agents: {{defaults: {{{RAW}}}, list: [{{id: 'one'}}, {{id: 'two'}}]}}}}", {"one", "two"}),
        # The tighter of two words counts, and here the agent has the last one.
        (f"{{agents: {{defaults: {{{RAW}}}, list: [{{id: 'one', sandbox: {{network: 'none'}}}}]}}}}", set()),
        ("{agents: {list: [{id: 'unsafe_bridge'}, {id: 'two'}]}}", set()),
        ("{agents: {list: [{id: 'one', sandbox: {network: 'unsafe\\u005fbridge', backend: 'docker'}}]}}", {"one"}),
    ],
)
def test_they_are_those_of_the_compiled_policy(tmp_path: Path, text: str, named: set[str]) -> None:
    found = bridged(unsafe_agents(written(tmp_path, text)))
    assert found == {AgentId(name) for name in named}


NONE, OTHER = "sandbox: { backend: 'unsafe_none' }", "sandbox: { backend: 'unsafe-none' }"
BOXED = "sandbox: { backend: 'bubblewrap' }"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"{{agents: {{list: [{{id: 'one', {NONE}}}, {{id: 'two'}}]}}}}", {"one"}),
        (f"{{agents: {{list: [{{id: 'one', {OTHER}}}, {{id: 'two'}}]}}}}", {"one"}),
        (f"{{agents: {{defaults: {{{NONE}}}, list: [{{id: 'one'}}, {{id: 'two'}}]}}}}", {"one", "two"}),
        (f"{{agents: {{defaults: {{{NONE}}}, list: [{{id: 'one', {BOXED}}}, {{id: 'two'}}]}}}}", {"two"}),
        (f"{{agents: {{defaults: {{{BOXED}}}, list: [{{id: 'one', {OTHER}}}, {{id: 'two'}}]}}}}", {"one"}),
        (f"{{agents: {{list: [{{id: 'unsafe_none', {BOXED}}}, {{id: 'two', name: 'unsafe_none'}}]}}}}", set()),
        (f"{{agents: {{list: [{{id: 'one', {RAW}}}]}}}}", set()),
    ],
)
def test_who_is_on_the_bare_host_is_read_from_the_compiled_policy(tmp_path: Path, text: str, named: set[str]) -> None:
    assert on_host(unsafe_agents(written(tmp_path, text))) == {AgentId(name) for name in named}


def test_a_policy_that_does_not_speak_of_it_is_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Path] = []
    load = policy_files.load
    monkeypatch.setattr(policy_files, "load", lambda home: compiled.append(home) or load(home))
    written(tmp_path, "{agents: {list: [{id: 'one', sandbox: {network: 'proxy'}}]}}")
    assert unsafe_agents(tmp_path) == ()
    assert compiled == []
    written(tmp_path, f"{{agents: {{list: [{{id: 'one', {RAW}}}]}}}}")
    assert unsafe_agents(tmp_path)
    assert compiled == [tmp_path]


def test_one_that_speaks_of_it_and_does_not_compile_gives_nobody_anything(tmp_path: Path) -> None:
    written(tmp_path, "{agents: {list: [{id: 'one', sandbox: {network: 'unsafe_bridge'}}]}}")  # not of docker
    with pytest.raises(Malformed):
        unsafe_agents(tmp_path)
    assert unsafe_agents(tmp_path / "nowhere") == ()
