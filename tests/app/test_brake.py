"""Containing an agent on a real gateway, while it works."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.living import Living, codes, effect, living, verb

from bascule.app.brake import Brake
from bascule.control import place
from bascule.control.client import Client
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    def prepare(made: Living) -> None:
        made.change(
            "exec-approvals.json", lambda text: text.replace('"/bin/ls"', '"/usr/bin/sleep" }, { "pattern": "/bin/ls"')
        )

        (made.home / "rex.jsonl").write_text('{"say": "yes?"}\n{"loop": true}\n')
        (made.home / "rex.jsonl").chmod(0o644)
        rex = 'id: "bruba-rex", model: "script:rex.jsonl",'
        made.change("bascule.json5", lambda text: text.replace('id: "bruba-rex",', rex))

    with living(tmp_path_factory.mktemp("brake") / "home", prepare) as made:
        yield made


def connected(house: Living) -> Client:
    connection = place.dial(house.home)
    assert connection is not None
    return Client(connection, lambda: None)


def test_a_contained_agent_stops_at_once_and_stays_stopped_over_a_restart(house: Living) -> None:
    ended: list[float] = []

    def sleep() -> None:
        wanted = {"session": "nap", "dry_run": False, "wait": 0.0, "as_operator": False}
        with connected(house) as client:
            with pytest.raises(BasculeError):
                client.request("call", agent="bruba-main", tool="exec", args_text='{"command":"sleep 60"}', **wanted)
            ended.append(time.monotonic())

    before = time.monotonic()
    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    while not any(record["kind"] == "started" for record in house.records()):
        time.sleep(0.02)
    done = verb(house.home, "contain", "bruba-main", "--reason", "odd messages")
    sleeper.join(30)
    assert (done.returncode, "odd messages" in done.stdout) == (0, True)
    assert ended
    assert ended[0] - before < 45
    assert codes(house.call("read", {"path": "workspace/x"})) == {"contained"}
    assert effect(house.call("read", {"path": "workspace/x"}, agent="bruba-guru")) == "allow"
    house.stop()
    house.start()
    assert codes(house.call("read", {"path": "workspace/x"})) == {"contained"}
    assert "problem: warn: bruba-main is stopped: odd messages" in verb(house.home, "status").stdout
    assert verb(house.home, "release", "bruba-main").returncode == 0
    assert "is stopped" not in verb(house.home, "status").stdout
    assert effect(house.call("read", {"path": "workspace/x"})) == "allow"
    kinds = [record["kind"] for record in house.records()]
    assert kinds.count("contained") == kinds.count("released") == 1


def test_all_means_everybody_and_needs_to_be_said(house: Living) -> None:
    assert verb(house.home, "contain").returncode == 2
    assert verb(house.home, "contain", "nobody").returncode == 2
    assert verb(house.home, "contain", "--all").returncode == 0
    assert codes(house.call("read", {"path": "workspace/x"}, agent="bruba-guru")) == {"contained"}
    for agent in ("bruba-main", "bruba-guru", "bruba-rex", "bruba-manager", "bruba-web"):
        assert verb(house.home, "release", agent).returncode == 0


def test_the_model_of_a_contained_agent_hears_nothing(house: Living) -> None:
    def said() -> int:
        return sum(record["kind"] == "reply_closed" for record in house.records())

    assert verb(house.home, "send", "bruba-rex", "hello").returncode == 0
    before = said()
    assert before > 0
    assert verb(house.home, "contain", "bruba-rex", "--reason", "odd messages").returncode == 0
    refused = verb(house.home, "send", "bruba-rex", "hello again")
    assert (refused.returncode != 0, "odd messages" in refused.stderr) == (True, True)
    assert said() == before
    assert verb(house.home, "release", "bruba-rex").returncode == 0
    assert verb(house.home, "send", "bruba-rex", "hello at last").returncode == 0
    assert said() > before


class Part:
    """Every part of a gateway that an agent's stop is told to, in one: remembers, and its engine may be lost."""

    def __init__(self, lost: str = "") -> None:
        self.lost = lost
        self.told: list[str] = []

    def halt(self, agent: str) -> None:
        self.told.append(f"halt {agent}")

    def cancel_turns(self, agent: str) -> None:
        self.told.append(f"turns {agent}")

    async def contain(self, agent: str, _reason: str) -> None:
        self.told.append(f"flag {agent}")

    async def cut(self, agent: str) -> None:
        self.told.append(f"cut {agent}")

    async def stop(self, agent: str) -> None:
        if agent == self.lost:
            raise Unavailable("engine_gone", "the engine does not answer")
        self.told.append(f"boxes {agent}")

    async def cancel_all(self, _why: str, *, agent: str) -> None:
        self.told.append(f"desk {agent}")

    async def append(self, kind: str, body: dict[str, Any], *, durable: bool) -> int:
        self.told.append(f"{kind} {body['agent']} {body['boxes_left']} {durable}".replace("  ", " "))
        return 1


class Turns(Part):
    def cancel_all(self, agent: str) -> None:  # type: ignore[override] # turns and desk have a method of one name
        self.cancel_turns(agent)


def test_a_lost_engine_keeps_nobody_from_being_contained_and_is_told() -> None:
    part, turns = Part("bruba-web"), Turns()
    brake = Brake(part, part, part, part, turns, part, part)  # type: ignore[arg-type] # one stands for all
    agents = [AgentId("bruba-web"), AgentId("bruba-main")]
    with pytest.raises(Unavailable) as refused:
        asyncio.run(brake.contain(agents, "odd messages", "pat"))
    assert refused.value.code == "boxes_left"
    assert "bruba-web" in refused.value.message
    assert turns.told == ["turns bruba-web", "turns bruba-main"]
    for agent in agents:
        assert {f"flag {agent}", f"halt {agent}", f"cut {agent}", f"desk {agent}"} <= set(part.told)
    assert "boxes bruba-main" in part.told
    assert part.told[-2:] == ["contained bruba-web the engine does not answer True", "contained bruba-main True"]
