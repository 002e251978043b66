"""Where a profile may lie, and what is said of one that nothing carries out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.policy.making import PLACES, checks, compiled

from bascule.core.errors import Malformed
from bascule.policy.callrules import profile_path


def seccomp(said: str, places: Any = PLACES, **sandbox: Any) -> str:
    config = {"agents": {"list": [{"id": "a", "sandbox": {"docker": {"seccompProfile": said}, **sandbox}}]}}
    return compiled(config, places=places)[0].agents["a"].sandbox.docker.seccomp  # type: ignore[index] # an id is a word


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("calls.json", "/h/calls.json"),
        ("./filters//calls.json", "/h/filters/calls.json"),
        ("/etc/bascule-filters/calls.json", "/etc/bascule-filters/calls.json"),
        (" calls.json ", "/h/calls.json"),
    ],
)
def test_a_name_starts_beside_the_policy(said: str, path: str) -> None:
    assert seccomp(said) == path


def test_in_an_installed_home_that_is_another_directory() -> None:
    assert seccomp("calls.json", replace(PLACES, config="/etc/bascule")) == "/etc/bascule/calls.json"


@pytest.mark.parametrize(
    "said",
    [
        "unconfined", "Unconfined", " UNCONFINED\t", "~/calls.json", "../calls.json", "a/../../calls.json", "calls\n.json",
        "agents/a/workspace/calls.json", "/h/agents/a/tools/calls.json", "shared/context/calls.json", "state/calls.json",
        "run/calls.json", "logs/calls.json", "/proc/self/fd/0", "/dev/shm/calls.json", "/run/calls.json",
    ],
)  # fmt: skip
def test_a_profile_that_others_could_write_or_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(Malformed) as refused:
        seccomp(said)
    assert "docker" in refused.value.message
    assert refused.value.message.startswith("bascule.json5:1:")


def test_what_no_container_has_is_reported() -> None:
    def told(backend: str) -> bool:
        box = {"backend": backend, "docker": {"seccompProfile": "calls.json"}}
        return "sandbox.seccomp_unheeded" in checks({"agents": {"list": [{"id": "a", "sandbox": box}]}})

    assert told("bubblewrap")
    assert not told("docker")


def test_the_agents_own_goes_before_the_shared_one_but_under_a_shared_scope() -> None:
    def found(**own: Any) -> str:
        agents = {
            "defaults": {"sandbox": {"docker": {"seccompProfile": "all.json"}}},
            "list": [{"id": "a", "sandbox": own}],
        }
        return next(iter(compiled({"agents": agents})[0].agents.values())).sandbox.docker.seccomp

    assert found() == "/h/all.json"
    assert found(docker={"seccompProfile": "own.json"}) == "/h/own.json"


@pytest.mark.parametrize("said", ["", "  ", "~root/x", "a\x00b"])
def test_what_is_no_path_has_none(said: str) -> None:
    assert profile_path(said, "/h") == ""
