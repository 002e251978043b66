"""Numbers for Prometheus."""

from __future__ import annotations

import asyncio
import re

import pytest
from tests.channels.over_http import ALL, built, client
from tests.channels.simulated_channel import SimulatedChannel

HELP = re.compile(r"# HELP ([a-z_:][a-z0-9_:]*) [^\n]+")
TYPE = re.compile(r"# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge)")
SAMPLE = re.compile(r"([a-z_:][a-z0-9_:]*)(?:\{([a-z_]+=\"[a-z]+\")\})? (-?[0-9]+(?:\.[0-9]+)?)")


def parse(text: str) -> dict[str, float]:
    """Read the exposition format strictly: help, type, samples, each metric once and in one block."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    blocks: list[str] = []
    lines = text.removesuffix("\n").split("\n")
    kind = ""
    for number, line in enumerate(lines):
        if head := HELP.fullmatch(line):
            assert head[1] not in blocks
            blocks.append(head[1])
            named = TYPE.fullmatch(lines[number + 1])
            assert named
            assert named[1] == head[1]
            kind = named[2]
        elif not TYPE.fullmatch(line):
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == blocks[-1]
            assert sample[1].endswith("_total") == (kind == "counter")
            key = sample[1] + (f"{{{sample[2]}}}" if sample[2] else "")
            assert key not in found
            found[key] = float(sample[3])
    return found


def gather(channel: SimulatedChannel, token: str = ALL, *, between: int = 0) -> list[dict[str, float]]:
    async def run() -> list[dict[str, float]]:
        found = []
        async with client(built(channel), token) as asked:
            for _ in range(2):
                answer = await asked.get("/api/v1/metrics")
                assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
                found.append(parse(answer.text))
                for number in range(between):
                    effect = ("allow", "ask", "deny")[number % 3]
                    agent = ("bruba-main", "bruba-web")[number % 2]
                    channel.record("decided", agent, {"decision": {"effect": effect}})
                    channel.record("approved", agent)
                    channel.record("odd", agent, {"decision": {"effect": "allow"}})
                    channel.record("decided", agent, {"decision": "odd"})
        return found

    return asyncio.run(run())


def test_numbers_say_what_is_so() -> None:
    channel = SimulatedChannel()
    channel.contained["bruba-web"] = "odd"
    before, after = gather(channel, between=6)
    assert before["bascule_up"] == 1
    assert before["bascule_approvals_pending"] == 3
    assert before["bascule_agents"] == before["bascule_sessions"] == 3
    assert before["bascule_agents_contained"] == 1
    assert before["bascule_ledger_seq"] == 3
    assert before['bascule_decisions_total{effect="allow"}'] == 0
    assert [after[f'bascule_decisions_total{{effect="{effect}"}}'] for effect in ("allow", "ask", "deny")] == [2, 2, 2]
    assert after['bascule_approvals_total{state="approved"}'] == 6
    assert after["bascule_ledger_seq"] == 27
    assert after["bascule_uptime_seconds"] >= before["bascule_uptime_seconds"] >= 0
    assert set(before) == set(after)


def test_more_than_a_page_of_records_is_counted() -> None:
    _, after = gather(SimulatedChannel(), between=700)
    assert sum(after[f'bascule_decisions_total{{effect="{effect}"}}'] for effect in ("allow", "ask", "deny")) == 700


def test_numbers_cover_the_own_agents_alone() -> None:
    channel = SimulatedChannel()
    channel.contained["bruba-main"] = "odd"
    before, after = gather(channel, f"{ALL}.web", between=6)
    assert (before["bascule_agents"], before["bascule_agents_contained"], before["bascule_approvals_pending"]) == (
        1,
        0,
        1,
    )
    assert after['bascule_approvals_total{state="approved"}'] == 3


@pytest.mark.parametrize(("token", "status"), [("", 401), ("tok-chat", 403), ("tok-read", 200)])
def test_who_may_gather(token: str, status: int) -> None:
    async def run() -> int:
        async with client(built(), token) as asked:
            return (await asked.get("/api/v1/metrics")).status_code

    assert asyncio.run(run()) == status
