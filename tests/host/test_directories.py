"""Directories of a home, and whose they are."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import BasculeError, Tampered
from bascule.core.ids import AgentId
from bascule.host.directories import CANARY, Owners, acl, prepare_home, verify_home

OWNERS = Owners(0, 1_960_000_000, {AgentId("one"): 1_960_000_001, AgentId("two"): 1_960_000_002})
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files to other accounts")


@given(st.dictionaries(st.integers(0, 2**31), st.integers(0, 7), max_size=4), st.integers(0, 0o777))
def test_access_list_is_sorted_and_its_mask_covers_all(entries: dict[int, int], mode: int) -> None:
    content = acl(entries, mode)
    version = struct.unpack_from("<I", content)[0]
    rows = [struct.unpack_from("<HHI", content, at) for at in range(4, len(content), 8)]
    assert version == 2
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    named = {row[2]: row[1] for row in rows if row[0] == 2}
    mask = next(row[1] for row in rows if row[0] == 0x10)
    assert named == entries
    assert all(bits & ~mask == 0 for bits in (*entries.values(), mode >> 3 & 7))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "home"
    path.mkdir(0o700)
    return path


@as_root
def test_everything_belongs_to_whom_it_should(home: Path) -> None:
    prepare_home(str(home), OWNERS)
    assert verify_home(str(home), OWNERS) == ()
    root = home / "agents" / "one"
    assert (root.stat().st_uid, root.stat().st_mode & 0o7777) == (0, 0o1755)
    assert (home / "state").stat().st_mode & 0o7777 == 0o700
    assert ((home / "state" / CANARY).stat().st_uid, (home / "state" / CANARY).stat().st_mode & 0o777) == (
        OWNERS.gateway, 0o600,
    )  # fmt: skip
    assert {name: (root / name).stat().st_uid for name in ("tools", "workspace", "memory", "output")} == {
        "tools": 0, "workspace": 1_960_000_001, "memory": 1_960_000_001, "output": 1_960_000_001,
    }  # fmt: skip


@as_root
def test_twice_is_once(home: Path) -> None:
    def seen() -> list[tuple[str, int, int, bytes]]:
        found = []
        for path in sorted(home.rglob("*")):
            access = (
                os.getxattr(path, "system.posix_acl_access") if "system.posix_acl_access" in os.listxattr(path) else b""
            )
            found.append((str(path), path.stat().st_uid, path.stat().st_mode, access))
        return found

    prepare_home(str(home), OWNERS)
    first = seen()
    prepare_home(str(home), OWNERS)
    assert seen() == first


@as_root
def test_content_found_in_a_workspace_becomes_the_agents_but_links_stay(home: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.write_text("x")
    place = home / "agents" / "one" / "workspace" / "deep"
    place.mkdir(parents=True)
    (place / "file").write_text("x")
    (place / "link").symlink_to(beside)
    os.link(beside, place / "hard")
    os.mkfifo(place / "fifo")
    prepare_home(str(home), OWNERS)
    assert (place.stat().st_uid, (place / "file").stat().st_uid) == (1_960_000_001, 1_960_000_001)
    assert (beside.stat().st_uid, (place / "link").lstat().st_uid) == (0, 0)


@as_root
@pytest.mark.parametrize("own", ["workspace", "memory", "output"])
def test_what_the_operator_puts_there_later_is_open_to_the_agent(home: Path, own: str) -> None:
    prepare_home(str(home), OWNERS)
    put = home / "agents" / "one" / own / "later"
    put.write_text("x")
    content = os.getxattr(put, "system.posix_acl_access")
    rows = [struct.unpack_from("<HHI", content, at) for at in range(4, len(content), 8)]
    assert (put.stat().st_uid, put.stat().st_mode & 0o007) == (0, 0)
    assert {row[2]: row[1] & 6 for row in rows if row[0] == 2}[1_960_000_001] == 6
    assert next(row[1] for row in rows if row[0] == 0x10) & 6 == 6


@as_root
def test_what_the_agent_owns_is_not_walked(home: Path) -> None:
    prepare_home(str(home), OWNERS)
    planted = home / "agents" / "one" / "workspace" / "planted"
    planted.write_text("root's")
    prepare_home(str(home), OWNERS)
    assert planted.stat().st_uid == 0


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@as_root
@pytest.mark.parametrize(
    "name", ["state", "agents", "agents/one", "agents/one/tools", "agents/one/memory", "shared/repo"]
)
def test_link_in_place_of_a_directory_is_refused_and_not_followed(home: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.mkdir(0o755)
    link(home / name, target)
    with pytest.raises(Tampered):
        prepare_home(str(home), OWNERS)
    assert (target.stat().st_uid, target.stat().st_mode & 0o777, list(target.iterdir())) == (0, 0o755, [])


@as_root
def test_home_that_is_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(home)
    with pytest.raises(BasculeError):
        prepare_home(str(alias), OWNERS)
    assert list(home.iterdir()) == []


@as_root
@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda home: (home / "state").chmod(0o755), "state"),
        (lambda home: os.chown(home / "agents" / "one", 1_960_000_001, 0), "agents/one"),
        (lambda home: os.chown(home / "agents" / "one" / "tools", 1_960_000_002, 0), "agents/one/tools"),
        (lambda home: os.chown(home / "agents" / "two" / "memory", 0, 0), "agents/two/memory"),
        (lambda home: (home / "agents" / "one" / "output").rmdir(), "agents/one/output"),
    ],
)
def test_drift_is_named(home: Path, spoil: Callable[[Path], None], named: str) -> None:
    prepare_home(str(home), OWNERS)
    spoil(home)
    found = verify_home(str(home), OWNERS)
    assert [line.split()[0].rstrip(":") for line in found] == [named]


@as_root
def test_prompts_that_are_not_for_everybody_are_for_the_gateway_at_both_depths(home: Path) -> None:
    for name in ("prompts/all.md", "prompts/one/AGENTS.md"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("be kind")
        (home / name).chmod(0o640)
    prepare_home(str(home), OWNERS)
    for name in ("prompts/all.md", "prompts/one/AGENTS.md"):
        granted = os.getxattr(home / name, "system.posix_acl_access")
        assert granted == acl({OWNERS.gateway: 4}, 0o640)


def _as(uid: int, action: Callable[[], object]) -> bool:
    """Whether an account can do something."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.umask(0)
            action()
            os._exit(0)
        except OSError:
            os._exit(1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@as_root
def test_a_shared_directory_lets_in_whom_it_is_lent_and_as_it_is_lent(passable: Path) -> None:
    home = passable / "home"
    home.mkdir(0o755)
    one, two, three = (1_960_000_000 + number for number in (1, 2, 3))
    agents = {AgentId(name): uid for name, uid in (("one", one), ("two", two), ("three", three))}
    lent = {"packets": {one: True, two: False}}
    prepare_home(str(home), Owners(0, 1_960_000_000, agents, lent))
    packets, context = home / "shared" / "packets", home / "shared" / "context"

    def made(path: Path) -> object:
        return os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o660))

    assert _as(one, lambda: made(packets / "a"))
    assert _as(two, (packets / "a").read_bytes)
    assert not _as(two, lambda: made(packets / "b"))
    assert not _as(two, lambda: (packets / "a").write_bytes(b"x"))
    assert not _as(three, (packets / "a").read_bytes)
    assert not _as(three, lambda: made(packets / "c"))
    assert not _as(one, lambda: made(context / "a"))
    prepare_home(str(home), Owners(0, 1_960_000_000, agents, {"context": {one: True}}))
    assert not _as(one, lambda: made(packets / "d"))
    assert _as(one, lambda: made(context / "a"))
