"""T05: a listed program is talked into reading, writing or running something else.

Every trick first works on an unboxed copy of the agent's directory, run by a shell as the account of this test: it
brings back a mark, or changes a file. Then it crosses the gate, where it may do neither.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.living import Living, codes, content, effect, living

pytestmark = pytest.mark.live

CONTENT = "canary-content-" + secrets.token_hex(8)
NAME = "canary-name-5b1f09d2"  # of a fixed spelling, for it stands in the names of the tests
SIZE = "48611"
"""Bytes of the file that is not the agent's: a number no honest output holds."""
RAN = "uid="
"""What ``id`` prints first."""

MARKS = (CONTENT, NAME, SIZE, RAN)
PEEK = '#!/bin/sh\neval "$*"\n'
"""The worst script an operator could list: it does whatever its words say."""
WORDS = "#!/bin/sh\ncat $1\n"
"""A common mistake: an unquoted word."""


@dataclass(frozen=True)
class Ground:
    """The gateway's home, a copy of the agent's directory beside it, and a directory that is not the agent's."""

    made: Living
    copy: Path
    outside: Path

    def command(self, text: str) -> str:
        """A trick with this ground's paths filled in."""
        return text.replace("@OUT", str(self.outside)).replace("@LOADER", loader())

    def state(self, root: Path) -> dict[str, bytes]:
        """Everything that a trick could change."""
        places = (root, self.outside)
        files = [path for place in places for path in sorted(place.rglob("*")) if not path.is_symlink()]
        return {str(path): path.read_bytes() if path.is_file() else b"" for path in files}


def loader() -> str:
    """The dynamic loader's real path, which lies in every box."""
    found = [*Path("/lib64").glob("ld-linux*.so.*"), *Path("/lib").glob("ld-linux*.so.*")]
    return os.path.realpath(found[0])


def lay_out(outside: Path) -> None:
    """What lies in the directory that is not the agent's."""
    for name in (NAME, "plain"):
        (outside / name).write_text(CONTENT + "\n" + "x" * (int(SIZE) - len(CONTENT) - 2) + "\n")


def furnish(root: Path, outside: Path) -> None:
    """What lies in the agent's directory: its own files, and links somebody planted."""
    own = root / "workspace"
    (own / "notes.md").write_text("notes of its own\n")
    (own / "victim").write_text("keep me\n")
    (own / "yes").write_text("y\n" * 9)
    (own / "list").write_bytes(f"{outside}/plain".encode() + b"\0")
    (own / "guess").write_text(CONTENT + "\n")
    (own / "link").symlink_to(outside / NAME)
    (own / "linkdir").symlink_to(outside)
    (own / "inner.sh").write_text(f"cat {outside}/{NAME}\n")
    shutil.copy("/usr/bin/id", own / "myid")
    (own / "myid").chmod(0o755)
    for name, text in (("peek.sh", PEEK), ("words.sh", WORDS)):
        (root / "tools" / name).write_text(text)
        (root / "tools" / name).chmod(0o755)
    shutil.copy("/usr/bin/id", root / "tools" / "unlisted")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    base = tmp_path_factory.mktemp("t05")
    with tempfile.TemporaryDirectory(prefix="outside-") as name:
        outside = Path(name)
        outside.chmod(0o755)  # anybody may read here: it is the box that must hide it, not the account
        lay_out(outside)
        copy = base / "copy"
        for folder in ("workspace", "tools", "memory", "output"):
            (copy / folder).mkdir(parents=True)
        furnish(copy, outside)
        with living(base / "home", lambda made: furnish(made.root(), outside)) as made:
            yield Ground(made, copy, outside)


