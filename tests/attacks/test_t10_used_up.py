"""T10: time, memory, processes, output or disk are used up.

Every attack goes on unboxed for as long as it is let, or past the limit that the box has; in the box it ends, the
outcome says so, nothing of it is left, and the next call works.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.probing import BACKENDS
from tests.living import MAIN, Living, codes, content, effect, living

from bascule.sandboxes.docker.argv import OWN_PROCESSES

pytestmark = pytest.mark.live

MEMORY, PIDS, OUTPUT, FILE = 64 << 20, 32, 1 << 20, 4 << 20
LIMITS = 'memory: "64m", pids: 32, cpuSeconds: 2, wallSeconds: 20, outputBytes: "1m", fileBytes: "4m"'
BIG = 100 << 20
CROWD = 20_000
DISK = 8 << 20

SCRIPTS = {
    "output": "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
    "errors": "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; done",
    "spin": "while :; do :; done",
    "stubborn": "trap '' TERM INT HUP XCPU; while :; do :; done",
    "sleep": "tail -f /dev/null",
    "orphans": "(tail -f /dev/null) & (trap '' HUP TERM; tail -f /dev/null) & echo left",
    "forks": "i=0; while [ $i -lt 200 ]; do tail -f /dev/null & i=$((i+1)); echo $i; done",
    "bomb": "b() { b | b & }; b; while :; do :; done",
    "memory": "x=xxxxxxxxxxxxxxxx; while [ ${#x} -lt 100000000 ]; do x=$x$x; echo ${#x}; done",
    "scratch": "while head -c 1000000 /dev/zero >> /dev/shm/$((i/3)); do i=$((i+1)); echo $i; done",
    "file": "head -c 8388608 /dev/zero > output/large; wc -c < output/large",
    "disk": "while head -c 1000000 /dev/zero > output/fill$i; do i=$((i+1)); done",
    "names": "while : > output/name$i; do i=$((i+1)); done",
}


def spread(root: Path) -> None:
    for name, text in SCRIPTS.items():
        script = root / "tools" / f"{name}.sh"
        script.write_text(f"#!/bin/sh\ni=0\n{text}\n")
        script.chmod(0o755)
    own = root / "workspace"
    (own / "notes.md").write_text("notes\n")
    with (own / "big").open("wb") as file:
        file.truncate(BIG)
    shutil.copy("/usr/bin/id", own / "binary")
    (own / "crowd").mkdir()
    for number in range(CROWD):
        (own / "crowd" / f"n{number}").touch()


def prepare(made: Living) -> None:
    spread(made.root())

    def limits(text: str) -> str:
        before, _, rest = text.partition("limits: { ")
        return f"{before}limits: {{ {LIMITS} }}{rest.partition('}')[2]}"

    def writes(text: str) -> str:
        policy = json.loads(text)
        entries = policy["agents"][MAIN]["allowlist"]
        for entry in entries:
            if entry["pattern"] == "tools/*.sh":
                entry["writes"] = True
        return json.dumps(policy)

    made.change("bascule.json5", limits)
    made.change("exec-approvals.json", writes)


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    home = tmp_path_factory.mktemp("t10") / "home"
    disk = home / "agents" / MAIN / "output"

    def with_small_disk(made: Living) -> None:
        prepare(made)
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK},nr_inodes=200,mode=0777", "tmpfs", str(disk)]
        subprocess.run(words, check=True)

    try:
        with living(home, with_small_disk, request.param) as made:
            yield made
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    for folder in ("workspace", "tools", "output"):
        (root / folder).mkdir()
    spread(root)
    return root


@pytest.fixture(autouse=True)
def _nothing_is_left_and_the_next_call_works(house: Living) -> Iterator[None]:
    before = processes(house.uid())
    yield
    assert content(house.run("cat workspace/notes.md")) == "notes\n"
    assert content(house.call("read", {"path": "workspace/notes.md"})) == "notes\n"
    assert len(processes(house.uid())) <= max(3, len(before))
    for path in (house.root() / "output").iterdir():
        path.unlink()


def processes(uid: int) -> list[str]:
    """Command lines of the account's processes: three are the file worker with its box, which stays."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and entry.stat().st_uid == uid:
                found.append((entry / "cmdline").read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue
    return found


def unboxed(copy: Path, name: str, seconds: float = 1.5) -> tuple[str, bool]:
    """Run a script as it is; return what it printed and whether it had to be ended."""
    process = subprocess.Popen(
        ["sh", f"tools/{name}.sh"], cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        text=True,
    )  # fmt: skip
    try:
        out, _ = process.communicate(timeout=seconds)
        ended = False
    except subprocess.TimeoutExpired:
        ended = True
        out = ""
    finally:
        os.killpg(process.pid, signal.SIGKILL) if ended or process.poll() is None else _reap(process.pid)
    if ended:
        out, _ = process.communicate()
    return out, ended


def _reap(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def script(house: Living, name: str, **args: Any) -> dict[str, Any]:
    report = house.call("exec", {"command": f"tools/{name}.sh", **args})
    assert effect(report) == "allow", codes(report)
    return dict(report["outcome"])


@pytest.mark.parametrize("name", ["output", "errors"])
def test_endless_output_is_cut_and_said(house: Living, copy: Path, name: str) -> None:
    out, ended = unboxed(copy, name)
    assert ended
    assert len(out) > OUTPUT
    outcome = script(house, name)
    assert (outcome["ok"], outcome["truncated"], len(outcome["content"])) == (False, True, OUTPUT)


@pytest.mark.parametrize("name", ["spin", "stubborn"])
def test_a_busy_program_ends_by_its_processor_time(house: Living, copy: Path, name: str) -> None:
    assert unboxed(copy, name)[1]
    outcome = script(house, name)
    assert not outcome["ok"]
    assert outcome["exit"] > 128
    assert "ended after" not in outcome["content"]


def test_a_sleeping_program_ends_by_the_clock(house: Living, copy: Path) -> None:
    assert unboxed(copy, "sleep")[1]
    outcome = script(house, "sleep", timeout=1)
    assert (outcome["ok"], outcome["content"]) == (False, "ended after 1 seconds\n")


@pytest.mark.parametrize(
    "command", ["tail -f workspace/notes.md", "tail -f workspace/notes.md | cat", "tail -f workspace/notes.md; cat MEMORY.md",
                "tail -f workspace/notes.md && ls", "tail -f workspace/notes.md || ls", "wc -c /dev/zero", "grep x /dev/zero"]
)  # fmt: skip
def test_a_listed_program_that_never_ends_is_ended_and_what_follows_does_not_run(house: Living, command: str) -> None:
    alone = re.split(r" ?(?:;|&&|\|)", command, maxsplit=1)[0]
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(alone.split(), cwd=house.root(), timeout=0.5, capture_output=True, check=False)
    report = house.call("exec", {"command": command, "timeout": 1})
    assert not report["outcome"]["ok"]
    assert content(report).removeprefix("notes\n") == "ended after 1 seconds\n"


def test_what_a_program_leaves_behind_ends_with_it(house: Living, copy: Path) -> None:
    assert "left" in unboxed(copy, "orphans")[0]
    assert script(house, "orphans")["content"] == "left\n"
    assert not [line for line in processes(house.uid()) if "tail" in line]


def test_processes_are_few(house: Living, copy: Path) -> None:
    assert "\n200\n" in unboxed(copy, "forks")[0]
    outcome = script(house, "forks")
    assert not outcome["ok"]
    counted = [int(line) for line in outcome["content"].splitlines() if line.isdecimal()]
    # A container's own few processes may leave theirs to a program.
    assert 0 < max(counted) <= PIDS + (OWN_PROCESSES if house.backend == "docker" else 0)
    bomb = script(house, "bomb", timeout=2)
    assert not bomb["ok"]
    assert "Cannot fork" in bomb["content"]


def test_memory_is_bounded(house: Living, copy: Path) -> None:
    assert max(map(int, unboxed(copy, "memory", 20)[0].split())) > MEMORY
    outcome = script(house, "memory")
    assert not outcome["ok"]
    assert max(int(line) for line in outcome["content"].splitlines() if line.isdecimal()) < MEMORY
    scratch = script(house, "scratch")
    assert max(int(line) for line in scratch["content"].splitlines() if line.isdecimal()) <= MEMORY // 1_000_000
    assert not house.run("tail /dev/zero")["outcome"]["ok"]


def test_a_file_has_a_largest_size(house: Living, copy: Path) -> None:
    assert "8388608" in unboxed(copy, "file", 10)[0]
    assert str(FILE) in script(house, "file")["content"]
    assert (house.root() / "output" / "large").stat().st_size == FILE


@pytest.mark.parametrize("name", ["disk", "names"])
def test_a_full_disk_is_said_and_harms_no_later_call(house: Living, name: str) -> None:
    outcome = script(house, name)
    assert "No space left" in outcome["content"]
    for report in (
        house.call("write", {"path": "output/more", "content": "x" * (1 << 16)}),
        house.run("cat workspace/notes.md > output/more"),
    ):
        assert effect(report) == "allow"
        assert not report["outcome"]["ok"]
    assert not (house.root() / "output" / "more").exists()
    assert house.call("write", {"path": "workspace/other", "content": "x"})["outcome"]["ok"]


def test_a_large_file_is_read_in_part_and_changed_not_at_all(house: Living) -> None:
    for report in (
        house.call("read", {"path": "workspace/big"}),
        house.run("cat workspace/big"),
        house.run("cat /dev/zero"),
    ):
        assert (report["outcome"]["truncated"], len(content(report))) == (True, OUTPUT)
    assert content(house.call("read", {"path": "workspace/big", "offset": BIG - 3})) == "\0" * 3
    assert content(house.run("wc -c workspace/big")) == f"{BIG} workspace/big\n"
    assert content(house.run("cat workspace/big | cat | cat | wc -c")) == f"{BIG}\n"
    for report in (
        house.call("edit", {"path": "workspace/big", "oldText": "a", "newText": "b"}),
        house.run("cat workspace/big > workspace/second"),
        house.run("cat /dev/zero > workspace/second"),
    ):
        assert report["outcome"] is None or not report["outcome"]["ok"], report
    assert (house.root() / "workspace" / "big").stat().st_size == BIG
    assert not (house.root() / "workspace" / "second").exists()


def test_work_that_uses_up_a_file_worker_denies_no_call(house: Living) -> None:
    """Its processor time is limited over its whole life: it is replaced before the kernel ends it."""
    assert house.call("read", {"path": "workspace/notes.md"})["outcome"]["ok"]
    first, rounds = workers(house), 0
    while workers(house) == first and rounds < 100:
        assert house.call("read", {"path": "workspace/big"})["outcome"]["ok"]
        rounds += 1
    assert (workers(house) == first) is (house.backend == "docker")


def workers(house: Living) -> set[str]:
    return {row["id"] for row in house.client.request("sandbox_list")}


def test_bytes_that_are_no_text_come_back_whole(house: Living) -> None:
    report = house.call("read", {"path": "workspace/binary"})
    assert report["outcome"]["encoding"] == "base64"
    assert house.run("head -c 4 workspace/binary")["outcome"]["content"].startswith("\x7fELF")


def test_a_crowded_directory_is_listed_and_its_pattern_refused(house: Living) -> None:
    assert content(house.run("ls workspace/crowd | wc -l")) == f"{CROWD}\n"
    report = house.run("ls workspace/crowd/*")
    assert (effect(report), codes(report)) == ("deny", {"glob_too_many"})
    assert not house.call("read", {"path": "workspace/crowd"})["outcome"]["ok"]


def test_a_device_is_no_file_to_read(house: Living) -> None:
    assert not house.call("read", {"path": "/dev/zero"})["outcome"]["ok"]
    assert content(house.run("head -c 3 /dev/zero")) == "\0" * 3
