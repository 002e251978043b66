"""What every backend of one gateway stands on: the warden it asks, whose boxes there are, and under which accounts.

Stops: two backends of one gateway knowing different agents, accounts or ways out, and a box being made for an agent
that policy or the table of accounts does not have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import AgentPolicy
from bascule.core.ports import WayOut
from bascule.sandboxes.warden.client import WardenClient


@dataclass(frozen=True, slots=True)
class Footing:
    """One gateway's.

    Attributes:
        client: speaks to the warden.
        agents: policy by agent.
        uids: each agent's kernel uid, as the host counts.
        gateway_uid: the gateway's own.
        way: answers for boxes with a way out; None if nobody does.
        clock: seconds of a clock that only goes forward.
    """

    client: WardenClient
    agents: Mapping[AgentId, AgentPolicy]
    uids: Mapping[AgentId, int]
    gateway_uid: int
    way: WayOut | None = None
    clock: Callable[[], float] = time.monotonic

    def policy(self, agent: AgentId) -> AgentPolicy:
        """Return an agent's rules.

        Raises:
            Unavailable: ``agent_without_account``.
        """
        if agent not in self.agents or agent not in self.uids:
            raise Unavailable("agent_without_account", f"agent {agent} has no account here", "restart the gateway")
        return self.agents[agent]
