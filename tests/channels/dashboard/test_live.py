from __future__ import annotations

import asyncio
import time

import pytest
from tests.channels.dashboard.knocking import Knock, knocking

from bascule.channels.dashboard.live import topics_of


@pytest.mark.parametrize(
    ("kind", "topics"),
    [
        ("asked", {"approvals", "ledger"}),
        ("expired", {"approvals", "ledger"}),
        ("contained", {"agents", "approvals", "ledger"}),
        ("started", {"ledger"}),
        ("whatever_comes", {"ledger"}),
    ],
)
def test_what_a_record_changes(kind: str, topics: set[str]) -> None:
    assert topics_of(kind) == topics


def heard(token: str) -> str:
    """What a reader is sent while things happen, until its sign-in ends."""

    async def work(knock: Knock) -> str:
        await knock.sign_in(token)
        stream = asyncio.ensure_future(knock.get("/live"))
        while not knock.channel.followers:
            await asyncio.sleep(0.001)
        assert knock.built.site.streams.taken
        knock.channel.record("asked", "bruba-main", {"secret": "words"})
        knock.channel.record("finished", "bruba-web")
        await asyncio.sleep(0.05)
        knock.doors.sessions.clear()
        answer = await asyncio.wait_for(stream, 10)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert knock.channel.followers == 0
        assert knock.built.site.streams.taken == {}
        return answer.text

    return knocking(work, clock=time.monotonic)


def test_a_hint_names_topics_and_nothing_else_and_ends_with_the_sign_in() -> None:
    told = heard("tok-read")
    assert [line for line in told.splitlines() if line and line != ": still here"] == [
        "event: change",
        "data: approvals ledger",
        "event: change",
        "data: ledger",
    ]


def test_a_sign_in_for_one_agent_is_told_nothing_of_the_others() -> None:
    told = heard("tok-read.web")
    assert [line for line in told.splitlines() if line.startswith("data")] == ["data: ledger"]


def test_a_stream_ends_with_the_server() -> None:
    async def work(knock: Knock) -> int:
        await knock.sign_in()
        stream = asyncio.ensure_future(knock.get("/live"))
        while not knock.channel.followers:
            await asyncio.sleep(0.001)
        knock.built.site.ending.set()
        answer = await asyncio.wait_for(stream, 10)
        return answer.status_code + knock.channel.followers

    assert knocking(work) == 200
