"""T05, after the operator approved: a yes opens what the card showed, read-only or for one file, and nothing beside it.

Without the wall each command brings back its mark: an unboxed shell runs it first.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.living import Living, content, effect, living

pytestmark = pytest.mark.live

SHOWN, BESIDE, BELOW = ("canary-" + secrets.token_hex(8) for _ in range(3))
SIZE = "48611"
PEEK = '#!/bin/sh\neval "$*"\n'


@dataclass(frozen=True)
class Ground:
    made: Living
    outside: Path

    def command(self, text: str) -> str:
        return text.replace("@OUT", str(self.outside))

    def ask(self, command: str) -> dict[str, Any]:
        """Ask, and return the question with its card."""
        report = self.made.run(self.command(command))
        assert effect(report) == "ask", report["decision"]
        return dict(self.made.client.request("approvals_show", ref=report["approval"]["id"]))

    def approved(self, command: str) -> str:
        report = self.made.approved("exec", {"command": self.command(command)})
        assert report["outcome"] is not None, report["decision"]
        return content(report)


def lay_out(outside: Path) -> None:
    outside.chmod(0o755)
    (outside / "shown").write_text(SHOWN + "\n")
    (outside / "beside").write_text(BESIDE + "\n" + "x" * (int(SIZE) - len(BESIDE) - 2) + "\n")
    (outside / "below").mkdir()
    (outside / "below" / "inner").write_text(BELOW + "\n")
    (outside / "below" / "up").symlink_to("../beside")
    (outside / "link").symlink_to("beside")
    for name in ("open", "other"):
        (outside / name).write_text("before\n")
        (outside / name).chmod(0o666)


def furnish(made: Living, outside: Path) -> None:
    (made.root() / "workspace" / "list").write_bytes(f"{outside}/beside".encode() + b"\0")
    (made.root() / "workspace" / "notes.md").write_text("notes\n")
    (made.root() / "tools" / "peek.sh").write_text(PEEK)
    (made.root() / "tools" / "peek.sh").chmod(0o755)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="outside-") as name:
        outside = Path(name)
        lay_out(outside)
        base = tmp_path_factory.mktemp("t05b")
        with living(base / "home", lambda made: furnish(made, outside)) as made:
            yield Ground(made, outside)


OPENS = {
    "cat @OUT/shown": (SHOWN, BESIDE),
    "grep -r canary @OUT/shown": (SHOWN, BESIDE),
    "head -c 99 @OUT/shown @OUT/below/inner": (SHOWN, BESIDE),
    "grep -r canary @OUT/below": (BELOW, SHOWN),
    "grep -R canary @OUT/below": (BELOW, BESIDE),
    "find @OUT/shown": ("/shown", "beside"),
    "ls @OUT/below": ("inner", "beside"),
    "cat < @OUT/shown": (SHOWN, BESIDE),
    "tools/peek.sh : @OUT/shown ';' 'cat @OUT/*'": (SHOWN, BESIDE),
    "tools/peek.sh : @OUT/below ';' 'cat @OUT/below/inner @OUT/below/up'": (BELOW, BESIDE),
}
"""Each command with what its yes opens, and a mark that a wider opening would show."""


@pytest.mark.parametrize("command", OPENS)
def test_a_yes_opens_what_the_card_showed_and_no_more(ground: Ground, command: str) -> None:
    opened, closed = OPENS[command]
    card = "\n".join(ground.ask(command)["card"])
    assert re.search(rf"outside its directory: read {re.escape(str(ground.outside))}/\S+ ", card)
    assert f"read {ground.outside} " not in card
    assert f"{ground.outside}/beside" not in card
    got = ground.approved(command)
    assert opened in got
    assert closed not in got


TRICKS = {
    "find @OUT/shown -execdir find . \\;": "beside",
    "find @OUT/below/inner -execdir /usr/bin/find . \\;": "/up",
    "du -b --files0-from=workspace/list -X @OUT/shown": SIZE,
    "cat @OUT/link": BESIDE,
    "bash -c 'cat @OUT/beside; echo $(< @OUT/beside)'": BESIDE,
    "sh -c 'read x < @OUT/beside; echo $x'": BESIDE,
    "find workspace -maxdepth 0 -exec id \\;": "uid=",
    "find workspace -maxdepth 0 -exec /usr/bin/id \\;": "uid=",
    "find workspace -maxdepth 0 -exec sh -c id \\;": "uid=",
    "bash -c 'id; exec /usr/bin/id'": "uid=",
    "tools/peek.sh : /usr/bin/id ';' /usr/bin/id": "uid=",
}
"""Commands that ask, with the mark that their yes must not bring."""


@pytest.mark.parametrize("command", TRICKS)
def test_a_yes_is_not_stretched_by_a_trick(ground: Ground, command: str) -> None:
    mark = TRICKS[command]
    bare = subprocess.run(
        ["bash", "-c", ground.command(command)], cwd=ground.made.root(), capture_output=True, text=True, check=False
    )
    assert mark in bare.stdout, "the trick does not work even without the wall"
    assert mark not in ground.approved(command)


def test_the_loader_does_not_start_what_a_yes_opened(ground: Ground) -> None:
    found = [*Path("/lib64").glob("ld-linux*.so.*"), *Path("/lib").glob("ld-linux*.so.*")]
    command = f"find workspace -maxdepth 0 -exec {os.path.realpath(found[0])} /usr/bin/id \\;"
    bare = subprocess.run(["bash", "-c", command], cwd=ground.made.root(), capture_output=True, text=True, check=False)
    assert "uid=" in bare.stdout
    assert "uid=" not in ground.approved(command)


def test_the_card_of_an_unlisted_program_shows_it_and_its_box_holds_nothing_else(ground: Ground) -> None:
    card = "\n".join(ground.ask("id")["card"])
    assert "program /usr/bin/id (native), sha256 " in card
    uid = ground.made.uid()
    assert ground.approved("id") == f"uid={uid}(agent) gid={uid}(agent) groups={uid}(agent)\n"
    names = {line.partition("=")[0] for line in ground.approved("env").splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "PWD"}


def test_one_file_is_written_if_exactly_that_was_approved(ground: Ground) -> None:
    def state() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in ground.outside.iterdir() if path.is_file()}

    before = state()
    card = "\n".join(ground.ask("cat workspace/notes.md > @OUT/open")["card"])
    assert f"outside its directory: write {ground.outside}/open" in card
    assert state() == before
    ground.approved("cat workspace/notes.md > @OUT/open")
    assert state() == {**before, "open": b"notes\n"}
    ground.approved("cat workspace/notes.md | tee -a @OUT/open")
    assert state() == {**before, "open": b"notes\nnotes\n"}


@pytest.mark.parametrize("command", ["cat workspace/notes.md > @OUT/shown", "touch @OUT/made", "cp MEMORY.md @OUT"])
def test_a_yes_gives_the_account_no_right_it_lacks(ground: Ground, command: str) -> None:
    before = sorted(ground.outside.rglob("*")), (ground.outside / "shown").read_bytes()
    report = ground.made.approved("exec", {"command": ground.command(command)})
    assert not report["outcome"]["ok"]
    assert (sorted(ground.outside.rglob("*")), (ground.outside / "shown").read_bytes()) == before


def test_a_file_swapped_for_a_link_after_the_yes_leads_nowhere(ground: Ground) -> None:
    target = ground.outside / "swapped"
    target.write_text("harmless\n")
    asked = ground.ask("cat @OUT/swapped")
    ground.made.client.request("approvals_approve", ref=asked["id"])
    target.unlink()
    target.symlink_to("beside")
    assert BESIDE in target.read_text()
    assert BESIDE not in content(ground.made.run(ground.command("cat @OUT/swapped")))
