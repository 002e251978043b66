"""T16: a gateway that was taken over presses its warden while boxes live: it repeats itself, mixes words and descriptors,
asks thousands of times without hearing the answers, and ends what is not there.

What the warden holds is counted before and after. The control: what is asked properly in between is done.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.attacks.pressing import DATA, START, boxes, first, heard, living, say, settle, wardens, worker
from tests.ordinary import until
from tests.sandboxes import daemon
from tests.sandboxes.boxed import ONE, TWO, Ground, grounded

from bascule.core.outfit import PLAIN
from bascule.sandboxes.warden.outfits import outfit_json

pytestmark = pytest.mark.live
if os.geteuid() != 0:
    pytest.skip("a warden that is root is pressed", allow_module_level=True)

ASKED = 3000
"""Questions whose answers nobody reads; a warden keeps 4096 of them."""


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with grounded(tmp_path / "home", "docker") as made:
        made.socket.settimeout(30)
        yield made


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
    theirs = boxes(ground)
    assert theirs
    with suppress(OSError):  # the warden goes when it has kept as many answers as it keeps
        for number in range(20 * ASKED):
            say(ground, {"id": number, "op": "status", "box": 99}, [])
    assert until(lambda: not Path(f"/proc/{warden}").exists())
    assert until(lambda: living(ground, theirs) == [] and wardens(ground) == [])
    assert daemon.containers(ground.home) == []
    with line, other:
        assert line.recv(1) == other.recv(1) == b""
