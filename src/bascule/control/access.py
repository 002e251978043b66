"""Who may speak to the gateway, decided from the kernel's word about the other end of the socket.

Stops: an agent's account, the gateway's, or any other account of this machine, giving itself an approval. The rule is a
list of who may, so an unknown or unmapped uid (65534) is refused without being named. Does not stop: a process of an
operator's own account, which may do whatever the operator may.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bascule.core.errors import NotPermitted

ROOT = 0
"""The kernel's root, who owns the machine."""


@dataclass(frozen=True, slots=True)
class Access:
    """The accounts of one home: kernel uids of its owner and of its gateway, and the group of further operators.

    Root may always ask; without root the owner and the gateway are one account, and it may.
    """

    owner_uid: int
    gateway_uid: int
    operators: str = ""

    def check(self, uid: int, agent_uids: AbstractSet[int], *, member: bool = False) -> None:
        """Return if ``uid`` may ask; being an agent's account or the gateway's outweighs being in the group.

        Args:
            uid: the peer's kernel uid.
            agent_uids: kernel uids of all agents, from the accounts table as it is now.
            member: the account is in the group of operators, by the machine's tables as they are now.

        Raises:
            NotPermitted: ``peer_refused``.
        """
        if uid == ROOT:
            return
        if uid in agent_uids:
            raise NotPermitted("peer_refused", f"uid {uid} is an agent's account and may not speak to the gateway")
        if uid == self.owner_uid or (member and uid != self.gateway_uid):
            return
        remedy = f"join the group {self.operators}" if self.operators else "ask as its owner"
        raise NotPermitted("peer_refused", f"uid {uid} may not speak to this home's gateway", remedy)
