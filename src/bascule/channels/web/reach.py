"""What one principal can see and do: the gateway's verbs, cut down to its scopes and its agents.

Stops: a principal learning of, answering for or stopping an agent that is not among its own: rows of others are absent,
and one asked for by name is unknown, in the words used for what does not exist. Does not stop what a session's label,
the gate or the desk stop; they are asked after this.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from typing import Final, Literal, Protocol, TypeVar, cast

from bascule.channels.web.identity import check_scope
from bascule.core.errors import Malformed, NotPermitted
from bascule.service.port import Caller, Channel, Heard, Principal, Wider
from bascule.service.shapes import (
    AgentDetail,
    AgentRow,
    ApprovalDetail,
    ApprovalRow,
    GrantRow,
    RecordRow,
    SessionDetail,
    SessionRow,
    StatusBody,
    TurnEvent,
)

T = TypeVar("T")

MAX_ROWS: Final = 1000
"""Ledger records handed out at once."""

_SCAN: Final = 5000
"""Records looked through for those of a principal's agents before it must ask again from further on."""


class _OfAgent(Protocol):
    def __getitem__(self, key: Literal["agent"], /) -> str: ...


class Reach:
    """One principal's hold on the gateway; every method raises ``scope_missing`` where its scopes do not cover it."""

    def __init__(self, channel: Channel, principal: Principal, surface: str) -> None:
        self._channel = channel
        self.principal = principal
        self.caller = Caller(-1, 0, f"{principal.name} ({surface})", principal.person, principal)

    @property
    def name(self) -> str:
        """What to count the principal's streams by."""
        return self.principal.token if self.principal.token else f"browser of {self.principal.name}"

    def sees(self, agent: str) -> bool:
        """True if the agent is among the principal's own; what belongs to none is seen only by one who sees all."""
        return self.principal.agents is None or agent in self.principal.agents

    def _may(self, *scopes: str) -> None:
        check_scope(self.principal, *scopes)

    def _seen(self, rows: Sequence[T]) -> list[T]:
        return [row for row in rows if self.sees(cast("_OfAgent", row)["agent"])]

    async def status(self) -> StatusBody:
        """Return the state of the home; one who sees some agents only is told nothing of the others."""
        self._may("read")
        status = await self._channel.status()
        if self.principal.agents is None:
            return status
        shown = self.principal.agents
        hidden = [row["id"] for row in await self._channel.agents_list() if row["id"] not in shown]
        told = [one for one in status["problems"] if not any(name in one["message"] + one["remedy"] for name in hidden)]
        counted = StatusBody(**status)
        counted["agents"] = len(await self.agents())
        counted["sessions"] = len(await self.sessions(None))
        counted["pending_approvals"] = len(await self.approvals(everything=False))
        counted["problems"] = told
        return counted

    async def approvals(self, *, everything: bool) -> list[ApprovalRow]:
        """Return questions, oldest first."""
        self._may("read", "approve")
        return self._seen(await self._channel.approvals_list(everything=everything))

    async def approval(self, ref: str) -> ApprovalDetail:
        """Return one question by id or code; raises ``approval_unknown``."""
        self._may("read", "approve")
        return await self._one(self._channel.approvals_show(ref=ref), _no_question())

    async def _one(self, asked: Awaitable[T], absent: Malformed) -> T:
        """Return an agent's row if it is there and seen; both absences read the same."""
        try:
            row = await asked
        except Malformed as error:
            if error.code == absent.code:
                raise absent from None
            raise
        if not self.sees(cast("_OfAgent", row)["agent"]):
            raise absent
        return row

    async def _shown(self, ref: str, digest: str) -> ApprovalDetail:
        self._may("approve")
        found = await self.approval(ref)
        if found["digest"] != digest:
            told = f"{found['id']} is not about the call that was shown"
            raise NotPermitted("digest_differs", told, "look at it again, then answer")
        return found

    async def approve(self, ref: str, digest: str) -> ApprovalDetail:
        """Say yes to what was shown; raises ``approval_unknown``, ``digest_differs``, and as the gateway."""
        found = await self._shown(ref, digest)
        return await self._channel.approvals_approve(self.caller, ref=found["id"])

    async def deny(self, ref: str, digest: str) -> ApprovalDetail:
        """Say no; raises as :meth:`approve`."""
        found = await self._shown(ref, digest)
        return await self._channel.approvals_deny(self.caller, ref=found["id"])

    async def grant(self, ref: str, digest: str, wider: Wider) -> GrantRow:
        """Say yes to what was shown and to more; raises as :meth:`approve`."""
        found = await self._shown(ref, digest)
        return await self._channel.approvals_grant(self.caller, ref=found["id"], wider=wider)

    async def decide(
        self, answer: Literal["approve", "deny"], items: Sequence[tuple[str, str]]
    ) -> list[ApprovalDetail]:
        """Answer several at once, each an id with the digest that was shown; raises as the gateway."""
        self._may("approve")
        found = [(await self._shown(ref, digest))["id"] for ref, digest in items]
        pairs = zip(found, (digest for _, digest in items), strict=True)
        text = ",".join(f"{ref}={digest}" for ref, digest in pairs)
        return await self._channel.approvals_decide(self.caller, answer=answer, items=text)

    async def grants(self, *, everything: bool) -> list[GrantRow]:
        """Return grants, oldest first."""
        self._may("read", "approve")
        return self._seen(await self._channel.grants_list(everything=everything))

    async def revoke(self, grant: str) -> GrantRow:
        """End a grant; raises ``grant_unknown``, and as the gateway."""
        self._may("approve")
        if not any(row["id"] == grant for row in await self.grants(everything=True)):
            raise Malformed("grant_unknown", "there is no such grant")
        return await self._channel.grants_revoke(self.caller, grant=grant)

    async def agents(self) -> list[AgentRow]:
        """Return agents, by id."""
        self._may("read")
        return [row for row in await self._channel.agents_list() if self.sees(row["id"])]

    async def agent(self, agent: str) -> AgentDetail:
        """Return one agent; raises ``agent_unknown``."""
        self._may("read")
        self._known(agent)
        return await self._channel.agents_show(agent=agent)

    def _known(self, agent: str) -> None:
        if not self.sees(agent):
            raise Malformed("agent_unknown", f"there is no agent {agent[:64]!r}")

    async def sessions(self, agent: str | None) -> list[SessionRow]:
        """Return sessions, most recent first, of one agent or of all; raises ``agent_unknown``."""
        self._may("read")
        if agent is not None:
            self._known(agent)
        return self._seen(await self._channel.sessions_list(agent=agent))

    async def session(self, session: str) -> SessionDetail:
        """Return one session with its transcript; raises ``session_unknown``."""
        self._may("read")
        return await self._one(self._channel.sessions_show(session=session), _no_session())

    async def reset(self, session: str) -> SessionRow:
        """Begin a session anew; raises ``session_unknown``."""
        self._may("admin")
        found = await self._one(self._channel.sessions_show(session=session), _no_session())
        return await self._channel.sessions_reset(self.caller, session=found["id"])

    async def stop(self, agent: str | None, reason: str) -> list[AgentRow]:
        """Contain one agent, or all that are seen; raises ``agent_unknown``, ``reason_missing``."""
        self._may("approve", "admin")
        if agent is not None:
            self._known(agent)
        if agent is not None or self.principal.agents is None:
            return await self._channel.contain(self.caller, agent=agent, reason=reason)
        stopped: list[AgentRow] = []
        for own in sorted(self.principal.agents):
            stopped += await self._channel.contain(self.caller, agent=own, reason=reason)
        return stopped

    async def release(self, agent: str) -> AgentRow:
        """Let a contained agent go again; raises ``agent_unknown``."""
        self._may("admin")
        self._known(agent)
        return await self._channel.release(self.caller, agent=agent)

    async def contained(self) -> list[AgentRow]:
        """Return agents for one who may stop them."""
        self._may("read", "approve", "admin")
        return [row for row in await self._channel.agents_list() if self.sees(row["id"])]

    async def tail(self, count: int, agent: str | None) -> list[RecordRow]:
        """Return the last records, oldest first; raises ``agent_unknown``."""
        self._may("read")
        if agent is not None:
            self._known(agent)
        if agent is not None or self.principal.agents is None:
            return self._seen(await self._channel.ledger_tail(count=count, agent=agent))
        return self._seen(await self._channel.ledger_tail(count=_SCAN, agent=None))[-count:]

    async def after(self, seq: int, count: int, agent: str | None) -> tuple[list[RecordRow], int]:
        """Return records that follow one, in order, and where to go on from; raises ``agent_unknown``.

        Where to go on from is the last record looked at, which a principal that sees some agents only may not have
        been shown.
        """
        self._may("read")
        if agent is not None:
            self._known(agent)
        if agent is not None or self.principal.agents is None:
            rows = self._seen(await self._channel.ledger_after(seq=seq, count=count, agent=agent))
            return rows, rows[-1]["seq"] if rows else seq
        scanned = await self._channel.ledger_after(seq=seq, count=_SCAN, agent=None)
        rows = self._seen(scanned)[:count]
        if len(rows) == count:
            return rows, rows[-1]["seq"]
        return rows, scanned[-1]["seq"] if scanned else seq

    async def record(self, seq: int) -> RecordRow:
        """Return one record; raises ``record_unknown``."""
        self._may("read")
        return await self._one(self._channel.ledger_show(seq=seq), _no_record())

    async def lineage(self, seq: int) -> list[RecordRow]:
        """Return what led to a record and what it led to; raises ``record_unknown``."""
        await self.record(seq)
        return self._seen(await self._channel.ledger_lineage(seq=seq))

    async def partners(self) -> list[str]:
        """Return the agents that may be spoken to."""
        self._may("chat")
        return [row["id"] for row in await self._channel.agents_list() if self.sees(row["id"])]

    def talk(self, agent: str, text: str) -> tuple[str, AsyncIterator[TurnEvent]]:
        """Return the session that words to an agent go to, and the turn they begin; raises ``agent_unknown``.

        Whose words they are follows from the token alone: the operator's own if it is trusted, else a stranger's.
        """
        self._may("chat")
        self._known(agent)
        who = self.principal
        session = who.session if who.session is not None else f"api:{who.token if who.token else 'browser'}"
        origin = "operator" if who.trusted else "api"
        heard = Heard(agent, text, session, who.trusted, origin, frozenset({f"api:{who.name}"}))
        return session, self._channel.hear(self.caller, heard)

    async def follow(self, seq: int) -> AsyncGenerator[RecordRow, None]:
        """Yield every record after ``seq`` that is seen, without end."""
        self._may("read")
        async with aclosing(cast("AsyncGenerator[RecordRow, None]", self._channel.follow(seq))) as records:
            async for row in records:
                if self.sees(row["agent"]):
                    yield row


def _no_question() -> Malformed:
    return Malformed("approval_unknown", "there is no such question")


def _no_session() -> Malformed:
    return Malformed("session_unknown", "there is no such session")


def _no_record() -> Malformed:
    return Malformed("record_unknown", "there is no such record")
