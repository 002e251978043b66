"""What is written down of every way out, whoever took it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bascule.core.ids import AgentId


@dataclass(frozen=True, slots=True)
class Entry:
    """One request or tunnel.

    Attributes:
        agent: whose.
        via: ``proxy`` or ``client``.
        method: as asked, ``CONNECT`` for a tunnel; cut to 20 characters.
        target: the address or ``host:port`` as parsed, empty if it did not parse.
        code: ``ok``, or why it was refused or ended early.
        reason: one line.
        rule: the policy rule that let it through or refused it.
        address: the IP address connected to, empty before.
        sent: bytes away from the agent, of the body or the tunnel.
        received: bytes towards the agent.
    """

    agent: AgentId
    via: str
    method: str
    target: str
    code: str = "ok"
    reason: str = ""
    rule: str = ""
    address: str = ""
    sent: int = 0
    received: int = 0


class Journal(Protocol):
    """Where entries go. What it raises stops the request before anything is connected."""

    async def refused(self, entry: Entry) -> None:
        """Write that something was asked for and refused."""

    async def opened(self, entry: Entry) -> int:
        """Write that a connection is about to be made, and return a number by which its end is told.

        Raises:
            Unavailable: it could not be written; nothing is connected.
        """

    async def closed(self, entry: Entry, opened: int) -> None:
        """Write how it ended, and how much went which way."""
