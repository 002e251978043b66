"""Ending containers by their control groups: the right ones, and only groups that bear a container's whole id."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bascule.core.ids import AgentId
from bascule.sandboxes.warden.endings import Endings, group_of

CONTAINER = "0123456789abcdef" * 4
ONE, TWO = AgentId("one"), AgentId("two")


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[int]:
    """A pretended ``/proc`` in which process 7 stands in a container's group."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(f"4:memory:/x\n0::/docker/{CONTAINER}\n")
    descriptor = os.open(tmp_path, os.O_PATH)
    yield descriptor
    os.close(descriptor)


def test_a_group_bears_the_containers_whole_id(proc: int) -> None:
    assert group_of(proc, 7, CONTAINER).endswith(f"/docker/{CONTAINER}")
    other = CONTAINER[::-1]
    assert [group_of(proc, 7, wrong) for wrong in (other, CONTAINER[:12], "", "docker")] == [""] * 4
    assert group_of(proc, 8, CONTAINER) == ""


@pytest.mark.parametrize("own", ["0::/\n", f"0::/{CONTAINER}/inner\n", f"4:memory:/{CONTAINER}\n", "no\n", ""])
def test_anything_else_is_no_group(tmp_path: Path, proc: int, own: str) -> None:
    (tmp_path / "7" / "cgroup").write_text(own)
    assert group_of(proc, 7, CONTAINER) == ""


def groups(tmp_path: Path, *names: str) -> list[Path]:
    """Plain directories in place of the kernel's."""
    found = [tmp_path / name for name in names]
    for path in found:
        path.mkdir()
        for file in ("cgroup.kill", "cgroup.procs"):
            (path / file).write_text("")
    return found


def killed(group: Path) -> bool:
    return (group / "cgroup.kill").read_text() == "1"


def test_one_place_one_agent_or_all(tmp_path: Path) -> None:
    made = groups(tmp_path, "a", "b", "c", "d")
    endings = Endings()
    for place, agent, group in zip("abcd", (ONE, ONE, ONE, TWO), made, strict=True):
        endings.hold(place, agent, str(group))
    seen = []
    for target in ((ONE, "a"), (TWO, "b"), (ONE, ""), (None, "")):
        endings.kill(*target)
        seen.append([killed(group) for group in made])
    assert seen == [
        [True, False, False, False],
        [True, False, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]


def test_each_is_killed_once_and_nothing_stays_open(tmp_path: Path) -> None:
    (group,) = groups(tmp_path, "a")
    before = len(os.listdir("/proc/self/fd"))
    endings = Endings()
    endings.hold("p", ONE, str(group))
    endings.hold("p", TWO, str(group))
    endings.kill(TWO)
    assert not killed(group)
    endings.kill(ONE)
    (group / "cgroup.kill").write_text("")
    endings.kill(None)
    assert not killed(group)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_gone_is_let_go(tmp_path: Path) -> None:
    first, second = groups(tmp_path, "a", "b")
    endings = Endings()
    endings.hold("p", ONE, str(first))
    for file in ("cgroup.kill", "cgroup.procs"):
        (first / file).unlink()
    first.rmdir()
    endings.hold("q", ONE, str(second))
    assert set(endings._held) == {"q"}
    endings.hold("r", ONE, str(tmp_path / "none"))
    endings.hold("s", ONE, "")
    endings.kill(None)
    assert (killed(second), endings._held) == (True, {})


def test_no_link_is_followed(tmp_path: Path) -> None:
    (group,) = groups(tmp_path, "a")
    (tmp_path / "link").symlink_to(group)
    endings = Endings()
    endings.hold("p", ONE, str(tmp_path / "link"))
    endings.kill(None)
    assert not killed(group)
