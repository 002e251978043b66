"""T04: something that is no plain file stands where one is expected."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.attacks.canaries import NAMES, WORD, Canary, canaries, plant
from tests.living import Living, content, living

pytestmark = pytest.mark.live

House = tuple[Living, Mapping[str, Canary]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with living(tmp_path_factory.mktemp("t04") / "home", plant) as made, canaries(made) as known:
        made.call("write", {"path": "memory/x.md", "content": "mine"})
        yield made, known


@pytest.fixture
def place(house: House) -> Iterator[Path]:
    path = house[0].root() / "workspace" / "odd"
    yield path
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def fifo(path: Path) -> None:
    os.mkfifo(path, 0o666)


def device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    path.chmod(0o666)


def disk(path: Path) -> None:
    os.mknod(path, stat.S_IFBLK | 0o666, os.makedev(7, 0))
    path.chmod(0o666)


def directory(path: Path) -> None:
    path.mkdir()


def listener(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's name is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)
    path.chmod(0o777)


KINDS = [fifo, device, disk, directory, listener]


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_wall_it_is_opened_or_holds_the_reader_up(place: Path, kind) -> None:
    kind(place)
    assert not stat.S_ISREG(place.lstat().st_mode)
    if kind is fifo:
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(["cat", str(place)], capture_output=True, timeout=0.3, check=False)
    if kind is device:
        with place.open("rb") as file:
            assert file.read(8) == bytes(8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_tools_refuse_it_and_go_on(house: House, place: Path, kind) -> None:
    made = house[0]
    kind(place)
    before = place.lstat().st_mode
    for tool, args in (
        ("read", {}), ("write", {"content": "x"}), ("write", {"content": "x", "append": True}),
        ("edit", {"oldText": "a", "newText": "b"}),
    ):  # fmt: skip
        report = made.call(tool, {"path": "workspace/odd", **args})
        assert report["outcome"] is None or not report["outcome"]["ok"], args
        assert content(made.call("read", {"path": "memory/x.md"})) == "mine"
    assert place.lstat().st_mode == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_gets_nothing_from_it_and_is_ended_in_time(house: House, place: Path, kind) -> None:
    made = house[0]
    kind(place)
    for command in (
        "cat workspace/odd",
        "cat < workspace/odd",
        "head -c 8 workspace/odd",
        "cat memory/x.md > workspace/odd",
    ):
        report = made.call("exec", {"command": command, "timeout": 1})
        assert report["outcome"] is None or not report["outcome"]["ok"], command
        assert "\0" not in content(report)
    assert content(made.run("cat memory/x.md")) == "mine"


@pytest.mark.parametrize("name", NAMES)
def test_a_second_link_made_by_root_gives_nothing_away(house: House, place: Path, name: str) -> None:
    made, known = house[0], house[1][name]
    try:
        os.link(known.path, place)
    except OSError:  # on another file system no such link can be
        assert known.path.stat().st_dev != place.parent.stat().st_dev or name == "database"
        return
    assert known.word in place.read_bytes().decode("latin-1")
    for tool, args in (("read", {}), ("write", {"content": "x"}), ("edit", {"oldText": known.word, "newText": "x"})):
        report = made.call(tool, {"path": "workspace/odd", **args})
        assert not (report["outcome"] and report["outcome"]["ok"])
        assert known.word not in content(report)
    world = known.path.stat().st_mode & stat.S_IROTH
    for command in ("cat workspace/odd", "grep -ra '' workspace", "cat workspace/*", "cat < workspace/odd"):
        assert world or known.word not in content(made.run(command)), command
    assert known.word in known.path.read_bytes().decode("latin-1")


def test_what_governs_and_what_is_anothers_is_readable_by_no_further_account(house: House) -> None:
    kept = {"another agent", "another agent's workspace", "policy", "allowlist", "accounts", "database", "ledger key"}
    modes = {name: house[1][name].path.stat().st_mode for name in kept | {"shadow", "gateway log"}}
    loose = {name for name, mode in modes.items() if mode & (stat.S_IROTH | stat.S_IWOTH)}
    assert loose == set()
    assert WORD in house[1]["policy"].path.read_text()
