"""Control groups: where they are, and the seat in one that was handed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bascule.linux import groups
from bascule.linux.groups import SEAT, enable, is_handed_over, parse_mounts, parse_own, settle, take_seat

MOUNTS = """proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""


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


def group(root: Path, *, controllers: str = "cpu io memory pids") -> Path:
    """Plain files in place of the kernel's."""
    (root / "cgroup.controllers").write_text(controllers)
    (root / "cgroup.subtree_control").write_text("")
    (root / SEAT).mkdir()
    (root / SEAT / "cgroup.procs").write_text("")
    return root


def test_a_seat_is_taken_below(tmp_path: Path) -> None:
    assert take_seat(group(tmp_path))
    assert (tmp_path / SEAT / "cgroup.procs").read_text() == "0"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"


def test_without_controllers_to_hand_down_nothing_moves(tmp_path: Path) -> None:
    assert not take_seat(group(tmp_path, controllers="hugetlb"))
    assert (tmp_path / SEAT / "cgroup.procs").read_text() == ""


def test_what_is_handed_down_is_what_the_kernel_says(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("io pids memory")
    assert enable(tmp_path, ()) == ("memory", "pids")
    with pytest.raises(FileNotFoundError):
        enable(tmp_path / "none", ())


def test_a_managers_mark_says_what_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks: dict[str, bytes] = {}

    def getxattr(_path: Path, name: str) -> bytes:
        if name not in marks:
            raise OSError(61, "no such mark")
        return marks[name]

    monkeypatch.setattr(os, "getxattr", getxattr)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not is_handed_over(tmp_path)
    marks["trusted.delegate"] = b"1"
    assert is_handed_over(tmp_path)
    marks["user.delegate"] = b"0"
    assert not is_handed_over(tmp_path)


@pytest.mark.parametrize(("stranger", "handed"), [(0, True), (1, False)])
def test_a_group_of_an_ordinary_accounts_own_is_its_to_divide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: int, handed: bool
) -> None:
    (tmp_path / "cgroup.procs").touch()
    if os.geteuid() == 0:
        os.chown(tmp_path, 1000, 1000)
    account = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: account + stranger)
    assert is_handed_over(tmp_path) is handed


def test_root_divides_nothing_by_owning_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.procs").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not is_handed_over(tmp_path)


def test_nobody_moves_where_nothing_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path("/proc/self/cgroup").read_text()
    monkeypatch.setattr(groups, "is_handed_over", lambda _group: False)
    settle()
    assert Path("/proc/self/cgroup").read_text() == before
