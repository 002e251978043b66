"""Control groups: where they are, what is in force."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bascule.core.confinement import Limits
from bascule.sandboxes.warden.cgroups import Cgroups, Group, Hierarchy, detect, parse_mounts, parse_own

MOUNTS = """proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""
LIMITS = Limits(64 << 20, 7, 1, 1, 1, 1)


def test_mounts_of_both_versions_are_found() -> None:
    controllers, unified = parse_mounts(MOUNTS)
    assert (controllers["memory"], controllers["cpu"], unified) == (
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/cpu,cpuacct",
        "/sys/fs/cgroup/unified",
    )


def test_own_groups() -> None:
    assert parse_own("4:memory:/a\n3:cpu,cpuacct:/b:c\n0::/d\n") == {
        "memory": "/a",
        "cpu": "/b:c",
        "cpuacct": "/b:c",
        "": "/d",
    }


def test_nothing_to_use_limits_nothing_and_says_so() -> None:
    groups = Cgroups((), ())
    group = groups.lend()
    assert (group, groups.limit(group, LIMITS)) == (Group(()), (0, 0))


def fake(tmp_path: Path) -> Cgroups:
    """Plain files in place of the kernel's: what is written is what is read back."""
    return Cgroups((Hierarchy(tmp_path, "memory.max", "memory.swap.max", "0", "0", "pids.max"),), ())


def test_limits_are_those_read_back(tmp_path: Path) -> None:
    groups = fake(tmp_path)
    group = groups.lend()
    assert groups.limit(group, LIMITS) == (64 << 20, 7)
    assert (group.directories[0] / "memory.swap.max").read_text() == "0"


def test_groups_are_used_again(tmp_path: Path) -> None:
    groups = fake(tmp_path)
    first = groups.lend()
    assert groups.lend() != first
    groups.take_back(first)
    assert groups.lend() == first


def test_unwritable_limit_counts_as_none(tmp_path: Path) -> None:
    groups = Cgroups((Hierarchy(tmp_path / "missing"),), ())
    assert groups.lend() == Group(())


@pytest.mark.live
def test_this_machine_keeps_what_it_promises() -> None:
    if os.geteuid() != 0:
        pytest.skip("control groups can be made by root only")
    groups = detect()
    try:
        group = groups.lend()
        memory, pids = groups.limit(group, LIMITS)
        assert (memory in {0, 64 << 20}, pids in {0, 7}) == (True, True)
        assert bool(group.directories) == bool(memory or pids)
    finally:
        groups.close()
    assert not any(directory.exists() for directory in group.directories)
