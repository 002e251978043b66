"""What the pages ask of a gateway beyond what every HTTP surface does: boxes, tokens, settled questions, older records.

Stops: what :class:`bascule.channels.web.reach.Reach` stops, for these too: an agent outside the sign-in is as unknown
as one that does not exist. Does not decide who may answer; the gateway does, at that moment.
"""

from __future__ import annotations

from bascule.channels.web.reach import Reach
from bascule.core.errors import Malformed
from bascule.service.boxshapes import ExplainBody, ProbeBody
from bascule.service.port import Channel, Principal
from bascule.service.shapes import ApprovalRow, GrantRow, RecordRow, TokenRow

WINDOW = 1000
"""Records looked through at once where only some of them are wanted."""

WINDOWS = 20
"""Windows looked through for one page; what is older still is found by asking for older records."""


class Sight(Reach):
    """A gateway through one signed-in browser's eyes; agents, sessions and references arrive unparsed."""

    def __init__(self, channel: Channel, principal: Principal) -> None:
        super().__init__(channel, principal, "dashboard")

    async def pending(self) -> list[ApprovalRow]:
        """Return open questions, oldest first."""
        return await self.approvals(everything=False)

    async def settled(self) -> list[ApprovalRow]:
        """Return settled questions, newest first."""
        return [row for row in reversed(await self.approvals(everything=True)) if row["state"] != "pending"]

    async def newest_grants(self, *, everything: bool) -> list[GrantRow]:
        """Return grants, newest first."""
        return (await self.grants(everything=everything))[::-1]

    async def explain(self, agent: str) -> ExplainBody:
        """Return an agent's box; raises ``agent_unknown``."""
        self._may("read")
        self._known(agent)
        return await self._channel.sandbox_explain(agent=agent)

    async def probe(self, agent: str) -> ProbeBody:
        """Start an agent's boxes and return their self-tests; raises ``agent_unknown``."""
        self._may("admin")
        self._known(agent)
        return await self._channel.sandbox_probe(agent=agent, session=None)

    async def tokens(self) -> list[TokenRow]:
        """Return every token; nothing to one who does not see all agents."""
        self._may("read")
        return await self._channel.tokens_list() if self.principal.agents is None else []

    async def revoke_token(self, token: str) -> TokenRow:
        """End a token; raises ``token_unknown``."""
        self._may("admin")
        if not any(row["id"] == token for row in await self.tokens()):
            raise Malformed("token_unknown", "there is no such token")
        return await self._channel.tokens_revoke(self.caller, token=token)

    async def records(self, until: int, count: int, agent: str | None) -> tuple[list[RecordRow], int]:
        """Return up to ``count`` records up to number ``until``, newest first, and the next number to look at.

        That number is 0 where nothing older is left. Raises ``agent_unknown``.
        """
        self._may("read")
        if agent is not None:
            self._known(agent)
        size = count if agent is None and self.principal.agents is None else WINDOW
        found: list[RecordRow] = []
        for _ in range(WINDOWS):
            if until < 1 or len(found) == count:
                break
            start = max(0, until - size)
            rows = await self._channel.ledger_after(seq=start, count=until - start, agent=agent)
            kept = [row for row in reversed(rows) if row["seq"] <= until and self.sees(row["agent"])]
            found += kept[: count - len(found)]
            until = found[-1]["seq"] - 1 if len(found) == count else start
        return found, until
