"""Who is answered, what is written of it, and how it ends; rules, sizes and addresses are tests/egress's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.builders import agent_policy
from tests.egress.proxying import connect, listener
from tests.egress.world import AGENT as WEB
from tests.egress.world import Resolver, listening, naming, page, saying

from bascule.app.egress import Book, WaysOut
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import SandboxPolicy
from bascule.core.reach import EgressPolicy
from bascule.egress.journal import Entry
from bascule.gate import BEGUN

CLOSED = AgentId("bruba-main")
NAMES = {"localhost": [["127.0.0.1"]], "b.test": [["10.0.0.1"]]}


@dataclass
class Records:
    rows: list[tuple[str, Mapping[str, Any], bool]] = field(default_factory=list)

    async def append(self, kind: str, body: Mapping[str, Any], *, durable: bool) -> int:
        self.rows.append((kind, body, durable))
        return len(self.rows)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.rows]


@dataclass
class House:
    ways: WaysOut
    records: Records = field(default_factory=Records)
    contained: dict[str, str] = field(default_factory=dict)
    calls: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = self.ways.begin(
            self.records, lambda agent: self.contained.get(agent, ""), lambda agent: self.calls.get(agent, ())
        )


def house(rules: EgressPolicy) -> House:
    agents = {
        WEB: agent_policy(id=WEB, sandbox=SandboxPolicy(network="proxy"), egress=rules),
        CLOSED: agent_policy(id=CLOSED, egress=rules),
    }
    return House(WaysOut(agents, Resolver(NAMES)))


def refusal(ways: WaysOut, agent: AgentId) -> str:
    """Ask for an agent to be attended, and return why not; its socket must be closed then."""
    _, descriptor = listener()
    with pytest.raises(Unavailable) as refused:
        ways.attend(agent, descriptor)
    with pytest.raises(OSError):
        os.fstat(descriptor)
    assert refused.value.code == "proxy_missing"
    return refused.value.message


def test_only_agents_whose_policy_says_proxy_are_answered_and_only_by_a_gateway_that_runs() -> None:
    async def scene() -> None:
        home = house(EgressPolicy())
        assert (home.ways.problem(WEB), home.ways.problem(CLOSED)) == ("", f"policy gives {CLOSED} no proxy")
        assert "no proxy" in refusal(home.ways, CLOSED)
        with pytest.raises(Unavailable):
            await home.client.get(CLOSED, "http://localhost/", most=1, seconds=1)
        early = WaysOut({WEB: agent_policy(id=WEB, sandbox=SandboxPolicy(network="proxy"))})
        assert "yet" in refusal(early, WEB)
        await home.ways.close()
        assert "ending" in refusal(home.ways, WEB)
        assert home.records.rows == []

    asyncio.run(scene())


def test_a_contained_agent_is_cut_and_answered_no_more_until_it_is_released() -> None:
    async def scene() -> None:
        async with listening() as server:
            home = house(naming(server.port, "localhost"))
            port, descriptor = listener()
            home.ways.attend(WEB, descriptor)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(connect(f"localhost:{server.port}"))
            assert b"200" in await reader.readuntil(b"\r\n\r\n")
            home.contained[WEB] = "odd messages"
            await home.ways.cut(WEB)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", port)
            assert "odd messages" in refusal(home.ways, WEB)
            with pytest.raises(Unavailable):
                await home.client.get(WEB, f"http://localhost:{server.port}/", most=1, seconds=1)
            assert [(kind, body.get("code")) for kind, body, _ in home.records.rows] == [
                ("egress_opened", None),
                ("egress_closed", "cancelled"),
            ]
            home.contained.clear()
            port, descriptor = listener()
            end = home.ways.attend(WEB, descriptor)
            end()
            assert server.connections == 1

    asyncio.run(scene())


def test_a_connection_is_on_disk_before_it_is_made_and_names_the_call_it_comes_from() -> None:
    async def scene() -> None:
        async with listening(saying(page(b"hello"))) as server:
            home = house(naming(server.port, "localhost"))
            home.calls[WEB] = (40, 41)
            working = BEGUN.set(41)
            found = await home.client.get(WEB, f"http://localhost:{server.port}/x", most=100, seconds=5)
            BEGUN.reset(working)
            assert found.body == b"hello"
            (first, opened, durable), (last, closed, _) = home.records.rows
            assert (first, durable, last) == ("egress_opened", True, "egress_closed")
            assert (opened["parent"], closed["parent"]) == (41, 1)
            target = f"http://localhost:{server.port}/x"
            assert (opened["agent"], opened["via"], opened["method"], opened["target"]) == (
                WEB,
                "client",
                "GET",
                target,
            )
            assert (closed["code"], closed["received"], closed["address"]) == ("ok", 5, "127.0.0.1")

    asyncio.run(scene())


def test_a_flood_of_refusals_is_counted_and_not_written_one_by_one() -> None:
    time = [100.0]
    records = Records()
    book = Book(records, lambda _agent: (), lambda _agent: 3, lambda: time[0])

    async def refuse(times: int, agent: AgentId = WEB) -> None:
        for _ in range(times):
            await book.refused(Entry(agent, "proxy", "CONNECT", "evil.test:443", "host_not_listed", "no rule"))

    asyncio.run(refuse(50))
    assert records.kinds == ["egress_refused"] * 3
    asyncio.run(refuse(1, CLOSED))
    assert len(records.rows) == 4
    time[0] += 60
    asyncio.run(refuse(2))
    assert [body["unwritten"] for _, body, _ in records.rows] == [0, 0, 0, 0, 47, 0]
    assert records.rows[0][1]["code"] == "host_not_listed"


@pytest.mark.parametrize(
    ("began_in", "under_way", "parent"),
    [(7, (7,), 7), (7, (7, 9), 7), (7, (9,), 9), (None, (9,), 9), (7, (8, 9), None), (7, (), None)],
)
def test_a_connection_is_of_the_call_at_work_and_not_of_one_that_made_its_container(
    began_in: int | None, under_way: tuple[int, ...], parent: int | None
) -> None:
    records = Records()
    book = Book(records, lambda _agent: under_way, lambda _agent: 3, lambda: 0.0)
    working = BEGUN.set(began_in)
    asyncio.run(book.opened(Entry(WEB, "proxy", "CONNECT", "a.test:443")))
    BEGUN.reset(working)
    assert records.rows[0][1]["parent"] == parent


def test_an_address_in_a_record_has_an_end() -> None:
    records = Records()
    book = Book(records, lambda _agent: (), lambda _agent: 3, lambda: 0.0)
    entry = Entry(WEB, "client", "GET", "http://a.test/" + "x" * 8000)
    opened = asyncio.run(book.opened(entry))
    asyncio.run(book.closed(entry, opened))
    long, short = (str(body["target"]) for _, body, _ in records.rows)
    assert (len(long) < 4200, len(short) < 300) == (True, True)
    assert long.endswith("and 3918 characters more")
