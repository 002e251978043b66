"""What policy lends agents' boxes, and what it may not."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from tests.policy.making import PLACES, checks, compiled

from bascule.core.confinement import Mount
from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.policy.binds import BindProblem

TEAM = ("bruba-main", "bruba-rex", "bruba-guru", "bruba-manager", "bruba-web")
SEED = [
    "/Users/bruba/agents/bruba-shared/packets:/workspaces/shared/packets:rw",
    "/Users/bruba/agents/bruba-shared/context:/workspaces/shared/context:rw",
    "/Users/bruba/agents/bruba-shared/repo:/workspaces/shared/repo:ro",
]


def bound(*own: str, shared: tuple[str, ...] = (), **more: Any) -> tuple[Mount, ...]:
    sandbox = {"docker": {"binds": list(own)}, **more}
    agents = {"defaults": {"sandbox": {"docker": {"binds": list(shared)}}}, "list": [{"id": "a", "sandbox": sandbox}]}
    policy, _ = compiled({"agents": agents})
    return policy.agents[AgentId("a")].layout.binds


def team(binds: list[str], peers: list[dict[str, str]], agents: tuple[str, ...] = TEAM) -> Any:
    listed = [{"id": name} for name in agents]
    return {
        "agents": {"defaults": {"sandbox": {"mode": "all", "docker": {"binds": binds}}}, "list": listed},
        "peers": peers,
    }


def everyone(agents: tuple[str, ...] = TEAM, send: str = "allow") -> list[dict[str, str]]:
    return [{"from": one, "to": two, "send": send} for one, two in permutations(agents, 2)]


def test_the_seeds_shared_directories_load_for_the_whole_team() -> None:
    policy, _ = compiled(team(SEED, everyone()))
    for agent in policy.agents.values():
        assert agent.layout.binds == (
            Mount("/Users/bruba/agents/bruba-shared/packets", writable=True, target="/workspaces/shared/packets"),
            Mount("/Users/bruba/agents/bruba-shared/context", writable=True, target="/workspaces/shared/context"),
            Mount("/Users/bruba/agents/bruba-shared/repo", target="/workspaces/shared/repo"),
        )


def test_the_homes_own_shared_directories_have_a_short_name() -> None:
    assert bound("shared/packets:/workspaces/shared/packets:rw") == (
        Mount("/h/shared/packets", writable=True, target="/workspaces/shared/packets"),
    )


def test_both_scopes_count_and_what_is_said_twice_is_one() -> None:
    both = bound("/srv/b:/b", "/srv/a:/a:ro", shared=("/srv/a:/a",))
    assert [mount.path for mount in both] == ["/srv/a", "/srv/b"]


def test_only_what_says_rw_is_written() -> None:
    said = bound("/srv/a:/a", "/srv/b:/b:ro", "/srv/c:/c:rw", "/srv/d:/d:z,rw")
    assert [mount.writable for mount in said] == [False, False, True, True]
    agents = {"list": [{"id": "a", "sandbox": {"docker": {"binds": ["/srv/a:/a"]}}}]}
    assert "sandbox.bind_read_only" in checks({"agents": agents})


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("/etc/hosts:/x", "targets"),
        ("/usr/share/doc:/x", "targets"),
        ("/bin:/x", "targets"),
        ("/:/x", "covers"),
        ("/var:/x", "covers"),
        ("/var/run/docker.sock:/x", "targets"),
        ("/run/docker.sock:/x", "targets"),
        ("/srv/engine.sock:/x", "targets"),
        ("/var/lib/docker/volumes:/x", "targets"),
        ("/home/me:/x", "covers"),
        ("/home/other:/x", "targets"),
        ("/home:/x", "covers"),
        ("/Users:/x", "targets"),
        ("/Users/op:/x", "targets"),
        ("/home/me/.ssh:/x", "targets"),
        ("/srv/backup/.gnupg/x:/x", "targets"),
        ("/home/me/.config/x:/x", "targets"),
        ("/h:/x", "targets"),
        ("/h/state:/x", "targets"),
        ("/h/bascule.json5:/x", "targets"),
        ("/h/agents/a/workspace:/x", "targets"),
        ("/h/agents/b/workspace:/x", "targets"),
        ("/h/shared:/x", "targets"),
        ("/opt/code/src:/x", "targets"),
        ("/opt:/x", "covers"),
        ("/srv/x/../../etc:/x", "targets"),
        ("/linked/x:/x", "targets"),
        ("shared/../state:/x", "targets"),
        ("shared/../agents/b:/x", "targets"),
        ("/srv/x:/workspace", "reserved_target"),
        ("/srv/x:/workspace/memory", "reserved_target"),
        ("/srv/x:/tmp/x", "reserved_target"),
        ("/srv/x:/usr/lib/x", "reserved_target"),
        ("/srv/x:/bin", "reserved_target"),
        ("/srv/x:/run/bascule", "reserved_target"),
        ("/srv/x:/opt", "reserved_target"),
        ("/srv/x:/", "reserved_target"),
        ("/srv/x:/var", "reserved_target"),
        ("/srv/x:/a/../proc", "reserved_target"),
        ("/srv/x:/h/agents/a", "reserved_target"),
        ("/srv/x:/h", "reserved_target"),
        ("/srv/x", "malformed"),
        ("/srv/a,b:/x", "malformed"),
        ("srv/x:/x", "non_absolute"),
        ("/srv/x:x", "non_absolute"),
        ("/srv/x:/x:rw,exec", "option"),
        ("/srv/x:/x:rw,ro", "option"),
        ("/srv/x:/x:shared", "option"),
        ("shared/repo:/workspaces/shared/repo:rw", "read_only"),
        ("shared/repo/sub:/code:rw", "read_only"),
        ("/srv/code:/workspaces/shared/repo:rw", "read_only"),
    ],
)
def test_a_mount_that_may_never_be_is_refused_at_its_place(spec: str, kind: str) -> None:
    places = PLACES.__class__(
        PLACES.home, PLACES.user_home, {**PLACES.links, "/linked": "/proc"}, ("/opt/code",), built_tools=frozenset()
    )
    sandbox = {"docker": {"binds": ["/srv/fine:/fine:ro", spec]}}
    with pytest.raises(Malformed) as refused:
        compiled({"agents": {"list": [{"id": "a", "sandbox": sandbox}]}}, places=places)
    assert all(words in refused.value.message for words in BindProblem(kind, "\0").reason.split("\0"))
    assert "agents.list[0].sandbox.docker.binds[1]" in refused.value.message
    assert refused.value.message.startswith("bascule.json5:1:")
    compiled(
        {"agents": {"list": [{"id": "a", "sandbox": {"docker": {"binds": ["/srv/fine:/fine:ro"]}}}]}}, places=places
    )


@pytest.mark.parametrize(
    "binds",
    [
        ["/srv/a:/x", "/srv/b:/x"],
        ["/srv/a:/x", "/srv/b:/x/y"],
        ["/srv/a:/x/y", "/srv/b:/x"],
        ["/srv/a:/x:ro", "/srv/a:/x:rw"],
        ["/srv/a:/x:ro", "/srv/a:/y:rw"],
        [f"/srv/{number}:/x{number}" for number in range(25)],
    ],
)
def test_mounts_in_each_others_way_are_refused(binds: list[str]) -> None:
    with pytest.raises(Malformed):
        bound(*binds)


@pytest.mark.parametrize(
    ("one", "two", "rows", "code"),
    [
        ("/srv/x:/x:rw", "/srv/x:/x:ro", "", "bind_without_peers"),
        ("/srv/x:/x:ro", "/srv/x:/y:rw", "", "bind_without_peers"),
        ("/srv/x:/x:rw", "/srv/x/below:/y:ro", "", "bind_without_peers"),
        ("/srv/x/below:/x:rw", "/srv/x:/y:ro", "", "bind_without_peers"),
        ("/srv/x:/x:rw", "/srv/x:/x:rw", "a>b", "bind_without_peers"),
        ("/srv/x:/x:rw", "/srv/x:/x:ro", "b>a", "bind_without_peers"),
        ("/srv/x:/x:rw", "/srv/x:/x:ro", "a>b b!a", "bind_without_peers"),
        ("/srv/x:/x:rw", "/srv/x:/x:ro", "a>b b>a", ""),
        ("/srv/x:/x:ro", "/srv/x:/x:ro", "", ""),
        ("/srv/x:/x:rw", "/srv/xy:/x:rw", "", ""),
    ],
)
def test_a_written_directory_in_common_is_a_channel_that_peers_must_name(
    one: str, two: str, rows: str, code: str
) -> None:
    listed = [{"id": name, "sandbox": {"docker": {"binds": [spec]}}} for name, spec in (("a", one), ("b", two))]
    peers = [{"from": row[0], "to": row[2], "send": "deny" if row[1] == "!" else "allow"} for row in rows.split()]
    config = {"agents": {"list": listed}, "peers": peers}
    if not code:
        compiled(config)
        return
    with pytest.raises(Malformed) as refused:
        compiled(config)
    assert refused.value.code == code
    assert "a and b" in refused.value.message
    assert "/srv/x" in refused.value.message


def test_asking_before_messages_does_not_ask_about_files() -> None:
    assert "peers.bind_unasked" in checks(team(SEED, everyone(TEAM[:2], "ask"), TEAM[:2]))
    assert "peers.bind_unasked" not in checks(team(SEED, everyone(TEAM[:2]), TEAM[:2]))
