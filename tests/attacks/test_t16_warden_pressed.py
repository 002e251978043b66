"""T16: a gateway that was taken over presses its warden while boxes live: it repeats itself, mixes words and descriptors,
asks thousands of times without hearing the answers, and ends what is not there.

What the warden holds is counted before and after. The control: what is asked properly in between is done.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.ordinary import until
from tests.sandboxes import daemon
from tests.sandboxes.boxed import LIMITS, ONE, TWO, Ground, grounded

from bascule.core.outfit import PLAIN
from bascule.sandboxes.warden.outfits import outfit_json
from bascule.sandboxes.warden.values import limits_json

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("a warden that is root is pressed", allow_module_level=True)

ASKED = 3000
"""Questions whose answers nobody reads; a warden keeps 4096 of them."""

DATA = {"writable": True, "mounts": [], "limits": limits_json(LIMITS), "bare": False}
START = {"op": "start", **DATA}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with grounded(tmp_path / "home", "docker") as made:
        made.socket.settimeout(30)
        yield made


KEPT = 4
"""A warden, what makes its copies, and two of them that wait for boxes."""


def wardens(ground: Ground) -> list[int]:
    """The warden and every copy of it."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            found += [int(entry.name)] if str(ground.home).encode() in words and b"warden.process" in words else []
    return sorted(found)


def first(ground: Ground) -> int:
    """The warden itself, which all its copies and boxes descend from."""
    found = wardens(ground)
    for pid in found:
        with suppress(OSError):  # a copy that has ended meanwhile
            if parent(pid) not in found:
                return pid
    raise AssertionError("there is no warden")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def boxes(ground: Ground) -> list[str]:
    """Processes of the agents."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and entry.stat().st_uid in ground.uids.values():
                found.append((entry / "cmdline").read_text().replace("\0", " ")[:80])
    return found


def holdings(ground: Ground) -> dict[str, int]:
    """What the warden holds: descriptors, mounts, containers, and processes in boxes."""
    warden = first(ground)
    return {
        "descriptors": len(os.listdir(f"/proc/{warden}/fd")),
        # Without what other tests mount on this machine meanwhile, which a warden is meant to see too.
        "mounts": (mounts(warden) - mounts("self")).total(),
        "containers": len(daemon.containers(ground.home)),
        "processes": len(boxes(ground)),
    }


def mounts(warden: int | str) -> Counter[tuple[str, ...]]:
    """Device, directory of it and place of everything that is mounted for a process."""
    rows = (line.split() for line in Path(f"/proc/{warden}/mountinfo").read_text().splitlines())
    return Counter(tuple(row[2:5]) for row in rows)


def say(ground: Ground, body: dict[str, Any], files: list[int]) -> None:
    socket.send_fds(ground.socket, [json.dumps(body).encode()], files)


def heard(ground: Ground, number: int) -> dict[str, Any]:
    """The answer to one question; what else is said on the way is passed over."""
    while True:
        said = json.loads(ground.socket.recv(1 << 18))
        if said.get("id") == number:
            return dict(said)


def worker(ground: Ground, number: int, agent: str) -> tuple[int, socket.socket]:
    """A file worker's box, properly asked for."""
    ours, theirs = socket.socketpair()
    with theirs:
        say(ground, {"id": number, **START, "agent": agent}, [theirs.fileno()])
    said = heard(ground, number)
    assert said["ok"], said
    return int(said["box"]), ours


def settle(ground: Ground) -> dict[str, int]:
    """What it holds once it has made what it keeps ready."""
    before: dict[str, int] = {}

    def same() -> bool:
        nonlocal before
        last, before = before, holdings(ground)
        return last == before and len(wardens(ground)) == KEPT

    assert until(same)
    return before


def test_numbers_said_again_and_boxes_that_are_not_there(ground: Ground) -> None:
    one, line = worker(ground, 7, ONE)
    two, other = worker(ground, 7, TWO)  # under the same number: each is answered, and each is a box of its own
    assert one != two
    before = settle(ground)
    for number in (0, 7, 7, 1 << 52):
        for box in (two + 1, 1 << 40, (1 << 53) - 1):
            say(ground, {"id": number, "op": "kill", "box": box}, [])
            assert heard(ground, number) == {"id": number, "ok": True}
            say(ground, {"id": number, "op": "status", "box": box}, [])
            assert heard(ground, number)["code"] == "box_gone"
    assert settle(ground) == before
    say(ground, {"id": 8, "op": "kill", "box": one}, [])
    assert heard(ground, 8)["ok"]
    say(ground, {"id": 9, "op": "status", "box": two}, [])
    assert heard(ground, 9)["kernel_uid"] == ground.uids[TWO]
    line.close()
    other.close()


def test_words_and_descriptors_that_do_not_go_together(ground: Ground) -> None:
    _, line = worker(ground, 1, ONE)
    before = settle(ground)
    run = {
        "op": "run", "argv": ["true"], "program": "/usr/bin/true", "sha256": "0" * 64, "kind": "native",
        "interpreter": "", "needs": [], "proxy": False, "outfit": outfit_json(PLAIN), **DATA,
    }  # fmt: skip
    null = os.open(os.devnull, os.O_RDWR)
    try:
        for words, fitting in (({**START}, {1}), (run, {3, 4}), ({"op": "tools"}, {0}), ({"op": "stop"}, {0})):
            for count in range(10):
                say(ground, {"id": count, **words, "agent": "nobody" if count in fitting else ONE}, [null] * count)
                said = heard(ground, count)
                assert said["ok"] is False or count in fitting, (words, count, said)
    finally:
        os.close(null)
    assert settle(ground) == before
    line.close()


def test_thousands_of_questions_whose_answers_nobody_hears(ground: Ground) -> None:
    box, line = worker(ground, 1, ONE)
    before = settle(ground)
    dice = random.Random(16)
    kinds = [{"op": "status", "box": box}, {"op": "status", "box": 99}, {"op": "kill", "box": 99}, {"op": "nothing"}]
    for number in range(ASKED):
        say(ground, {"id": number + 10, **dice.choice(kinds)}, [])
    numbers = [json.loads(ground.socket.recv(1 << 18))["id"] for _ in range(ASKED)]
    assert sorted(numbers) == [*range(10, 10 + ASKED)]
    assert settle(ground) == before
    line.close()


def test_one_that_hears_nothing_for_good_is_let_go_with_all_it_had(ground: Ground) -> None:
    _, line = worker(ground, 1, ONE)
    _, other = worker(ground, 2, TWO)
    warden = first(ground)
    assert boxes(ground)
    with suppress(OSError):  # the warden goes when it has kept as many answers as it keeps
        for number in range(20 * ASKED):
            say(ground, {"id": number, "op": "status", "box": 99}, [])
    assert until(lambda: not Path(f"/proc/{warden}").exists())
    assert until(lambda: boxes(ground) == [] and wardens(ground) == [])
    assert daemon.containers(ground.home) == []
    with line, other:
        assert line.recv(1) == other.recv(1) == b""
