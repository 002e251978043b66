"""Asks pages without a network: the application itself, a browser's headers, and the simulated gateway behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx2
from fastapi import FastAPI
from tests.channels.dashboard.stage import StagedChannel
from tests.channels.simulated_channel import SimulatedDoors, simulated_policy

from bascule.channels import dashboard
from bascule.channels.web.site import Pace, Site, build
from bascule.core.policy import Policy

T = TypeVar("T")

ORIGIN = "http://127.0.0.1:18789"
FORM = "application/x-www-form-urlencoded"


class Knock:
    """One browser's requests to one dashboard."""

    def __init__(
        self,
        channel: StagedChannel,
        doors: SimulatedDoors,
        policy: Policy,
        pace: Pace,
        add: Callable[[FastAPI, Site], None] = dashboard.add,
    ) -> None:
        self.channel, self.doors = channel, doors
        self.built = build(channel, doors, policy, [add], pace)
        transport = httpx2.ASGITransport(app=self.built.app, client=("127.0.0.1", 50_000))
        self.client = httpx2.AsyncClient(transport=transport, base_url=ORIGIN)

    async def sign_in(self, token: str = "tok-read-approve-chat-admin") -> None:
        secret = await self.doors.sign_in(token)
        self.client.cookies.set("bascule_session", secret)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers={"Sec-Fetch-Site": "same-origin", **headers})

    async def post(self, path: str, *fields: tuple[str, str], **headers: str) -> httpx2.Response:
        told = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Content-Type": FORM, **headers}
        return await self.client.post(path, content=urlencode(fields), headers=told)


def knocking(
    work: Callable[[Knock], Coroutine[Any, Any, T]],
    channel: StagedChannel | None = None,
    policy: Policy | None = None,
    add: Callable[[FastAPI, Site], None] = dashboard.add,
    clock: Callable[[], float] = float,
) -> T:
    """Run ``work`` with a dashboard whose clock stands still."""

    async def run() -> T:
        knock = Knock(
            StagedChannel() if channel is None else channel,
            SimulatedDoors(),
            simulated_policy() if policy is None else policy,
            Pace(clock, 0.02),
            add,
        )
        async with knock.client:
            return await work(knock)

    return asyncio.run(run())
