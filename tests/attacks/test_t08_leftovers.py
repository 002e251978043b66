"""T08: one call leaves something behind for the next to find."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.attacks.probing import BACKENDS, READING, WRITING, inside, list_probe, outside
from tests.living import Living, content, living

pytestmark = pytest.mark.live

LEFT_INSIDE = {"file in /tmp", "file in /dev/shm"}
"""What a program box lets its program do, for as long as it lasts."""


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("t08") / "home", list_probe, request.param) as made:
        yield made


@pytest.fixture
def word() -> str:
    return "left-" + secrets.token_hex(8)


def processes_of(uid: int) -> list[str]:
    found = []
    for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
        with suppress(OSError):
            if f"Uid:\t{uid}\t" in Path(f"/proc/{pid}/status").read_text():
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return found


def programs_of(uid: int) -> list[str]:
    """What runs under an account besides what lasts from call to call: file worker and resident."""
    return [
        line
        for line in processes_of(uid)
        if "sandboxes.worker.main" not in line and "sandboxes.resident.main" not in line
    ]


def test_without_boxes_the_next_program_finds_it_all(word: str) -> None:
    left = outside("leave", word)
    try:
        assert {name for name, said in left.items() if said.startswith("ok")} >= {
            "file in /tmp",
            "shared memory",
            "semaphores",
        }
        found = outside("look_for", word)
        assert set(found) >= {
            "file in /tmp",
            "abstract socket",
            "shared memory",
            "message queue",
            "semaphores",
            "process",
        }
    finally:
        os.kill(int(left["process"]), signal.SIGKILL)
        key = f"{int(word[-6:], 16):#x}"
        subprocess.run(["ipcrm", "-M", key, "-Q", key, "-S", key], check=False, capture_output=True)
        for place in ("/tmp", "/dev/shm", "/", "/etc"):
            Path(place, word).unlink(missing_ok=True)


@pytest.mark.parametrize("tool", [READING, WRITING])
def test_the_next_box_finds_nothing(house: Living, word: str, tool: str) -> None:
    left = inside(house, "leave", word, tool=tool)
    succeeded = {name for name, said in left.items() if said.startswith("ok")}
    assert succeeded - {"shared memory", "message queue", "semaphores"} == LEFT_INSIDE
    assert int(left["process"]) > 1
    for other in (READING, WRITING):
        assert inside(house, "look_for", word, tool=other) == {}
    assert outside("look_for", word) == {}


def test_no_process_outlives_its_call(house: Living, word: str) -> None:
    for _ in range(3):
        inside(house, "leave", word)
    assert programs_of(house.uid()) == []
    assert not list(Path("/tmp").glob(f"{word}*"))


def test_nothing_of_one_agent_reaches_another(house: Living, word: str) -> None:
    house.call("write", {"path": "workspace/note.md", "content": word})
    inside(house, "leave", word, tool=WRITING)
    for command in ("ls -la /tmp", "find / -type f", "cat workspace/note.md", "grep -r left- ."):
        assert word not in content(house.run(command, agent="bruba-guru"))
    assert content(house.run("cat workspace/note.md")) == word


def test_an_ended_call_leaves_nothing_either(house: Living, word: str) -> None:
    report = house.call("exec", {"command": f"{READING} linger {word.encode().hex()}", "timeout": 1})
    assert report["outcome"]["exit"] > 128
    assert programs_of(house.uid()) == []
    assert inside(house, "look_for", word) == {}


def test_the_environment_of_a_box_is_four_words(house: Living) -> None:
    assert inside(house, "environment") == {
        "PATH": "/usr/bin:/bin", "HOME": "/workspace", "LANG": "C.UTF-8", "PWD": "/workspace",
    }  # fmt: skip
    assert len(outside("environment")) > 4
