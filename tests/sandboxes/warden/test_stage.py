"""What a box contains."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.confinement import Mount
from bascule.core.errors import Malformed
from bascule.core.paths import is_within
from bascule.sandboxes.warden.stage import (
    Agent,
    Bind,
    Supplies,
    container_binds,
    granted_binds,
    program_stage,
    worker_stage,
)

AGENT = Agent("/home/op/.b/agents/one", 7, tools_safe=True)
LOOSE = Agent("/home/op/.b/agents/one", 7, tools_safe=False)
SYSTEM = {"/usr/bin/grep": "/usr/bin/grep"}


def made(agent: Agent, *, writable: bool, mentions: bool = False) -> tuple[Bind, ...]:
    supplies = Supplies(SYSTEM, {}, granted_binds((Mount("/srv/x"),), "/home/op/.b/shared"), writable)
    return program_stage(agent, supplies, mentions_root=mentions, tools=[], scratch_bytes=1).binds


def test_nothing_is_writable_unless_asked() -> None:
    assert not any(bind.writable for bind in made(AGENT, writable=False, mentions=True))
    assert {bind.target for bind in made(AGENT, writable=True) if bind.writable} == {
        "/workspace/workspace",
        "/workspace/memory",
        "/workspace/output",
    }


@given(st.booleans(), st.booleans(), st.booleans())
def test_nothing_is_both_writable_and_executable(safe: bool, writable: bool, mentions: bool) -> None:
    for bind in made(AGENT if safe else LOOSE, writable=writable, mentions=mentions):
        assert not (bind.writable and bind.executable)


def test_operators_spelling_shows_the_same_mounts() -> None:
    there = {bind.target for bind in made(AGENT, writable=True, mentions=True)}
    for name in ("", "/workspace", "/memory", "/output"):
        assert {f"/workspace{name}", AGENT.root + name} <= there


def test_unsafe_tools_are_covered() -> None:
    supplies = Supplies(SYSTEM, {}, (), writable=False)
    found = program_stage(LOOSE, supplies, mentions_root=True, tools=[], scratch_bytes=1)
    assert set(found.hidden) == {"/workspace/tools", f"{LOOSE.root}/tools"}
    assert not any("tools" in bind.source for bind in found.binds)
    assert worker_stage(LOOSE, supplies, code="/c", canary="/k").hidden == ("/workspace/tools",)


def test_worker_executes_nothing_of_the_agents() -> None:
    found = worker_stage(AGENT, Supplies(SYSTEM, {}, (), writable=True), code="/code", canary="/state/canary")
    assert {bind.source for bind in found.binds if bind.executable} == set(SYSTEM)


def test_outer_grants_come_first_and_shared_has_its_own_place() -> None:
    mounts = (Mount("/srv/a/b"), Mount("/home/op/.b/shared/packets", writable=True), Mount("/srv"))
    assert granted_binds(mounts, "/home/op/.b/shared") == (
        Bind("/srv", "/srv"),
        Bind("/srv/a/b", "/srv/a/b"),
        Bind("/home/op/.b/shared/packets", "/workspaces/shared/packets", writable=True),
    )


def test_a_second_name_that_would_lie_in_another_mount_is_left_out() -> None:
    outer, inner = Mount("/srv/a", writable=True, target="/x"), Mount("/srv/a/b", target="/y")
    found = container_binds((outer, inner), "/h/shared")
    assert [bind.target for bind in found] == ["/x", "/y", "/srv/a"]
    assert [bind.target for bind in container_binds((Mount("/srv/a", target="/srv"),), "/h/shared")] == ["/srv"]


def test_what_another_mount_shows_anyway_is_not_mounted_again() -> None:
    assert container_binds((Mount("/srv/a/b"), Mount("/srv/a")), "/h/shared") == (Bind("/srv/a", "/srv/a"),)


@pytest.mark.parametrize(
    "inner", [Mount("/srv/b", target="/x/b"), Mount("/srv/a/b/c", target="/x/b"), Mount("/srv/a/b", True, "/x/b")]
)
def test_a_mount_within_another_is_refused_where_it_shows_something_else(inner: Mount) -> None:
    with pytest.raises(Malformed) as refused:
        container_binds((inner, Mount("/srv/a", target="/x")), "/h/shared")
    assert refused.value.code == "mount_nested"


def test_a_scratch_place_meets_no_mount() -> None:
    for place in ("/x/tmp", "/x"):
        with pytest.raises(Malformed):
            container_binds((Mount("/srv/a", target="/x"),), "/h/shared", [place])
    assert container_binds((Mount("/srv/a", target="/x"),), "/h/shared", ["/y"])


names = st.sampled_from(["/a", "/a/b", "/a/b/c", "/d", "/d/a", "/h/shared/p"])


@given(st.lists(st.builds(Mount, names, st.booleans(), st.one_of(st.just(""), names)), max_size=5))
def test_no_container_mount_lies_in_another(mounts: list[Mount]) -> None:
    found: tuple[Bind, ...] = ()
    with suppress(Malformed):
        found = container_binds(mounts, "/h/shared")
    assert not [1 for one in found for other in found if one is not other and is_within(one.target, other.target)]
