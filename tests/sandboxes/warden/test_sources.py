"""What may be mounted, checked on what was opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bascule.core.errors import BasculeError, Tampered, Unavailable
from bascule.sandboxes.warden.sources import Hashes, check_tools, close_all, open_stage
from bascule.sandboxes.warden.stage import Bind, Stage

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts can be cloned by root only")
AGENT = 1_960_000_001
AGENTS = frozenset({AGENT})


def stage(*binds: Bind) -> Stage:
    return Stage(binds, (), {}, {}, 4096)


def opened(made: Stage, expected: dict[str, str]) -> int:
    mounts = open_stage(made, expected, Hashes(), AGENTS)
    count = len(mounts)
    close_all(mounts)
    return count


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "program"
    path.write_text("content")
    path.chmod(0o755)
    return path


def test_the_judged_file_opens(program: Path) -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    assert opened(stage(Bind(str(program), "/usr/bin/x", executable=True)), {str(program): digest}) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("other"),
        lambda path: os.chown(path, AGENT, 0),
        lambda path: path.chmod(0o757),
        lambda path: (path.chmod(0o775), os.chown(path, 0, AGENT)),
    ],
)
def test_another_file_or_one_an_agent_could_change_is_tampered(program: Path, spoil: Callable[[Path], object]) -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    spoil(program)
    with pytest.raises(Tampered):
        opened(stage(Bind(str(program), "/usr/bin/x", executable=True)), {str(program): digest})


def test_judged_file_that_is_not_in_the_stage_is_tampered(program: Path) -> None:
    with pytest.raises(Tampered):
        opened(stage(Bind(str(program), "/usr/bin/x")), {"/usr/bin/other": "0" * 64})


@pytest.mark.parametrize("kind", ["link", "fifo", "missing", "below a link"])
def test_sources_that_are_no_plain_files_are_refused(program: Path, kind: str) -> None:
    place = program.parent / "place"
    if kind == "link":
        place.symlink_to(program)
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "below a link":
        place.symlink_to(program.parent)
        place = place / "program"
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unavailable):
        opened(stage(Bind(str(program), "/a"), Bind(str(place), "/b")), {})
    assert len(os.listdir("/proc/self/fd")) == before


def test_hash_follows_the_content(program: Path) -> None:
    hashes = Hashes()
    for content in (b"one", b"two", b"two"):
        program.write_bytes(content)
        with program.open("rb") as file:
            assert hashes.of(file.fileno()) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("spoil", "safe"),
    [
        (lambda tools: None, True),
        (lambda tools: os.chown(tools, AGENT, 0), False),
        (lambda tools: os.chown(tools / "deep" / "x", AGENT, 0), False),
        (lambda tools: (tools / "deep").chmod(0o777), False),
        (lambda tools: (tools / "deep" / "x").chmod(0o646), False),
        (lambda tools: (tools / "link").symlink_to("/etc"), True),
    ],
)
def test_tools_are_safe_only_if_no_agent_could_change_any(
    tmp_path: Path, spoil: Callable[[Path], object], safe: bool
) -> None:
    tools = tmp_path.resolve() / "tools"
    (tools / "deep").mkdir(parents=True)
    (tools / "deep" / "x").write_text("x")
    for path in (tools, tools / "deep", tools / "deep" / "x"):
        path.chmod(0o755)
    spoil(tools)
    assert (check_tools(str(tmp_path.resolve()), AGENTS) == "") is safe


def test_missing_tools_are_told(tmp_path: Path) -> None:
    assert check_tools(str(tmp_path.resolve()), AGENTS)
    (tmp_path / "tools").symlink_to("/usr")
    assert check_tools(str(tmp_path.resolve()), AGENTS)


def test_errors_are_the_houses_own(program: Path) -> None:
    with pytest.raises(BasculeError):
        opened(stage(Bind("/proc/self/fd", "/x")), {})


def test_a_source_that_cannot_be_opened_says_so_in_words(tmp_path: Path) -> None:
    there = tmp_path.resolve()
    (there / "link").symlink_to(there)
    for path, words, remedy in (("missing", "is not there", "make it first"), ("link", "a link", "what it leads to")):
        with pytest.raises(Unavailable) as refused:
            opened(stage(Bind(str(there / path), "/x")), {})
        assert (refused.value.code, words in refused.value.message) == ("box_source", True)
        assert remedy in refused.value.remedy
