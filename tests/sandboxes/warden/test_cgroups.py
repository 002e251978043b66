"""Control groups: where they are, what is in force."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bascule.core.confinement import Limits
from bascule.linux.groups import SEAT, enable
from bascule.sandboxes.warden.cgroups import Cgroups, Group, Hierarchy, InForce, _unified, detect

LIMITS = Limits(64 << 20, 7, 1, 1, 1, 1, cpus=1500)


def test_nothing_to_use_limits_nothing_and_says_so() -> None:
    groups = Cgroups((), ())
    group = groups.lend()
    assert (group, groups.limit(group, LIMITS)) == (Group(()), InForce())


def fake(tmp_path: Path) -> Cgroups:
    """Plain files in place of the kernel's: what is written is what is read back."""
    return Cgroups((Hierarchy(tmp_path, "memory.max", "memory.swap.max", "0", "0", "pids.max", "cpu.max"),), ())


def test_limits_are_those_read_back(tmp_path: Path) -> None:
    groups = fake(tmp_path)
    group = groups.lend()
    assert groups.limit(group, LIMITS) == InForce(64 << 20, 7, 1500)
    assert (group.directories[0] / "memory.swap.max").read_text() == "0"
    assert (group.directories[0] / "cpu.max").read_text() == "150000 100000"


def test_groups_are_used_again(tmp_path: Path) -> None:
    groups = fake(tmp_path)
    first = groups.lend()
    assert groups.lend() != first
    groups.take_back(first)
    assert groups.lend() == first


def test_unwritable_limit_counts_as_none(tmp_path: Path) -> None:
    groups = Cgroups((Hierarchy(tmp_path / "missing"),), ())
    assert groups.lend() == Group(())


@pytest.mark.parametrize(("cpus", "quota", "period"), [(1000, "100000", "100000"), (4, "4000", "1000000")])
def test_version_1_keeps_quota_and_period_apart(tmp_path: Path, cpus: int, quota: str, period: str) -> None:
    groups = Cgroups((Hierarchy(tmp_path, cpu_file="quota", period_file="period"),), ())
    group = groups.lend()
    assert groups.limit(group, replace(LIMITS, cpus=cpus)) == InForce(cpus=cpus)
    found = [(group.directories[0] / name).read_text() for name in ("quota", "period")]
    assert found == [quota, period]


def test_a_group_gets_what_the_next_box_may_use(tmp_path: Path) -> None:
    groups = fake(tmp_path)
    group = groups.lend()
    groups.limit(group, LIMITS)
    groups.take_back(group)
    assert groups.limit(groups.lend(), replace(LIMITS, cpus=250)).cpus == 250


def tree(root: Path, *, granted: str) -> Path:
    """A version 2 tree in plain files, in which a service sits in its seat."""
    for place, controllers in {"": "cpu memory pids", "s.service": granted, f"s.service/{SEAT}": ""}.items():
        (root / place).mkdir(exist_ok=True)
        (root / place / "cgroup.subtree_control").write_text(controllers)
    return root


def test_boxes_get_groups_beside_the_seat_and_none_at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    found = _unified(tree(tmp_path, granted="cpu memory pids"), f"/s.service/{SEAT}")
    assert found is not None
    assert (found[0].base, found[0].cpu_file) == (tmp_path / "s.service" / "ours", "cpu.max")


def test_where_the_group_hands_nothing_down_the_root_is_left_alone(tmp_path: Path) -> None:
    assert _unified(tree(tmp_path, granted=""), f"/s.service/{SEAT}") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cgroup.subtree_control", "s.service"]


def test_without_a_seat_the_root_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    found = _unified(tree(tmp_path, granted=""), "/s.service")
    assert found is not None
    assert found[0].base == tmp_path / "ours"


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel adds what is written to a group's list; a plain file would keep what was written last."""
    monkeypatch.setattr("bascule.sandboxes.warden.cgroups._claim", claimed)
    monkeypatch.setattr("bascule.sandboxes.warden.cgroups.enable", lambda group, _wanted: enable(group, ()))


def claimed(parent: Path) -> tuple[Path, int]:
    base = parent / "ours"
    base.mkdir()
    (base / "cgroup.subtree_control").write_text((parent / "cgroup.subtree_control").read_text())
    return base, -1


@pytest.mark.live
def test_this_machine_keeps_what_it_promises() -> None:
    if os.geteuid() != 0:
        pytest.skip("control groups can be made by root only")
    groups = detect()
    try:
        group = groups.lend()
        held = groups.limit(group, LIMITS)
        assert (held.memory in {0, 64 << 20}, held.pids in {0, 7}, held.cpus in {0, 1500}) == (True, True, True)
        assert bool(group.directories) == (held != InForce())
    finally:
        groups.close()
    assert not any(directory.exists() for directory in group.directories)
