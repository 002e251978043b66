"""The ways out of one gateway: for each agent its rules, meter, resolver, proxy and records.

Stops: an agent whose policy gives it no proxy, or that is contained, being answered at all; a connection that is not
in the ledger before it is made; a flood of refusals filling the disk, for beyond what rules allow in a minute they are
counted and no longer written one by one. Does not judge: rules are judged where connections are made.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bascule.core.canonical import Json
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import RAW_BRIDGE, AgentPolicy
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

LONG, SHORT = 4096, 200
"""Characters of an address in the record of a connection, and in those of a refusal and an end."""

CLOSE_SECONDS: Final = 5.0
"""How long the end of all tunnels may take; what still stands then ends with the process."""


_REACHING: Final = ("proxy", RAW_BRIDGE)
"""Networks whose agents the gateway fetches for. Programs on a raw bridge have no proxy; tools keep to the rules."""


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
        under_way: the ``started`` records of an agent's calls now at work.
        most: for an agent, refusals that are written one by one in a minute.
        now: seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        records: Records,
        under_way: Callable[[AgentId], Sequence[int]],
        most: Callable[[AgentId], int],
        now: Callable[[], float],
    ) -> None:
        self._records = records
        self._under_way = under_way
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
        body = {
            **self._asked(entry, SHORT),
            "code": entry.code,
            "reason": entry.reason[:300],
            "unwritten": known.counted,
        }
        known.counted = 0
        await self._records.append("egress_refused", body, durable=False)

    async def opened(self, entry: Entry) -> int:
        """See the protocol; on disk before anything is connected."""
        return await self._records.append("egress_opened", self._asked(entry, LONG), durable=True)

    async def closed(self, entry: Entry, opened: int) -> None:
        """See the protocol."""
        body: dict[str, Json] = {
            **self._asked(entry, SHORT),
            "parent": opened,
            "code": entry.code,
            "reason": entry.reason[:300],
            "address": entry.address,
            "sent": entry.sent,
            "received": entry.received,
        }
        await self._records.append("egress_closed", body, durable=False)

    def _asked(self, entry: Entry, most: int) -> dict[str, Json]:
        return {
            "agent": entry.agent,
            "parent": self._parent(entry.agent),
            "via": entry.via,
            "method": entry.method,
            "target": _cut(entry.target, most),
            "rule": entry.rule,
        }

    def _parent(self, agent: AgentId) -> int | None:
        """The call it comes from: the one whose task asks, if it is still at work, else the only one that is.

        A container lasts longer than the call that made it, and what runs in it belongs to the call of the moment.
        """
        calls, own = self._under_way(agent), BEGUN.get()
        if own in calls:
            return own
        return calls[0] if len(calls) == 1 else None


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... and {len(text) - most} characters more"


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
            if rules.sandbox.network in _REACHING
        }
        self._patience = Patience() if patience is None else patience
        self._proxies: dict[AgentId, Proxy] = {}
        self._contained: Callable[[AgentId], str] = lambda _agent: ""
        self._client: Client | None = None
        self._ended = False

    def begin(
        self, records: Records, contained: Callable[[AgentId], str], under_way: Callable[[AgentId], Sequence[int]]
    ) -> Client:
        """Answer from now on, and return the gateway's own client.

        Args:
            records: where every request is written.
            contained: why an agent is contained, or the empty string.
            under_way: the ``started`` records of an agent's calls now at work.
        """
        book = Book(records, under_way, lambda agent: self._agents[agent].egress.requests_per_minute, time.monotonic)
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
