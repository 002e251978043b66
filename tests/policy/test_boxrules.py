"""Which box an agent gets."""

from __future__ import annotations

from typing import Any

import pytest
from tests.policy.making import checks, compiled

from bascule.core.errors import Malformed
from bascule.core.policy import Backend, DockerPolicy, SandboxPolicy


def box(shared: Any = None, own: Any = None, **tools: Any) -> SandboxPolicy:
    agents = {"defaults": {"sandbox": shared or {}}, "list": [{"id": "a", "sandbox": own or {}}]}
    policy, _ = compiled({"agents": agents, "tools": tools})
    return next(iter(policy.agents.values())).sandbox


def test_silence_means_no_network_and_our_own_boxes() -> None:
    assert box() == SandboxPolicy(Backend.BUBBLEWRAP, "none", "rw")
    assert box({"mode": "all"}).workspace_access == "none"
    assert box({"mode": "all", "workspaceAccess": "rw"}).workspace_access == "rw"


@pytest.mark.parametrize(
    ("shared", "own", "network"),
    [
        ({"docker": {"network": "none"}}, {"docker": {"network": "bridge"}}, "proxy"),
        ({"network": "none"}, {"docker": {"network": "bridge"}}, "proxy"),
        ({"network": "proxy"}, None, "proxy"),
        ({"docker": {"network": "my-net"}}, None, "proxy"),
        ({"docker": {"network": "bridge"}, "network": "none"}, None, "none"),
        ({"docker": {"network": "bridge"}}, {"network": "none"}, "none"),
    ],
)
def test_network(shared: Any, own: Any, network: str) -> None:
    assert box(shared, own).network == network


def test_limits_take_the_smallest_word() -> None:
    limits = box({"limits": {"memory": "1g", "pids": 5}, "docker": {"memory": "256m", "pidsLimit": 9}}).limits
    assert (limits.memory_bytes, limits.pids) == (256 << 20, 5)
    assert (
        box({"limits": {"wallSeconds": 300}}, exec={"timeoutSec": 30, "timeoutSeconds": 60}).limits.wall_seconds == 30
    )
    assert box({"docker": {"memory": 0}}).limits.memory_bytes == SandboxPolicy().limits.memory_bytes


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"backend": "podman"}, "agents.list[0].sandbox.backend"),
        ({"backend": "ssh"}, "not carried out"),
        ({"scope": "shared"}, "never share"),
        ({"docker": {"setupCommand": "id"}}, "agents.list[0].sandbox.docker.setupCommand"),
        ({"docker": {"dns": ["1.1.1.1"]}}, "sandbox.docker.dns"),
        ({"docker": {"readOnlyRoot": False}}, "never writable"),
        ({"docker": {"memory": "512m", "memorySwap": "256m"}}, "sandbox.docker.memorySwap"),
        ({"docker": {"ulimits": {"memlock": 1}}}, "sandbox.docker.ulimits.memlock"),
        ({"docker": {"ulimits": {"nofile": "many"}}}, "sandbox.docker.ulimits.nofile"),
        ({"docker": {"ulimits": {"core": 5}}}, "sandbox.docker.ulimits.core"),
        ({"docker": {"env": {"LD_PRELOAD": "/x"}}}, "sandbox.docker.env.LD_PRELOAD"),
        ({"docker": {"env": {"PYTHONPATH": "/x"}}}, "sandbox.docker.env.PYTHONPATH"),
        ({"docker": {"env": {"PATH": "/x"}}}, "sandbox.docker.env.PATH"),
        ({"docker": {"env": {"https_proxy": "x"}}}, "sandbox.docker.env.https_proxy"),
        ({"docker": {"env": {"A B": "x"}}}, "no name of a variable"),
        ({"docker": {"tmpfs": ["/usr/lib"]}}, "sandbox.docker.tmpfs"),
        ({"docker": {"tmpfs": ["/workspace/x"]}}, "sandbox.docker.tmpfs"),
        ({"docker": {"tmpfs": ["/scratch:exec"]}}, "'exec'"),
        ({"docker": {"tmpfs": ["/scratch:size=lots"]}}, "no size"),
        ({"docker": {"tmpfs": ["scratch"]}}, "sandbox.docker.tmpfs"),
        ({"backend": "docker", "docker": {"setupCommand": "id"}}, "agents.list[0].sandbox.docker.setupCommand"),
        ({"backend": "docker", "docker": {"dns": ["1.1.1.1"]}}, "sandbox.docker.dns"),
        ({"backend": "docker", "docker": {"extraHosts": ["a:1.1.1.1"]}}, "sandbox.docker.extraHosts"),
        ({"backend": "docker", "docker": {"apparmorProfile": "mine"}}, "sandbox.docker.apparmorProfile"),
        ({"backend": "docker", "docker": {"user": "0:0"}}, "sandbox.docker.user"),
        ({"backend": "docker", "docker": {"readOnlyRoot": False}}, "never writable"),
        ({"backend": "docker", "scope": "shared"}, "never share"),
        ({"backend": "docker", "perSession": False}, "never share"),
        ({"docker": {"network": "container:x", "dangerouslyAllowContainerNamespaceJoin": True}}, "container"),
    ],
)
def test_what_is_not_carried_out_is_refused_at_its_place(own: Any, says: str) -> None:
    with pytest.raises(Malformed) as refused:
        box(None, own)
    assert says in refused.value.message
    assert refused.value.message.startswith("bascule.json5:1:")


