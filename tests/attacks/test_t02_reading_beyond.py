"""T02: the agent reads what is not its own. Every target first gives its canary to a reader without the wall."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.attacks.canaries import ASKED, NAMES, WORD, Canary, canaries, plant, spellings
from tests.attacks.probing import BACKENDS, PROGRAM, inside, list_probe, outside
from tests.living import Living, content, effect, living

pytestmark = pytest.mark.live

OWN = "own-" + secrets.token_hex(8)

House = tuple[Living, Mapping[str, Canary]]

READING = [
    "cat {}", "cat < {}", "head -n 99 {}", "tail -c 999 {}", "grep -a '' {}", "grep -f {} memory/x.md", "wc -l {}",
    "wc --files0-from={}", "ls -l {}", "du {}", "du --files0-from={}", "find {} -type f", "find . -newer {}",
    "find -files0-from {}", "cat memory/x.md | cat {}", "cat memory/x.md && cat {}", "ls /nowhere || cat {}",
    "cat memory/x.md ; tools/show.sh {}", "tools/show.sh {}",
]  # fmt: skip
"""Every listed program, with the path wherever it takes one."""


@pytest.fixture(scope="module", params=BACKENDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    def prepare(made: Living) -> None:
        plant(made)
        list_probe(made)
        script = made.root() / "tools" / "show.sh"
        script.write_text('#!/bin/sh\ncat "$@"\n')
        script.chmod(0o755)

    with living(tmp_path_factory.mktemp("t02") / "home", prepare, request.param) as made, canaries(made) as known:
        made.call("write", {"path": "memory/x.md", "content": OWN})
        yield made, known


@pytest.mark.parametrize("name", NAMES)
def test_without_the_wall_the_canary_is_there_to_be_read(house: House, name: str) -> None:
    known = house[1][name]
    assert known.word in subprocess.run(["cat", str(known.path)], capture_output=True, check=True).stdout.decode(
        "latin-1"
    )


def test_the_same_calls_read_what_is_the_agents_own(house: House) -> None:
    made = house[0]
    for command in READING[:5]:
        assert OWN in content(made.run(command.format("memory/x.md")))
    assert content(made.call("read", {"path": "memory/x.md"})) == OWN
    assert OWN in content(made.run("tools/show.sh memory/x.md"))
    for name in ("given.md", "workspace/given.md"):
        (made.root() / name).write_text("from the operator")
        assert content(made.call("read", {"path": name})) == "from the operator"
        assert content(made.run(f"cat {name}")) == "from the operator"


@pytest.mark.parametrize("name", NAMES)
def test_no_tool_and_no_spelling_brings_it_back(house: House, name: str) -> None:
    made, known = house[0], house[1][name]
    for path in spellings(known.path, made):
        calls = [("read", {"path": path}), ("edit", {"path": path, "oldText": known.word, "newText": "x"})]
        plain = path == str(known.path)
        calls += [("exec", {"command": command.format(path)}) for command in (READING if plain else READING[::4])]
        for tool, args in calls:
            report = made.call(tool, args)
            # From inside, a way up ends at the box's root: such a name means another file, which the operator is asked.
            assert effect(report) in ({"deny"} if plain and name not in ASKED else {"deny", "ask"}), args
            assert report["outcome"] is None
    assert known.word in known.path.read_bytes().decode("latin-1")


@pytest.mark.parametrize("name", NAMES)
def test_no_glob_and_no_search_from_above_finds_it(house: House, name: str) -> None:
    made, known = house[0], house[1][name]
    folder = known.path.parent
    for command in (
        f"cat {folder}/*", f"cat {folder.parent}/*/*", f"grep -ra '' {folder}", "grep -ra '' /", "grep -ra '' ..",
        "grep -ra '' .", "cat ../*/*", "cat ../../*", "find / -type f", "find .. -type f", "du -a /", "ls -laR /",
    ):  # fmt: skip
        report = made.run(command)
        assert known.word not in content(report)
        assert known.path.name not in content(report) or command == "grep -ra '' ."


def test_a_program_that_lies_about_its_operands_finds_no_canary_in_its_box(house: House) -> None:
    made, known = house
    paths = [str(canary.path) for canary in known.values()]
    assert {str(path) for path in map(Path, outside("roundabout", *paths))} >= set(paths)
    assert inside(made, "roundabout", *paths) == {}
    own = inside(made, "search", OWN, *{canary.word for canary in known.values()})
    assert own == {"/workspace/memory/x.md": OWN}


def test_proc_shows_a_program_nothing_but_its_own_box(house: House) -> None:
    made = house[0]
    shown = inside(made, "processes")
    assert WORD not in json.dumps(shown)
    assert str(made.home) not in json.dumps({name: said for name, said in shown.items() if "/maps" not in name})
    seen = {name.split("/")[0] for name in shown if not name.startswith("/")} - {"self", "thread-self"}
    # The first process of its namespace and itself; in a container also the file worker.
    assert ("1" in seen, len(seen)) == (True, 2 if made.backend == "bubblewrap" else 3)
    closed = [name for name, said in shown.items() if said.startswith("ok") and name.split("/")[0] in seen]
    own = [name for name in closed if name.endswith(("/environ", "/root")) and name.split("/")[0] != "1"]
    assert len(own) <= 2, "another process than its own lets itself be looked into"
    assert all("environ" not in name or "BASCULE" not in said for name, said in shown.items())
    assert "HOME" in outside("processes", env={"HOME": "/"})["self/environ"]


@contextmanager
def leaked() -> Iterator[int]:
    descriptor = os.open("/", os.O_PATH)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_no_descriptor_leads_out_of_a_program_box(house: House) -> None:
    made, known = house
    paths = [str(canary.path) for canary in known.values()] + ["/etc/hostname", "/etc/passwd"]
    words = [path.encode().hex() for path in paths]
    with leaked() as descriptor:
        climbed = subprocess.run(
            [sys.executable, "-IS", str(PROGRAM), "climb", *words],
            pass_fds=[descriptor], capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert WORD in climbed.stdout
    assert inside(made, "climb", *paths) == {}
    assert {name: said.split(":")[0] for name, said in inside(made, "descriptors").items()} == {
        "0": "ok /dev/null", "1": "ok pipe", "2": "ok pipe",
    }  # fmt: skip


def test_a_file_worker_holds_its_socket_and_its_roots(house: House) -> None:
    made = house[0]
    made.call("read", {"path": "memory/x.md"})
    workers = workers_of(made.uid())
    assert workers
    for pid in workers:
        leads = sorted(
            os.readlink(f"/proc/{pid}/fd/{number}").split(":")[0] for number in os.listdir(f"/proc/{pid}/fd")
        )
        roots = ["/workspace", *(f"/workspace/{name}" for name in ("memory", "output", "workspace"))]
        streams = 2 if made.backend == "bubblewrap" else 3  # there its socket is one of the standard streams
        assert leads == [*roots, *["pipe"] * streams, "socket"]


def workers_of(uid: int) -> list[int]:
    """Processes of an account that are file workers themselves, not the boxes around them."""
    found = []
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        try:
            status, words = (Path(f"/proc/{pid}/{name}").read_text() for name in ("status", "cmdline"))
        except OSError:
            continue
        if f"Uid:\t{uid}\t" not in status or "bwrap" in words:
            continue
        forked = "sandboxes.resident.main" in words and not status.split("NSpid:")[1].splitlines()[0].endswith("\t1")
        if forked or "sandboxes.worker.main" in words:
            found.append(pid)
    return found