# What each program can be talked into. @OUT is a directory of somebody else's that every account may read.
READING = {
    "ls": [
        "ls -la @OUT",
        "ls -R @OUT",
        "ls workspace/linkdir/",
        "ls -L -s --block-size=1 -l workspace",
        "ls -HR workspace/linkdir",
    ],
    "cat": [
        f"cat @OUT/{NAME}",
        "cat workspace/link",
        "cat < workspace/link",
        f"cat workspace/linkdir/{NAME}",
        f"cat /proc/self/root@OUT/{NAME}",
        f"cat ./../../../../../../../..@OUT/{NAME}",
    ],
    "head": [f"head -c 99 @OUT/{NAME}", f"head --lines=1 -- @OUT/{NAME}", "head -q workspace/link"],
    "tail": [f"tail -n 2 @OUT/{NAME}", "tail -c +1 workspace/link", f"tail --pid=1 -c +1 @OUT/{NAME}"],
    "grep": [
        "grep -r canary @OUT",
        "grep -R canary workspace/linkdir",
        "grep -d recurse canary workspace/linkdir",
        "grep -r --include=* canary @OUT",
        f"grep -f @OUT/{NAME} workspace/guess",
        f"grep -Fxf@OUT/{NAME} workspace/guess",
        f"grep --file=@OUT/{NAME} workspace/guess",
        f"grep --exclude-from=@OUT/plain -e canary @OUT/{NAME}",
        "grep -f workspace/link workspace/guess",
        "grep canary workspace/link",
    ],
    "find": [
        "find @OUT",
        "find -L workspace -size +40k -printf %s",
        "find -H workspace/linkdir",
        "find workspace/linkdir/",
        "find -files0-from workspace/list -printf %s",
        f"find workspace -maxdepth 0 -exec cat @OUT/{NAME} \\;",
        f"find workspace -maxdepth 0 -execdir /bin/cat @OUT/{NAME} \\;",
        f"find workspace -maxdepth 0 -exec cat @OUT/{NAME} {{}} +",
        f"cat workspace/yes | find workspace -maxdepth 0 -ok cat @OUT/{NAME} \\;",
        f"cat workspace/yes | find workspace -maxdepth 0 -okdir cat @OUT/{NAME} \\;",
        "find workspace -maxdepth 0 -exec sh workspace/inner.sh \\;",
    ],
    "wc": [
        f"wc -c @OUT/{NAME}",
        "wc --files0-from=workspace/list",
        "wc --files0-f workspace/list",
        "cat workspace/list | wc -c --files0-from=-",
        "wc -c workspace/link",
        "wc -c < workspace/link",
    ],
    "du": [
        "du -a @OUT",
        "du -b --files0-from=workspace/list",
        "cat workspace/list | du -b --files0-from=-",
        "du -baL workspace",
        "du -abD workspace/linkdir",
        "du -ab --exclude-from=workspace/yes @OUT",
    ],
    "tools": [
        f"tools/peek.sh cat @OUT/{NAME}",
        f"tools/peek.sh 'cat @OUT/{NAME}'",
        "tools/peek.sh '. workspace/inner.sh'",
        "tools/peek.sh 'sh workspace/inner.sh'",
        f"tools/peek.sh 'read line < @OUT/{NAME}; echo $line'",
        f"tools/peek.sh 'cat /proc/1/root@OUT/{NAME} /proc/$PPID/cwd@OUT/{NAME} @OUT/{NAME}'",
        f"tools/peek.sh 'IFS=:; file=@OUT:{NAME}; set -- $file; cat $1/$2'",
        "tools/peek.sh 'cd @OUT; cat *'",
        "tools/peek.sh 'cd workspace/linkdir && cat *'",
        'tools/peek.sh \'cat "$(dirname "$0")"/../workspace/link\'',
        f"tools/words.sh 'workspace/notes.md @OUT/{NAME}'",
        "tools/words.sh '@OUT/*'",
        f"tools/words.sh @OUT/{NAME}",
    ],
}

RUNNING = {
    "find": [
        "find workspace -maxdepth 0 -exec id \\;",
        "find workspace -maxdepth 0 -exec /usr/bin/id \\;",
        "find workspace -maxdepth 0 -execdir id \\;",
        "find workspace/myid -exec {} \\;",
        "find workspace/myid -execdir {} \\;",
        "find workspace/myid -exec @LOADER {} \\;",
        "find workspace -maxdepth 0 -exec workspace/myid \\;",
        "find workspace -maxdepth 0 -exec tools/unlisted \\;",
        "find tools/unlisted -exec {} \\;",
        "cat workspace/yes | find workspace -maxdepth 0 -ok id \\;",
        "find workspace -maxdepth 0 -exec sh -c id \\;",
        "find workspace -maxdepth 0 -exec env id \\;",
    ],
    "tools": [
        "tools/peek.sh id",
        "tools/peek.sh 'exec /usr/bin/id'",
        "tools/peek.sh 'command -p id'",
        "tools/peek.sh 'PATH=workspace:$PATH; myid'",
        "tools/peek.sh './workspace/myid'",
        "tools/peek.sh '@LOADER workspace/myid'",
        "tools/peek.sh '@LOADER /usr/bin/id'",
        "tools/peek.sh '$(echo id)'",
        "tools/peek.sh 'tools/unlisted'",
        "tools/peek.sh '@LOADER tools/unlisted'",
        "tools/peek.sh 'cat workspace/myid > /tmp/x; @LOADER /tmp/x || workspace/myid'",
        "tools/peek.sh 'id | cat'",
        "tools/unlisted",
        "workspace/myid",
    ],
}

