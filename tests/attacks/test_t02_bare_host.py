"""T02, T18, T27: an agent that policy puts on the bare host reads, becomes and outlives no more than that says."""

from __future__ import annotations

import glob
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.attacks.canaries import NAMES, Canary, canaries, plant
from tests.attacks.killing import Aside, client_of
from tests.attacks.probing import KITS, PROGRAM, READING, WRITING, inside, list_program, outside
from tests.living import MAIN, Living, codes, living, verb
from tests.sandboxes import daemon

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("only root can put what is to be read where it lies", allow_module_level=True)

BOXED = "bruba-guru"
KIT = ("tools/kit.py", "tools/kit-writing.py")

GIVEN = {"a file next to the home", "a file in a home"}
"""Everybody on the machine may read these, and so may programs on the bare host: it says so."""

House = tuple[Living, Mapping[str, Canary]]


def bare(text: str) -> str:
    """The team's policy with one agent on the bare host."""
    found = text.replace(f'id: "{MAIN}",', f'id: "{MAIN}", sandbox: {{ backend: "unsafe_none" }},', 1)
    assert found != text
    return found


def list_tries(made: Living, agent: str, program: Path, names: tuple[str, str]) -> None:
    """As :func:`list_probe`, for this machine's own Python, which every account of it may start."""
    python = os.path.realpath("/usr/bin/python3")
    library = f"/usr/lib/{Path(python).name}"
    for name in names:
        path = made.root(agent) / name
        path.write_text(f"#!{python} -IS\n" + program.read_text())
        path.chmod(0o755)
        extensions = sorted(glob.glob(f"{library}/lib-dynload/_ctypes.*"))
        list_program(made, name, agent, needs=[python, library, *extensions], writes=name == names[1])


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    def prepare(made: Living) -> None:
        plant(made)
        for agent in (MAIN, BOXED):
            list_tries(made, agent, PROGRAM, (READING, WRITING))
            list_tries(made, agent, KITS, KIT)
        script = made.root() / "tools" / "stay.sh"
        script.write_text("#!/bin/bash\n(setsid sleep $1 &)\n/usr/bin/sleep $2\n")
        script.chmod(0o755)
        list_program(made, "tools/stay.sh", needs=["/bin/bash"])
        made.change("bascule.json5", bare)

    with tempfile.TemporaryDirectory(prefix="bascule-attack-", dir="/srv") as place:
        Path(place).chmod(0o755)
        with living(Path(place) / "home", prepare) as made, canaries(made) as known:
            yield made, known


def test_what_is_not_its_own_stays_out_of_reach(house: House) -> None:
    made, known = house
    paths = {name: str(known[name].path) for name in NAMES}
    control = outside("contents", *paths.values())
    assert all(control[path].startswith("ok") for path in paths.values())
    had = inside(made, "contents", *paths.values())
    assert {name for name, path in paths.items() if had[path].startswith("ok")} == GIVEN
    boxed = inside(made, "contents", *paths.values(), agent=BOXED)
    own = {name for name in NAMES if name.startswith("another agent")}
    assert not {name for name, path in paths.items() if boxed[path].startswith("ok")} - own


def test_its_calls_are_judged_as_ever(house: House) -> None:
    made, known = house
    assert codes(made.run(f"cat {known['shadow'].path}")) == {"path_protected"}
    assert codes(made.run(f"cat {known['a file in a home'].path}")) == {"path_outside"}
    assert codes(made.run("id")) == {"program_not_listed"}
    assert codes(made.call("read", {"path": str(known["policy"].path)})) & {"path_protected", "config_locked"}


@pytest.mark.parametrize("tool", [READING, WRITING])
def test_it_gains_no_right_that_a_box_does_not_give(house: House, tool: str) -> None:
    made, _ = house
    boxed, found = (inside(made, "rights", "/tmp", tool=tool, agent=agent) for agent in (BOXED, MAIN))
    assert {name for name, said in found.items() if said.startswith("ok")} == {
        name for name, said in boxed.items() if said.startswith("ok")
    }


@pytest.mark.parametrize("tool", KIT)
def test_escape_kits_find_besides_what_a_box_gives_them_only_files_to_read(house: House, tool: str) -> None:
    made, _ = house
    further = [daemon.SOCKET, str(made.home / "run" / "control.sock"), str(made.home / "state" / "bascule.db")]
    boxed, found = (set(inside(made, "kit", *further, tool=tool, agent=agent)) for agent in (BOXED, MAIN))
    assert [said for said in found - boxed if not said.startswith("readable /etc/")] == []


def test_what_it_leaves_running_ends_with_its_call(house: House) -> None:
    made, _ = house
    word = mark()
    with subprocess.Popen([made.root() / "tools" / "stay.sh", word, "0"]) as control:
        control.wait(20)
        assert sleeping(word), "the control leaves nothing running"
        for pid in sleeping(word):
            os.kill(pid, signal.SIGKILL)
    report = made.run(f"tools/stay.sh {word} 0")
    assert (report["outcome"]["ok"], sleeping(word)) == (True, [])


def test_containment_ends_it_with_whatever_it_started(house: House) -> None:
    made, _ = house
    word = mark()

    def run() -> object:
        with client_of(made.home) as connection:
            asked = {"agent": MAIN, "tool": "exec", "args_text": f'{{"command": "tools/stay.sh {word} {word}"}}'}
            return connection.request("call", session=None, dry_run=False, wait=0.0, as_operator=False, **asked)

    running = Aside(run)
    deadline = time.monotonic() + 20
    while len(sleeping(word)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert verb(made.home, "contain", MAIN).returncode == 0
    try:
        assert sleeping(word) == []
        running.join()
        assert codes(made.run("ls")) >= {"contained"}
    finally:
        assert verb(made.home, "release", MAIN).returncode == 0


def mark() -> str:
    """A time to sleep that nobody else has."""
    return str(10_000_000 + secrets.randbelow(1 << 40))


def sleeping(word: str) -> list[int]:
    """The processes of this machine that sleep for so long."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().split(b"\0")[:2][1:] == [word.encode()]:
                found.append(int(folder.name))
        except OSError:
            continue
    return found
