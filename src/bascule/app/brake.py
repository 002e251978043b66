"""Stopping agents, in the order that leaves no gap: first nothing more is allowed, then what is under way ends.

Stops: a contained agent's next call (the flag is up in memory before anything else happens), its turns, its ways out,
its open questions, and every process of its boxes. A part that cannot be reached keeps the others from nothing. Does
not stop: what a program had already done; the ledger says what began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bascule.app.egress import WaysOut
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.ports import Boxes, Records
from bascule.desk.pending import PendingDesk
from bascule.gate import Gate
from bascule.runtime.turns import Turns
from bascule.state.containment import Containment


class Brake:
    """Contains agents and releases them."""

    def __init__(  # noqa: PLR0913, PLR0917 -- it stops everything, so it must know everything that can go on
        self,
        containment: Containment,
        records: Records,
        desk: PendingDesk,
        gate: Gate,
        turns: Turns,
        ways: WaysOut,
        boxes: Boxes,
    ) -> None:
        self._containment = containment
        self._records = records
        self._desk = desk
        self._gate = gate
        self._turns = turns
        self._ways = ways
        self._boxes = boxes

    async def contain(self, agents: Sequence[AgentId], reason: str, by: str) -> None:
        """Contain agents; nothing of theirs runs when this returns.

        Raises:
            Unavailable: it could not be written down, or (``boxes_left``) a backend does not say that their boxes are
                gone. The agents are contained all the same: nothing more of theirs is allowed, recorded where it could
                be, and no way out is left.
        """
        flags = [asyncio.ensure_future(self._containment.contain(agent, f"{reason} ({by})")) for agent in agents]
        left = await asyncio.gather(*(self._end(agent) for agent in agents))
        await asyncio.gather(*flags)
        for agent, problem in zip(agents, left, strict=True):
            body = {"agent": agent, "reason": reason, "by": by, "boxes_left": problem}
            await self._records.append("contained", body, durable=True)
        problems = {problem: agent for agent, problem in zip(agents, left, strict=True) if problem}
        for problem, agent in problems.items():
            said = f"{agent} is contained, and its boxes may still be there: {problem}"
            raise Unavailable("boxes_left", said, "see: bascule sandbox list")

    async def _end(self, agent: AgentId) -> str:
        """End what an agent has under way; return why its boxes may still be there, empty if they are gone."""
        # One turn of the loop lets the flags go up first: contain() raises them before its first await.
        await asyncio.sleep(0)
        self._gate.halt(agent)
        self._turns.cancel_all(agent)
        _, problem = await asyncio.gather(self._ways.cut(agent), self._stop(agent))
        await self._desk.cancel_all("the agent was contained", agent=agent)
        return problem

    async def _stop(self, agent: AgentId) -> str:
        try:
            await self._boxes.stop(agent)
        except Unavailable as error:
            return str(error)
        return ""

    async def release(self, agent: AgentId, by: str) -> None:
        """Record the release, then let the agent go.

        Raises:
            Unavailable: it could not be written down; the agent stays contained.
        """
        await self._records.append("released", {"agent": agent, "by": by}, durable=True)
        await self._containment.release(agent)
