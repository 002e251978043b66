"""T06: a file's name becomes an option, or a word becomes several.

Each attack first works in an unboxed shell, in a directory with the same names; the gate then takes the same pattern.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.living import Living, codes, content, effect, living

pytestmark = pytest.mark.live

CANARY = "canary-" + secrets.token_hex(8)
SIZE = "48611"
ARGUMENTS = "#!/bin/sh\nprintf '%s\\0' \"$@\"\n"

ODD = (
    "--files0-from=list",
    "-rf",
    "--help",
    "--version",
    "-delete",
    "-exec",
    "-",
    "--",
    "-n1",
    "-f",
    "--include=x",
    "a b",
    " leading",
    "trailing ",
    "new\nline",
    "tab\there",
    "\x1b[31mred\x1b[0m",
    "\u202egnirts",
    "'quote\"s'",
    "$(id)",
    "`id`",
    "a;id",
    "a|id",
    "a&id",
    ">out",
    "<in",
    "*",
    "?",
    "[x]",
    "back\\slash",
    "~",
    "!!",
    "#",
    "{}",
    "x" * 255,
    "\u00e9" * 127,
)
"""Names that some program, shell or screen takes for more than a name."""

NOT_TEXT = b"not\xff\xfetext"


@dataclass(frozen=True)
class Ground:
    made: Living
    copy: Path

    def unboxed(self, command: str, folder: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.copy / folder, capture_output=True, text=True, errors="replace",
            check=False, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )  # fmt: skip
        return done.stdout + done.stderr


FOLDERS = {
    "list": ("--files0-from=list", "list"),
    "help": ("--help", "zzz"),
    "version": ("--version", "zzz"),
    "all": ("-a", "zzz"),
    "recursive": ("-r", "canary", "sub"),
    "delete": ("-delete", ".keep"),
}
"""Directories by the trick that their names play."""


def furnish(root: Path, outside: Path) -> None:
    for folder, names in FOLDERS.items():
        (root / folder).mkdir()
        for name in names:
            (root / folder / name).write_text("plain\n")
    (root / "list" / "list").write_bytes(os.fsencode(outside / "plain") + b"\0")
    (root / "recursive" / "sub").unlink()
    (root / "recursive" / "sub").mkdir()
    (root / "recursive" / "sub" / "inner").write_text(CANARY)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    base = tmp_path_factory.mktemp("t06")

    def prepare(made: Living) -> None:
        own = made.root() / "workspace"
        (own / "odd").mkdir()
        for name in ODD:
            (own / "odd" / name).write_text(f"in {name}\n")
        (own / "broken").mkdir()
        (own / "broken" / "fine").write_text("fine\n")
        with open(os.fsencode(own / "broken") + b"/" + NOT_TEXT, "w") as file:
            file.write("found\n")
        script = made.root() / "tools" / "arguments.sh"
        script.write_text(ARGUMENTS)
        script.chmod(0o755)

    with tempfile.TemporaryDirectory(prefix="outside-") as name:
        outside = Path(name)
        outside.chmod(0o755)
        (outside / "plain").write_text("x" * int(SIZE))
        copy = base / "copy"
        copy.mkdir()
        furnish(copy, outside)
        with living(base / "home", prepare) as made:
            yield Ground(made, copy)


@pytest.fixture
def here(ground: Ground, request: pytest.FixtureRequest) -> Iterator[str]:
    """Puts one folder's names where the agent's commands start; only the operator can."""
    folder = str(request.param)
    root = ground.made.root()
    put = []
    for source in sorted((ground.copy / folder).rglob("*")):
        target = root / source.relative_to(ground.copy / folder)
        target.mkdir() if source.is_dir() else target.write_bytes(source.read_bytes())
        put.append(target)
    yield folder
    for target in reversed(put):
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink(missing_ok=True)


ATTACKS = [
    ("list", "wc -c [-]*", SIZE),
    ("list", "wc [-]*", SIZE),
    ("list", "du -b [-]*", SIZE),
    ("help", "cat *", "Usage:"),
    ("help", "ls *", "Usage:"),
    ("help", "head [-]*", "Usage:"),
    ("help", "tail *", "Usage:"),
    ("help", "grep x *", "Usage:"),
    ("help", "wc *", "Usage:"),
    ("help", "du *", "Usage:"),
    ("help", "find *", "Usage:"),
    ("help", "uname *", "Usage:"),
    ("help", "whoami *", "Usage:"),
    ("version", "uname [-]*", "(GNU coreutils)"),
    ("version", "whoami [-]*", "(GNU coreutils)"),
    ("version", "grep [-]*", "(GNU grep)"),
    ("all", "uname [-]*", "GNU/Linux"),
    ("recursive", "grep *", CANARY),
]


@pytest.mark.parametrize(
    ("here", "command", "mark"),
    ATTACKS,
    indirect=["here"],
    ids=[f"{here}-{command}" for here, command, _ in ATTACKS],  # without marks: they differ from process to process
)
def test_a_name_is_no_option(ground: Ground, here: str, command: str, mark: str) -> None:
    bare = ground.unboxed(command, here)
    assert mark in bare, "the trick does not work even without the wall"
    assert mark not in content(ground.made.run(command))


@pytest.mark.parametrize("here", ["delete"], indirect=True)
def test_a_name_deletes_nothing(ground: Ground, here: str) -> None:
    keep = ground.made.root() / ".keep"
    ground.made.run("find *")
    assert keep.exists()
    ground.unboxed("find *", here)
    assert not (ground.copy / here / ".keep").exists()


def test_every_name_reaches_a_program_as_one_word(ground: Ground) -> None:
    report = ground.made.run("tools/arguments.sh workspace/odd/*")
    assert effect(report) == "allow"
    words = content(report).split("\0")
    assert words.pop() == ""
    assert sorted(words) == sorted(f"./workspace/odd/{name}" for name in ODD)


def test_the_card_and_the_record_hold_every_word_as_it_was_run(ground: Ground) -> None:
    report = ground.made.run("file workspace/odd/[-]*")
    assert effect(report) == "ask"
    card = ground.made.client.request("approvals_show", ref=report["approval"]["id"])["card"]
    runs = next(line for line in card if line.startswith("runs"))
    assert all(f"./workspace/odd/{name}" in runs for name in ODD if name.startswith("-"))
    assert all("\n" not in line for line in card)


@pytest.mark.parametrize("program", ["ls", "cat", "head", "tail", "grep in", "find", "wc", "du"])
@pytest.mark.parametrize("pattern", ["workspace/odd/*", "workspace/odd/[-]*", "workspace/o*/?*"])
def test_every_program_takes_every_name_for_a_file(ground: Ground, program: str, pattern: str) -> None:
    report = ground.made.run(f"{program} {pattern}")
    assert effect(report) == "allow", codes(report)
    got = content(report)
    assert (report["outcome"]["ok"], "Usage:" in got, "No such file" in got) == (True, False, False), got


@pytest.mark.parametrize("name", ODD)
def test_every_name_can_be_read_by_its_own_spelling(ground: Ground, name: str) -> None:
    assert content(ground.made.call("read", {"path": f"workspace/odd/{name}"})) == f"in {name}\n"


@pytest.mark.parametrize("program", ["ls", "cat", "tools/arguments.sh"])
def test_a_name_that_is_not_text_is_refused_whole(ground: Ground, program: str) -> None:
    report = ground.made.run(f"{program} workspace/broken/*")
    assert effect(report) == "deny"
    assert codes(report) == {"glob_name_not_text"}
    assert report["outcome"] is None


def test_a_directory_with_such_a_name_can_still_be_used(ground: Ground) -> None:
    assert content(ground.made.run("cat workspace/broken/fine")) == "fine\n"
    assert "found" in content(ground.made.run("grep -rh found workspace/broken"))