WRITING = {
    "find": [
        "find workspace -name victim -delete",
        "find @OUT -newer /etc/passwd -type f -delete -o -type f -delete",
        "find workspace -name victim -exec rm {} +",
        "find workspace -maxdepth 0 -fprint workspace/made1",
        "find workspace -maxdepth 0 -fprint0 @OUT/made2",
        "find workspace -maxdepth 0 -fls @OUT/made3",
        "find workspace -maxdepth 0 -fprintf tools/made4.sh id",
        "find workspace -maxdepth 0 -fprint workspace/linkdir/made5",
    ],
    "tools": [
        "tools/peek.sh 'echo x > workspace/made6'",
        "tools/peek.sh 'echo id >> $0'",
        'tools/peek.sh \'echo id > "$(dirname "$0")"/made7.sh\'',
        "tools/peek.sh ': > workspace/victim'",
        "tools/peek.sh 'echo x > @OUT/made8'",
        "tools/peek.sh 'cd workspace/linkdir; echo x > made9'",
        "tools/peek.sh 'rm workspace/victim'",
    ],
    "redirects": [
        "cat workspace/notes.md > @OUT/made10",
        "cat workspace/notes.md >> tools/peek.sh",
        "cat workspace/notes.md > tools/../made11",
        "cat workspace/notes.md > workspace/linkdir/made12",
        "cat workspace/notes.md > workspace/link",
    ],
}


def cases(table: dict[str, list[str]]) -> list[str]:
    return [trick for tricks in table.values() for trick in tricks]


def unboxed(ground: Ground, trick: str) -> str:
    done = subprocess.run(
        ["bash", "-c", ground.command(trick)], cwd=ground.copy, capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def kept(ground: Ground) -> Iterator[None]:
    """Puts back what a trick changed on purpose, so that the next one finds it all."""
    yield
    root = ground.outside
    shutil.rmtree(ground.copy)
    for folder in ("workspace", "tools", "memory", "output"):
        (ground.copy / folder).mkdir(parents=True)
    for path in root.iterdir():
        path.unlink()
    lay_out(root)
    furnish(ground.copy, root)


def seen(output: str) -> list[str]:
    return [mark for mark in MARKS if mark in output]


@pytest.mark.parametrize("trick", cases(READING) + cases(RUNNING))
def test_reads_and_runs_nothing_beyond(ground: Ground, trick: str) -> None:
    shown = [mark for mark in seen(unboxed(ground, trick)) if mark not in ground.command(trick)]
    assert shown, "the trick does not work even without the wall"
    report = ground.made.run(ground.command(trick))
    assert not [mark for mark in shown if mark in content(report)], content(report)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("trick", cases(WRITING))
def test_writes_nothing_beyond(ground: Ground, trick: str) -> None:
    before = ground.state(ground.made.root())
    copied = ground.state(ground.copy)
    report = ground.made.run(ground.command(trick))
    assert ground.state(ground.made.root()) == before, content(report)
    unboxed(ground, trick)
    assert ground.state(ground.copy) != copied, "the trick does not work even without the wall"


def test_every_program_still_does_what_it_is_for(ground: Ground) -> None:
    honest = {
        "ls workspace": "notes.md",
        "cat workspace/notes.md": "notes of its own",
        "head -n 1 workspace/notes.md": "notes of its own",
        "tail -n 1 workspace/notes.md": "notes of its own",
        "grep -rn own workspace/notes.md": "1:notes of its own",
        "find workspace -name 'notes*'": "workspace/notes.md",
        "wc -w workspace/notes.md": "4 workspace/notes.md",
        "du -b workspace/notes.md": "17",
        "uname": "Linux",
        "whoami": "agent",
        "tools/peek.sh 'cat workspace/notes.md | wc -w'": "4",
    }
    for command, wanted in honest.items():
        report = ground.made.run(command)
        assert effect(report) == "allow", (command, codes(report))
        assert wanted in content(report), (command, content(report))


@pytest.mark.parametrize("command", ["uname -n", "uname -a", "cat /etc/hostname", "cat /proc/sys/kernel/hostname"])
def test_the_machine_has_no_name(ground: Ground, command: str) -> None:
    nodename = os.uname().nodename
    assert nodename in unboxed(ground, command)
    assert nodename not in content(ground.made.run(command)).split()


def test_the_account_has_no_name_of_the_machine(ground: Ground) -> None:
    assert unboxed(ground, "whoami") != "agent\n"
    assert content(ground.made.run("whoami")) == "agent\n"


@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/1/environ", "/proc/1/maps", "/dev/kmsg", "/dev/mem"])
def test_kernel_files_are_denied_to_every_reader(ground: Ground, path: str) -> None:
    for command in (f"cat {path}", f"head -c 9 {path}", f"grep -a x {path}", f"tail -c 9 {path}", f"wc -c {path}"):
        assert effect(ground.made.run(command)) == "deny"


def test_killing_all_kills_only_what_the_box_holds(ground: Ground) -> None:
    ground.made.run("tools/peek.sh 'kill -9 -1; kill -9 1; kill -9 $PPID'")
    assert content(ground.made.run("cat workspace/notes.md")) == "notes of its own\n"
