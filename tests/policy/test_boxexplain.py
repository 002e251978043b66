"""What box an agent gets, with the key that says so: the one that counts, not one that merely stands there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.policy.making import compiled

from bascule.core.ids import AgentId
from bascule.policy.boxexplain import BoxMount, Fact, Keys, box_mounts, explain_box
from bascule.policy.json5 import read

A = AgentId("a")


def facts(own: Any = None, shared: Any = None, **more: Any) -> dict[str, Fact]:
    entry = {"id": "a"} | ({"sandbox": own} if own is not None else {})
    agents = {"list": [entry]} | ({"defaults": {"sandbox": shared}} if shared is not None else {})
    text = json.dumps({"agents": agents, **more}, indent=1)
    rules = compiled(text)[0].agents[A]
    return {fact.subject: fact for fact in explain_box(rules, read(text, "f"), "sha256:00")}


@pytest.mark.parametrize(
    ("own", "shared", "subject", "value", "key"),
    [
        ({"backend": "docker"}, {"backend": "bubblewrap"}, "backend", "docker", "agents.list[0].sandbox.backend"),
        (None, {"backend": "docker"}, "backend", "docker", "agents.defaults.sandbox.backend"),
        ({"docker": {"memory": "256m"}}, {"limits": {"memory": "512m"}}, "memory", "256 MiB",
         "agents.list[0].sandbox.docker.memory"),
        ({"docker": {"memory": "1g"}}, {"limits": {"memory": "300m"}}, "memory", "300 MiB",
         "agents.defaults.sandbox.limits.memory"),
        ({"limits": {"wallSeconds": 9}}, None, "time", "9 s", "agents.list[0].sandbox.limits.wallSeconds"),
        ({"prune": {"idleHours": 0}}, None, "ends unused", "never", "agents.list[0].sandbox.prune.idleHours"),
        ({"prune": {"maxAgeDays": 3}}, None, "ends at age", "after 3 days", "agents.list[0].sandbox.prune.maxAgeDays"),
        ({"warm": True}, None, "kept ready", "yes", "agents.list[0].sandbox.warm"),
        ({"workspaceAccess": "ro"}, None, "workspace", "ro for workspace, memory, output",
         "agents.list[0].sandbox.workspaceAccess"),
        ({"mode": "off"}, {"mode": "all"}, "mode", "off: the sandbox ceiling of tools does not hold; the boxes stay",
         "agents.list[0].sandbox.mode"),
    ],
)  # fmt: skip
def test_the_key_that_counts_is_named(own: Any, shared: Any, subject: str, value: str, key: str) -> None:
    found = facts(own, shared)[subject]
    assert (found.value, found.key) == (value, key)
    assert found.where.startswith("f:")


def test_what_nobody_says_is_built_in_and_names_the_key_that_would_say_it() -> None:
    for fact in facts().values():
        assert fact.where == "", fact
        assert fact.key.startswith(("agents.list[0].sandbox.", "egress")), fact


def test_the_bare_host_is_said_first_and_lies_beneath_all_places() -> None:
    found = facts({"backend": "unsafe-none"})["backend"]
    assert found.value.startswith("unsafe_none: NO SANDBOX FOR PROGRAMS")
    assert found.where.startswith("f:")
    bare = compiled({"agents": {"list": [{"id": "a", "sandbox": {"backend": "unsafe_none"}}]}})[0].agents[A]
    usual = compiled({"agents": {"list": [{"id": "a"}]}})[0].agents[A]
    assert box_mounts(bare) == (BoxMount("/", "/", "host"), *box_mounts(usual))


def test_a_limit_of_another_section_is_found() -> None:
    found = facts(tools={"exec": {"timeoutSec": 7}})["time"]
    assert (found.value, found.key) == ("7 s", "tools.exec.timeoutSec")


def test_a_bridge_is_said_to_be_carried_as_a_proxy() -> None:
    found = facts({"backend": "docker", "docker": {"network": "bridge"}})
    assert found["network"].value.startswith("proxy (the file says bridge, which is carried as proxy")
    assert found["network"].key == "agents.list[0].sandbox.docker.network"
    assert "every public host" in found["reaches"].value


def test_an_image_says_whether_it_is_recorded() -> None:
    assert facts({"backend": "docker"})["image"].value == "bascule-box:bookworm (sha256:00)"
    assert "image" not in facts()
    assert facts({"backend": "docker"})["scope"].value == "one container for the agent"


def test_the_places_of_a_box() -> None:
    rules = compiled({"agents": {"list": [{"id": "a", "sandbox": {"workspaceAccess": "ro"}}]}})[0].agents[A]
    places = {place.target: (place.source, place.access) for place in box_mounts(rules)}
    assert places["/workspace"] == ("/h/agents/a", "ro")
    assert places["/workspace/output"] == ("/h/agents/a/output", "ro")
    assert places["/workspace/tools"] == ("/h/agents/a/tools", "run")
    assert places["/tmp"] == ("", "rw")


def test_binds_are_places_and_no_access_is_an_empty_one() -> None:
    box = {"workspaceAccess": "none", "docker": {"binds": ["/h/shared/repo:/workspaces/shared/repo:ro"]}}
    rules = compiled({"agents": {"list": [{"id": "a", "sandbox": box}]}})[0].agents[A]
    places = {place.target: (place.source, place.access) for place in box_mounts(rules)}
    assert places == {
        "/workspace": ("", "ro"), "/workspaces/shared/repo": ("/h/shared/repo", "ro"), "/tmp": ("", "rw"),
    }  # fmt: skip
    assert facts(box)["workspace"].value == "none: nothing of its directory"


def test_places_of_keys_in_a_file() -> None:
    keys = Keys(read('{\n a: {\n  "b-c": [1, {d: 2}],\n },\n}', "f"))
    assert keys.where("a.b-c") == "f:3:3"
    assert keys.value("a.b-c[1].d") == 2
    assert keys.where("a.x") == ""
    assert keys.value("a.x") is None
    assert keys.first(["a.x", "a.b-c"]) == ("a.b-c", "f:3:3")
    assert keys.first(["a.x", "a.y"]) == ("a.x", "")


@pytest.mark.parametrize(
    ("own", "value"),
    [
        ({"backend": "docker"}, "Docker's default filter, and ours"),
        ({"backend": "docker", "docker": {"seccompProfile": "f.json"}},
         "/h/f.json (sha256 ), less what Docker's default refuses, and our filter"),
        ({"backend": "bubblewrap"}, "our filter"),
        ({"docker": {"seccompProfile": "f.json"}}, "our filter; /h/f.json holds for containers only"),
    ],
)  # fmt: skip
def test_the_filters_of_system_calls_are_named(own: Any, value: str) -> None:
    found = facts(own)["system calls"]
    assert (found.value, found.key) == (value, "agents.list[0].sandbox.docker.seccompProfile")
    assert bool(found.where) is ("docker" in own)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("/h/agents/a", "/h/agents/a"),
        ("agents", "/h/agents/a"),
        ("/srv/boxes", "/h/agents/a (the file says /srv/boxes, which is not heeded: nothing is moved)"),
    ],
)
def test_the_directory_is_said_and_whether_the_file_names_it(said: str, value: str) -> None:
    found = facts({"workspaceRoot": said})["directory"]
    assert (found.value, found.key) == (value, "agents.list[0].sandbox.workspaceRoot")


def test_a_mode_that_would_free_the_main_session_is_said_not_to() -> None:
    assert facts({"mode": "non-main"})["mode"].value.startswith("non-main, carried as all: for the main session too")
    assert facts({"mode": "all"})["mode"].value.startswith("all: the sandbox ceiling")
