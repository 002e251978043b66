"""T18: a box gains rights. Every step is first taken by root in namespaces of its own, where it works."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.probing import BACKENDS, READING, WRITING, inside, list_probe, list_program, outside
from tests.living import Living, content, effect, living

pytestmark = pytest.mark.live

APART = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup", "--fork", "--mount-proc")
WORK_FOR_ROOT = (
    "unshare mount", "unshare uts", "unshare ipc", "unshare net", "clone mount", "clone net", "mount tmpfs", "chroot",
    "ptrace me", "setuid", "setgid", "setgroups", "chmod setuid", "chown", "setxattr", "mknod", "symlink", "priority",
    "hostname", "core_pattern", "memfd_create",
)  # fmt: skip
SYSTEM = {"unshare": "-U id", "setpriv": "--reuid=0 id", "nsenter": "-t 1 -m id", "mount": "-t tmpfs none workspace"}


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        list_probe(made)
        for name in SYSTEM:
            list_program(made, f"/usr/bin/{name}", writes=True, needs=["/usr/bin/id"])
        list_program(made, "tools/raised", writes=True)

    with living(tmp_path_factory.mktemp("t18") / "home", prepare, request.param) as made:
        for place in ("tools", "workspace"):
            raised(made.root() / place / "raised")
        yield made


def raised(path: Path) -> None:
    """``id`` as a file of root's with the setuid bit."""
    shutil.copy(shutil.which("id") or "id", path)
    os.chown(path, 0, 0)
    path.chmod(0o4755)


def test_root_in_namespaces_of_its_own_takes_these_steps(tmp_path: Path) -> None:
    done = outside("rights", str(tmp_path), *WORK_FOR_ROOT, before=APART)
    assert {name for name, said in done.items() if not said.startswith("ok")} == set()
    assert len(done) == len(WORK_FOR_ROOT)


def test_a_box_takes_none(house: Living) -> None:
    done = inside(house, "rights", "/workspace/workspace", tool=WRITING)
    assert set(WORK_FOR_ROOT) <= set(done)
    assert {name: said for name, said in done.items() if said.startswith(("ok", "killed"))} == {}
    assert {path.name for path in (house.root() / "workspace").iterdir()} <= {"mine", "below", "raised"}


@pytest.mark.parametrize("tool", [READING, WRITING])
def test_the_kernel_knows_a_box_as_the_agent_and_nothing_more(house: Living, tool: str) -> None:
    who = inside(house, "who", tool=tool)
    uid = str(house.uid())
    assert who["Uid"].split() == who["Gid"].split() == [uid] * 4
    assert [who[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == ["0" * 16] * 5
    assert (who["NoNewPrivs"], who["Seccomp"]) == ("1", "2")
    assert set(who["Groups"].split()) <= set(who["Gid"].split())  # Docker puts an account into its own group twice
    assert outside("who")["CapEff"] != "0" * 16


def test_a_setuid_file_raises_its_caller_and_no_box(house: Living) -> None:
    folder = Path(tempfile.mkdtemp(prefix="bascule-attack-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        raised(folder / "raised")
        assert outside("execute", str(folder / "raised"), uid=house.uid()) == {str(folder / "raised"): "ok 0\n"}
    finally:
        shutil.rmtree(folder)
    assert content(house.run("tools/raised -u")) == f"{house.uid()}\n"
    assert inside(house, "execute", "/workspace/workspace/raised", tool=WRITING) == {
        "/workspace/workspace/raised": "EACCES"
    }
    assert effect(house.run("workspace/raised -u")) == "deny"


@pytest.mark.parametrize("name", SYSTEM)
def test_a_listed_system_program_raises_nobody(house: Living, name: str) -> None:
    report = house.run(f"{name} {SYSTEM[name]}")
    assert effect(report) == "allow", report["decision"]
    assert report["outcome"]["exit"] != 0
    assert "uid=0" not in content(report)
