"""The ways out of one gateway: for each agent its rules, meter, resolver, proxy and records.

Stops: an agent whose policy gives it no proxy, or that is contained, being answered at all; a connection that is not
in the ledger before it is made; a flood of refusals filling the disk, for beyond what rules allow in a minute they are
counted and no longer written one by one. Does not judge: rules are judged where connections are made.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from bascule.core.canonical import Json
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Records
from bascule.core.reach import SearchPolicy
from bascule.egress.client import Client, Ways
from bascule.egress.dial import Dialer, Resolve, SystemResolver
from bascule.egress.journal import Entry
from bascule.egress.meter import Meter
from bascule.egress.proxy import Proxy
from bascule.egress.talk import Patience
from bascule.gate import BEGUN

MINUTE: Final = 60.0

CLOSE_SECONDS: Final = 5.0
"""How long the end of all tunnels may take; what still stands then ends with the process."""


@dataclass(slots=True)
class _Refusals:
    """Refusals of one agent: since when they are counted, how many, how many of them were only counted."""

    since: float
    written: int = 0
    counted: int = 0


class Book:
    """Implements :class:`bascule.egress.journal.Journal` over the ledger.

    Args:
        records: the ledger.
        most: for an agent, refusals that are written one by one in a minute.
        now: seconds of a clock that only goes forward.
    """

    def __init__(self, records: Records, most: Callable[[AgentId], int], now: Callable[[], float]) -> None:
        self._records = records
        self._most = most
        self._now = now
        self._refusals: dict[AgentId, _Refusals] = {}

    async def refused(self, entry: Entry) -> None:
        """See the protocol; what is more than the measure is counted and told by the next record."""
        now = self._now()
        known = self._refusals.get(entry.agent)
        if known is None or now - known.since >= MINUTE:
            known = _Refusals(now, counted=0 if known is None else known.counted)
            self._refusals[entry.agent] = known
        if known.written >= self._most(entry.agent):
            known.counted += 1
            return
        known.written += 1
        body = {**_asked(entry), "code": entry.code, "reason": entry.reason[:300], "unwritten": known.counted}
        known.counted = 0
        await self._records.append("egress_refused", body, durable=False)

    async def opened(self, entry: Entry) -> int:
        """See the protocol; on disk before anything is connected."""
        return await self._records.append("egress_opened", _asked(entry), durable=True)

    async def closed(self, entry: Entry, opened: int) -> None:
        """See the protocol."""
        body: dict[str, Json] = {
            **_asked(entry),
            "parent": opened,
            "code": entry.code,
            "reason": entry.reason[:300],
            "address": entry.address,
            "sent": entry.sent,
            "received": entry.received,
        }
        await self._records.append("egress_closed", body, durable=False)


def _asked(entry: Entry) -> dict[str, Json]:
    return {
        "agent": entry.agent,
        # The call under way, from which a program's connection or a fetch comes.
        "parent": BEGUN.get(),
        "via": entry.via,
        "method": entry.method,
        "target": entry.target,
        "rule": entry.rule,
    }


class WaysOut:
    """Implements :class:`bascule.core.ports.WayOut`, and hands the gateway its own client.

    Args:
        agents: policy, by agent.
        resolve: None for the machine's own resolver, one for each agent.
        patience: see there.
    """

    def __init__(
        self, agents: Mapping[AgentId, AgentPolicy], resolve: Resolve | None = None, patience: Patience | None = None
    ) -> None:
        self._agents = agents
        # A resolver each: an agent that asks for names that take long keeps no other waiting.
        self._ways = {
            agent: Ways(rules.egress, Meter(time.monotonic), Dialer(SystemResolver() if resolve is None else resolve))
            for agent, rules in agents.items()
            if rules.sandbox.network == "proxy"
        }
        self._patience = Patience() if patience is None else patience
        self._proxies: dict[AgentId, Proxy] = {}
        self._contained: Callable[[AgentId], str] = lambda _agent: ""
        self._client: Client | None = None
        self._ended = False

    def begin(self, records: Records, contained: Callable[[AgentId], str]) -> Client:
        """Answer from now on, and return the gateway's own client.

        Args:
            records: where every request is written.
            contained: why an agent is contained, or the empty string.
        """
        book = Book(records, lambda agent: self._agents[agent].egress.requests_per_minute, time.monotonic)
        self._contained = contained
        for agent in self._ways:
            self._proxies[agent] = Proxy(agent, partial(self._of, agent), book, self._patience)
        self._client = Client(self._of, book)
        return self._client

    def problem(self, agent: AgentId) -> str:
        """Return why an agent has no way out, empty if it has one. Containment is not asked here."""
        if self._ended:
            return "the gateway is ending"
        if agent not in self._ways:
            return f"policy gives {agent} no proxy"
        return "" if agent in self._proxies else "the gateway does not answer yet"

    def _of(self, agent: AgentId) -> Ways:
        """Return an agent's rules, meter and dialer.

        Raises:
            Unavailable: ``proxy_missing``.
        """
        contained = self._contained(agent)
        why = self.problem(agent) or (f"it is contained: {contained}" if contained else "")
        if why:
            raise Unavailable("proxy_missing", f"nobody answers for {agent}: {why}")
        return self._ways[agent]

    def attend(self, agent: AgentId, listener: int) -> Callable[[], None]:
        """See the protocol."""
        try:
            self._of(agent)
        except BasculeError:
            os.close(listener)
            raise
        return self._proxies[agent].attend(listener)

    def search(self, agent: AgentId) -> SearchPolicy:
        """Return where an agent's searches go."""
        return self._agents[agent].egress.search

    async def cut(self, agent: AgentId) -> None:
        """Cut everything an agent's boxes have open, and answer at none of their sockets any more."""
        proxy = self._proxies.get(agent)
        if proxy is not None:
            await _bounded(proxy)

    async def close(self) -> None:
        """Cut everything of everybody, and answer nobody from here on."""
        self._ended = True
        await asyncio.gather(*(_bounded(proxy) for proxy in self._proxies.values()))


async def _bounded(proxy: Proxy) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await proxy.close()
    except TimeoutError:
        return
