"""T14: a crash at the right moment. A real gateway is killed at every boundary of every kind of call.

After each killing: nothing of it is left, the chain verifies, the next start says what is unknown, nothing runs a
second time by itself, no yes is lost or good for two calls. Effects are counted in files that only ever grow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.killing import Aside, Killable, client_of, killable, open_question, revive, size
from tests.living import MAIN, effect

from bascule.gate import Boundary

pytestmark = [pytest.mark.live, pytest.mark.slow]

NOTE = "#!/bin/sh\necho x >> workspace/noted\n"

PLAIN = [Boundary.PROPOSED, Boundary.DECIDED, Boundary.STARTED, Boundary.RAN, Boundary.FINISHED]
ASKING = [Boundary.PROPOSED, Boundary.DECIDED, Boundary.ASKED]
USING = [Boundary.PROPOSED, Boundary.DECIDED, Boundary.CONSUMED, Boundary.ANSWERED, *PLAIN[2:]]
UNUSED = {Boundary.PROPOSED, Boundary.DECIDED}
HAPPENED = {Boundary.RAN, Boundary.FINISHED}
UNKNOWN = {Boundary.STARTED, Boundary.RAN}


def test_every_boundary_is_walked() -> None:
    assert {*PLAIN, *ASKING, *USING} == set(Boundary)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    base = tmp_path_factory.mktemp("t14")
    (base / "outside").touch()
    (base / "outside").chmod(0o666)

    def prepare(made: Killable) -> None:
        tool = made.root() / "tools" / "note.sh"
        tool.write_text(NOTE)
        tool.chmod(0o755)
        writes = '"pattern": "tools/*.sh", "writes": true,'
        made.change("exec-approvals.json", lambda text: text.replace('"pattern": "tools/*.sh",', writes))

    with killable(base / "home", prepare) as made:
        yield made


@pytest.fixture
def outside(house: Killable) -> Path:
    return house.home.with_name("outside")


@pytest.mark.parametrize("boundary", PLAIN)
@pytest.mark.parametrize("tool", ["read", "write", "exec"])
def test_an_allowed_call(house: Killable, tool: str, boundary: Boundary) -> None:
    counted = {
        "read": house.root() / "workspace" / "never",
        "write": house.root() / "workspace" / "written",
        "exec": house.root() / "workspace" / "noted",
    }[tool]
    args = {
        "read": {"path": "tools/note.sh"},
        "write": {"path": "workspace/written", "content": "x\n", "append": True},
        "exec": {"command": "tools/note.sh"},
    }[tool]
    each = 0 if tool == "read" else 2
    assert house.call(tool, args)["outcome"]["ok"]
    before = size(counted)
    house.kill_at(boundary)
    assert house.dies(lambda: house.call(tool, args)) == "gateway_gone"
    after = before + (each if boundary in HAPPENED else 0)
    assert size(counted) == after
    revive(house, boundary in UNKNOWN, tool)
    assert size(counted) == after
    assert house.call(tool, args)["outcome"]["ok"]
    assert size(counted) == after + each


def asked_write(outside: Path, text: str) -> dict[str, Any]:
    return {"path": str(outside), "content": text, "append": True}


@pytest.mark.parametrize("boundary", ASKING)
def test_a_call_that_asks(house: Killable, outside: Path, boundary: Boundary) -> None:
    args, before = asked_write(outside, f"asks {boundary}\n"), size(outside)
    house.kill_at(boundary)
    assert house.dies(lambda: house.call("write", args)) == "gateway_gone"
    revive(house, named=False)
    questions = house.client.request("approvals_list", everything=False)
    assert len(questions) == (boundary is Boundary.ASKED)
    asked = house.call("write", args)
    assert effect(asked) == "ask"
    if questions:
        assert asked["approval"]["id"] == questions[0]["id"]
    use_once(house, outside, args, asked["approval"]["id"], before)


def use_once(house: Killable, outside: Path, args: dict[str, Any], question: str, before: int) -> None:
    """Say yes; the call runs once, and the time after it asks anew."""
    house.client.request("approvals_approve", ref=question)
    assert house.call("write", args)["outcome"]["ok"]
    assert size(outside) == before + len(args["content"])
    asks_anew(house, args, question)
    assert size(outside) == before + len(args["content"])


def asks_anew(house: Killable, args: dict[str, Any], question: str) -> None:
    again = house.call("write", args)
    assert (effect(again), again["outcome"]) == ("ask", None)
    assert again["approval"]["id"] != question
    house.client.request("approvals_deny", ref=again["approval"]["id"])


@pytest.mark.parametrize("boundary", USING)
def test_a_call_that_was_approved(house: Killable, outside: Path, boundary: Boundary) -> None:
    args, before = asked_write(outside, f"uses {boundary}\n"), size(outside)
    question = house.call("write", args)["approval"]["id"]
    house.client.request("approvals_approve", ref=question)
    house.kill_at(boundary)
    assert house.dies(lambda: house.call("write", args)) == "gateway_gone"
    after = before + (len(args["content"]) if boundary in HAPPENED else 0)
    assert size(outside) == after
    revive(house, boundary in UNKNOWN, "write")
    assert size(outside) == after
    state = house.client.request("approvals_show", ref=question)["state"]
    assert state == ("approved" if boundary in UNUSED else "consumed")
    if boundary in UNUSED:
        assert house.call("write", args)["outcome"]["ok"]
        after += len(args["content"])
    asks_anew(house, args, question)
    assert size(outside) == after


def test_a_call_that_waits_while_it_is_killed(house: Killable, outside: Path) -> None:
    args, before = asked_write(outside, "waited\n"), size(outside)
    waiting = Aside(lambda: waits(house, args))
    question = open_question(house)
    house.kill()
    assert waiting.join().code == "gateway_gone"
    revive(house, named=False)
    use_once(house, outside, args, question, before)


def waits(house: Killable, args: dict[str, Any]) -> Any:
    with client_of(house.home) as client:
        options = {"session": None, "dry_run": False, "wait": 30.0, "as_operator": False}
        return client.request("call", agent=MAIN, tool="write", args_text=json.dumps(args), **options)


@pytest.mark.parametrize("boundary", USING)
def test_a_call_that_a_grant_covers(house: Killable, outside: Path, boundary: Boundary) -> None:
    """Two uses are granted; the killed call spends one if it got so far, and never lets a third call go."""
    args, before = asked_write(outside, f"grant {boundary}\n"), size(outside)
    each = len(args["content"])
    question = house.call("write", args)["approval"]["id"]
    terms = {"extent": "exact", "this_session": False, "minutes": 5, "uses": 2, "args": None, "under": None}
    granted = house.client.request("approvals_grant", ref=question, **terms)["id"]
    assert house.call("write", args)["outcome"]["ok"]
    house.kill_at(boundary)
    assert house.dies(lambda: house.call("write", args)) == "gateway_gone"
    happened = 2 if boundary in HAPPENED else 1
    revive(house, boundary in UNKNOWN, "write")
    assert size(outside) == before + happened * each
    (found,) = [row for row in house.client.request("grants_list", everything=True) if row["id"] == granted]
    left = 2 if boundary in UNUSED else 1
    assert (found["uses_left"], found["used"]) == (left, 2 - left)
    for _ in range(left):
        assert house.call("write", args)["outcome"]["ok"]
    asks_anew(house, args, question)
    assert size(outside) == before + (happened + left) * each
