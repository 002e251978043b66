"""Everyone the office hands on to, as one value, and what the gateway says of itself.

Stops nothing: it is a list of names, so that the parts of the office need not know how the house is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bascule.app.brake import Brake
from bascule.app.bulletin import Bulletin
from bascule.app.conversation import Conversations
from bascule.app.doorkeeping import Keys
from bascule.core.errors import Malformed
from bascule.core.ids import parse_agent_id
from bascule.core.policy import AgentPolicy, Policy
from bascule.core.ports import Boxes, Tool
from bascule.desk.pending import PendingDesk
from bascule.gate import Gate
from bascule.host.policy_files import Loaded
from bascule.host.posture import Snapshots
from bascule.ledger.store import Ledger
from bascule.runtime.sessions import Sessions
from bascule.service.shapes import ErrorBody, PairingRow
from bascule.state.containment import Containment


@dataclass(frozen=True, slots=True)
class Identity:
    """What the gateway says of itself."""

    home: str
    version: str
    pid: int
    started: float
    ephemeral: bool
    mode: str


class Pairings(Protocol):
    """Who asked to be let in over Signal."""

    def list(self) -> list[PairingRow]:
        """Return who waits, and who was let in."""

    async def approve(self, untrusted_code: str, by: str) -> PairingRow:
        """Let one chat, as a stranger.

        Raises:
            Malformed: ``pairing_unknown``.
        """


@dataclass(frozen=True, slots=True)
class Staff:
    """Everyone the office hands on to; ``stop`` ends the process after the answer is out."""

    identity: Identity
    loaded: Loaded
    tools: Mapping[str, Tool]
    gate: Gate
    desk: PendingDesk
    ledger: Ledger
    sessions: Sessions
    snapshots: Snapshots
    boxes: Boxes
    conversations: Conversations
    containment: Containment
    brake: Brake
    bulletin: Bulletin
    keys: Keys
    pairings: Pairings | None
    problems: Callable[[], list[ErrorBody]]
    stop: Callable[[], None]

    @property
    def policy(self) -> Policy:
        """What is wanted."""
        return self.loaded.policy

    def rules(self, untrusted_agent: str) -> AgentPolicy:
        """Return what policy says of an agent.

        Raises:
            Malformed: ``agent_id``, ``agent_unknown``.
        """
        agent = parse_agent_id(untrusted_agent)
        if agent not in self.policy.agents:
            raise Malformed("agent_unknown", f"there is no agent {agent}", "see: bascule agents list")
        return self.policy.agents[agent]
