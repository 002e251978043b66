"""T14 inside a model's turn: a gateway is killed at every boundary of a call that a scripted model makes and that asks.

A turn that waits for an answer goes on after the next start and after the answer; one that was cut off where nobody
can know is closed and says so; in neither case does anything happen twice, and the session can be used again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.killing import Aside, Killable, killable, open_question, revive, size
from tests.living import MAIN

from bascule.gate import Boundary

pytestmark = [pytest.mark.live, pytest.mark.slow]

SCRIPT = """{{"calls": [{{"tool": "write", "args": {{"path": "{path}", "content": "x", "append": true}}}}]}}
{{"say": "went on"}}
"""

ASKING = [Boundary.PROPOSED, Boundary.DECIDED, Boundary.ASKED]
USING = [
    (Boundary.PROPOSED, 2), (Boundary.DECIDED, 2), (Boundary.CONSUMED, 1), (Boundary.ANSWERED, 1),
    (Boundary.STARTED, 1), (Boundary.RAN, 1), (Boundary.FINISHED, 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    base = tmp_path_factory.mktemp("t14turn")
    (base / "outside").touch()
    (base / "outside").chmod(0o666)

    def prepare(made: Killable) -> None:
        (made.home / "script.jsonl").write_text(SCRIPT.format(path=base / "outside"))
        model = 'models: { default: "script:script.jsonl",'
        made.change("bascule.json5", lambda text: text.replace("models: {", model, 1))

    with killable(base / "home", prepare) as made:
        yield made


@pytest.fixture
def outside(house: Killable) -> Path:
    return house.home.with_name("outside")


def session(name: str) -> str:
    return f"agent:{MAIN}:{name}"


def ended(house: Killable, key: str) -> str:
    """Wait until the turn has ended; return everything said in it."""
    for _ in range(1000):
        lines = house.client.request("sessions_show", session=key)["transcript"]
        text = "\n".join(line["text"] for line in lines)
        if "went on" in text or "turn interrupted" in text:
            return text
        time.sleep(0.005)
    raise AssertionError(f"the turn did not end: {text}")


def usable(house: Killable, key: str) -> None:
    """The session takes new words: the script has a second line for it, or says that it has ended."""
    house.send("and now?", key) if "went on" not in ended(house, key) else None
    assert house.client.request("status")["pending_approvals"] == 0


@pytest.mark.parametrize("boundary", ASKING)
def test_while_it_asks(house: Killable, outside: Path, boundary: Boundary) -> None:
    key, before = session(f"asks-{boundary}"), size(outside)
    house.kill_at(boundary)
    assert house.dies(lambda: house.send("go", key)) == "gateway_gone"
    revive(house, named=False)
    asked = boundary is Boundary.ASKED
    if asked:
        house.client.request("approvals_approve", ref=open_question(house))
    assert ("did not run" in ended(house, key)) is not asked
    assert size(outside) == before + asked
    usable(house, key)


@pytest.mark.parametrize(("answer", "happens"), [("approvals_approve", 1), ("approvals_deny", 0)])
def test_while_it_waits(house: Killable, outside: Path, answer: str, happens: int) -> None:
    key, before = session(f"waits-{happens}"), size(outside)
    turn = Aside(lambda: house.send("go", key))
    question = open_question(house)
    house.kill()
    assert turn.join().code == "gateway_gone"
    revive(house, named=False)
    assert open_question(house) == question
    house.client.request(answer, ref=question)
    assert ("the operator said no" in ended(house, key)) is not bool(happens)
    assert size(outside) == before + happens
    usable(house, key)


@pytest.mark.parametrize(("boundary", "nth"), USING)
def test_while_it_uses_the_yes(house: Killable, outside: Path, boundary: Boundary, nth: int) -> None:
    key, before = session(f"uses-{boundary}"), size(outside)
    house.kill_at(boundary, nth)
    turn = Aside(lambda: house.send("go", key))
    question = open_question(house)
    assert house.dies(lambda: (house.client.request("approvals_approve", ref=question), turn.join())) in DYING
    assert turn.join().code == "gateway_gone"
    happened = boundary in {Boundary.RAN, Boundary.FINISHED}
    assert size(outside) == before + happened
    revive(house, boundary in {Boundary.STARTED, Boundary.RAN}, "write")
    text = ended(house, key)
    unused = nth == 2
    assert ("turn interrupted" in text) is not unused
    assert ("outcome unknown" in text) is (boundary in {Boundary.STARTED, Boundary.RAN, Boundary.FINISHED})
    assert size(outside) == before + (happened or unused)
    assert house.client.request("approvals_show", ref=question)["state"] == "consumed"
    usable(house, key)


DYING = {"gateway_gone", "survived"}
"""The answer may reach the approver before the gateway dies of what it set going."""


def test_an_orderly_stop_leaves_what_waits_waiting(house: Killable, outside: Path) -> None:
    key, before = session("stopped"), size(outside)
    turn = Aside(lambda: house.send("go", key))
    question = open_question(house)
    house.stop()
    assert turn.join().code in {"gateway_gone", "cancelled"}
    house.start()
    assert open_question(house) == question
    house.client.request("approvals_approve", ref=question)
    assert "went on" in ended(house, key)
    assert size(outside) == before + 1


def test_a_reset_ends_what_waits(house: Killable, outside: Path) -> None:
    key, before = session("reset"), size(outside)
    turn = Aside(lambda: house.send("go", key))
    question = open_question(house)
    assert house.client.request("sessions_reset", session=key)["messages"] == 0
    assert turn.join().code == "turn_cancelled"
    assert house.client.request("approvals_show", ref=question)["state"] == "cancelled"
    assert size(outside) == before
