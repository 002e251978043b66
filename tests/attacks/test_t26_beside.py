"""T26: a program turns against what shares its container or its box: the first process, the file worker, the next call.

Every step is first taken by an account against a process of its own, where it works.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.probing import BESIDE, READING, WRITING, inside, list_probe, outside
from tests.attacks.rootless import MODES, in_mode
from tests.living import Living, content

pytestmark = pytest.mark.live

STARVING = {
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_FSIZE",
    "RLIMIT_AS",
    "RLIMIT_CPU",
    "priority",
    "scheduler",
    "processor",
    "disk",
}
ENTERING = {"memory", "environment", "streams", "root", "score", "pause", "end", "trace"}


@pytest.fixture(scope="module", params=MODES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        list_probe(made, program=BESIDE)

    with in_mode(tmp_path_factory.mktemp("t26"), request.param, prepare) as made:
        yield made


def works(made: Living) -> None:
    """The next calls are as if nothing had been."""
    assert made.call("write", {"path": "memory/x.md", "content": "mine"})["outcome"]["ok"]
    assert content(made.call("read", {"path": "memory/x.md"})) == "mine"
    assert content(made.run("cat memory/x.md | cat")) == "mine"


def test_an_account_has_such_power_over_its_own(house: Living) -> None:
    said = outside("beside", uid=house.uid(), program=BESIDE)
    assert {name.split()[0] for name, came in said.items() if came == "ok"} == STARVING | ENTERING


@pytest.mark.parametrize("tool", [READING, WRITING])
def test_a_program_neither_starves_nor_enters_what_is_beside_it(house: Living, tool: str) -> None:
    works(house)
    found = inside(house, "beside", tool=tool)
    assert {name.split()[0] for name in found} >= STARVING | ENTERING
    had = {name for name, said in found.items() if said == "ok"}
    if house.backend == "docker":
        # The first process of a namespace ignores what is sent from within; sending is then no error.
        assert had <= {"pause 1", "end 1", "everybody"}, had
    else:  # alone in its box with the first process, which has no more rights than itself and ends with it
        assert {name.rsplit(" ", 1)[-1] for name in had} <= {"1", "priority", "disk"}, had
    works(house)


def test_programs_of_one_pipeline_leave_each_other_alone(house: Living) -> None:
    command = f"tail -f /dev/null | {READING} beside"
    report = house.call("exec", {"command": command, "timeout": 5})
    said = json.loads(content(report).partition("}")[0] + "}")
    if house.backend == "docker":
        assert len({name.rsplit(" ", 1)[-1] for name in said}) >= 3, "the program before it was not there to be seen"
    had = {name for name, came in said.items() if came == "ok" and not name.endswith((" 1", "priority", "disk"))}
    assert had <= {"everybody"}
    works(house)


def test_no_disguise_lets_a_process_stay(house: Living) -> None:
    for _ in range(2):
        found = inside(house, "hide")
        assert int(found["made"]) >= 3
        assert int(found["seen"]) > int(found["made"])
        works(house)
        assert int(inside(house, "hide")["seen"]) <= int(found["seen"])


def test_what_forks_faster_than_one_looks_is_gone_too(house: Living) -> None:
    for _ in range(2):
        inside(house, "swarm", "30")
        works(house)
    lasting = [line for line in commands(house.uid()) if "inside" in line]
    assert lasting == []


def commands(uid: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and entry.stat().st_uid == uid:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_the_machines_one_supply_of_asynchronous_calls_is_nobodys(house: Living) -> None:
    assert outside("hold", program=BESIDE)["asynchronous 1"] == "ok"
    assert set(inside(house, "hold").values()) == {"EPERM"}
    assert os.path.exists("/proc/sys/fs/aio-nr")