@pytest.mark.parametrize(
    ("shared", "own", "wanted"),
    [
        ({}, {}, DockerPolicy()),
        ({"docker": {"image": "a:1", "cpus": 2}}, {"docker": {"cpus": 0.5}}, DockerPolicy("a:1")),
        ({"scope": "session"}, {}, DockerPolicy(per_session=True)),
        ({"scope": "session"}, {"scope": "agent"}, DockerPolicy()),
        ({"perSession": True}, {}, DockerPolicy(per_session=True)),
        ({"prune": {"idleHours": 0, "maxAgeDays": 1}}, {}, DockerPolicy(idle_seconds=0, age_seconds=86_400)),
    ],
)
def test_what_containers_are_made_from(shared: Any, own: Any, wanted: DockerPolicy) -> None:
    assert box({"backend": "docker", **shared}, own).docker == wanted


@pytest.mark.parametrize("backend", ["docker", "bubblewrap"])
@pytest.mark.parametrize(
    ("shared", "own", "wanted"), [({}, {}, 1000), ({"cpus": 2}, {"cpus": 0.5}, 500), ({"cpus": 0.0001}, {}, 1)]
)
def test_processors_are_limited_in_either_backend(backend: str, shared: Any, own: Any, wanted: int) -> None:
    assert box({"backend": backend, "docker": shared}, {"docker": own}).limits.cpus == wanted


def test_no_sandbox_and_dropped_variables_are_found() -> None:
    agents = {"list": [{"id": "a", "sandbox": {"backend": "unsafe-none", "docker": {"env": {"X_CREDENTIAL": "1"}}}}]}
    assert {"sandbox.unsafe_none", "sandbox.env_dropped"} <= checks({"agents": agents})


def test_the_bare_host_needs_accounts_of_their_own() -> None:
    with pytest.raises(Malformed) as refused:
        box({"unsafeSingleUid": True}, {"backend": "unsafe_none"})
    assert "an account of its own" in refused.value.message


def test_keys_of_a_box_that_do_nothing_on_the_bare_host_are_named() -> None:
    shared = {"docker": {"image": "x:1", "readOnlyRoot": True, "memory": "64m", "tmpfs": ["/scratch"]}}
    agents = {"defaults": {"sandbox": shared}, "list": [{"id": "a", "sandbox": {"backend": "unsafe_none"}}]}
    _, findings = compiled({"agents": agents})
    (found,) = [finding for finding in findings if finding.check == "sandbox.unsafe_none_keys"]
    assert found.detail.endswith(": image, readOnlyRoot")
    agents["list"][0]["sandbox"] = {"backend": "docker"}
    assert "sandbox.unsafe_none_keys" not in checks({"agents": agents})


@pytest.mark.parametrize("name", ["unsafe-none", "unsafe_none"])
def test_the_bare_host_has_two_spellings_and_is_critical(name: str) -> None:
    assert box({"backend": name}).backend is Backend.UNSAFE_NONE
    assert "sandbox.unsafe_none" in checks({"agents": {"list": [{"id": "a", "sandbox": {"backend": name}}]}})


def test_a_mode_chooses_no_backend_and_is_read_strictly() -> None:
    listed = {"list": [{"id": "a", "sandbox": {"mode": "non-main"}}]}
    assert {"sandbox.mode_non_main", "sandbox.backend_unsaid"} <= checks({"agents": listed})
    assert box({"mode": "non-main"}).backend is Backend.BUBBLEWRAP
    assert box({"mode": "off", "backend": "docker"}).backend is Backend.DOCKER
    named = {"list": [{"id": "a", "sandbox": {"mode": "all", "backend": "docker"}}]}
    assert not {"sandbox.mode_non_main", "sandbox.backend_unsaid"} & checks({"agents": named})


@pytest.mark.parametrize(
    ("said", "allowed", "found"),
    [
        ({}, False, set()),
        ({"unsafeSingleUid": False}, False, set()),
        ({"unsafeSingleUid": True}, True, {"sandbox.unsafe_single_uid"}),
        ({"allowSingleUid": True}, False, {"sandbox.single_uid_name"}),
    ],
)
def test_a_single_uid_is_allowed_by_a_key_that_says_unsafe(said: Any, allowed: bool, found: set[str]) -> None:
    assert box(said).unsafe_single_uid is allowed
    named = checks({"agents": {"list": [{"id": "a", "sandbox": said}]}})
    assert {check for check in named if "single_uid" in check} == found


def test_a_workspace_root_elsewhere_is_not_believed_in() -> None:
    right = ("/h/agents/a/", "/h/agents", "agents/a", "./agents/")
    wrong = ("/Users/bruba/agents/a", "/h", "/h/agents/b", "agents/a/workspace", "agents/../..", "~/agents/a")
    for said, odd in (*((said, False) for said in right), *((said, True) for said in wrong)):
        found = checks({"agents": {"list": [{"id": "a", "sandbox": {"workspaceRoot": said}}]}})
        assert ("sandbox.workspace_root" in found) is odd
