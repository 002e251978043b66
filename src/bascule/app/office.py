"""What the gateway answers when a verb asks: the service behind the control socket.

Stops: a verb doing anything the gate, the desk or the ledger would not: every method here hands on to one of them.
Callers have been vouched for by the kernel before they get here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from bascule.app import portraits, reports
from bascule.app.brake import Brake
from bascule.app.conversation import Conversations
from bascule.core.answer import State
from bascule.core.call import Proposal
from bascule.core.canonical import Json
from bascule.core.cards import one_line
from bascule.core.errors import BasculeError, Malformed, NotPermitted
from bascule.core.ids import SessionKey, cli_session, parse_agent_id, parse_session_key
from bascule.core.label import OPERATOR, Confidentiality, Integrity, Label
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Boxes, Tool
from bascule.desk.pending import PendingDesk
from bascule.gate import Gate
from bascule.host.policy_files import Loaded
from bascule.host.posture import Snapshots
from bascule.ledger.chain import Record
from bascule.ledger.store import Ledger
from bascule.runtime.sessions import SessionInfo, Sessions
from bascule.service.port import Caller, CallRequest
from bascule.service.shapes import (
    AgentDetail,
    AgentRow,
    ApprovalDetail,
    ApprovalRow,
    CallReport,
    CheckBody,
    ErrorBody,
    ExplainBody,
    PolicyFiles,
    ProbeBody,
    RecordRow,
    SessionDetail,
    SessionRow,
    StatusBody,
    TurnEvent,
)
from bascule.state.containment import Containment
from bascule.statements import label_body

STRANGER = Label(Integrity.UNTRUSTED, Confidentiality.PRIVATE, frozenset({"cli"}))
"""The words of ``bascule call``: a script's, unless the operator says they are theirs."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the gateway says of itself."""

    home: str
    version: str
    pid: int
    started: float
    ephemeral: bool
    mode: str


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
    problems: Callable[[], list[ErrorBody]]
    stop: Callable[[], None]


class Office:
    """Implements :class:`bascule.service.port.Service`."""

    def __init__(self, staff: Staff) -> None:
        self._to = staff

    async def status(self) -> StatusBody:
        """See the protocol."""
        who, policy = self._to.identity, self._to.loaded.policy
        return StatusBody(
            home=who.home,
            version=who.version,
            pid=who.pid,
            started=reports.instant(who.started),
            ephemeral=who.ephemeral,
            mode=who.mode,
            policy_version=policy.version,
            agents=len(policy.agents),
            sessions=len(self._to.sessions.list()),
            pending_approvals=len(await self._to.desk.list((State.PENDING,))),
            ledger_seq=self._to.ledger.end()[0],
            problems=self._to.problems(),
        )

    async def call(self, caller: Caller, request: CallRequest) -> CallReport:
        """See the protocol."""
        rules = self._rules(request.agent)
        session = cli_session(rules.id)
        if request.session is not None:
            session = parse_session_key(request.session, rules.id)
        words = OPERATOR if request.as_operator else STRANGER
        label = self._to.sessions.label(session).join(words)
        proposal = Proposal(rules.id, session, request.tool, request.args_text, label, f"cli:{caller.name}")
        crossing = await self._to.gate.cross(proposal, dry_run=request.dry_run, wait=request.wait)
        if crossing.outcome is not None:
            self._to.sessions.rise(rules.id, session, crossing.outcome.label)
        return reports.crossing(crossing)

    async def approvals_list(self, *, everything: bool) -> list[ApprovalRow]:
        """See the protocol."""
        states = tuple(State) if everything else (State.PENDING,)
        return [reports.approval_row(found) for found in await self._to.desk.list(states)]

    async def approvals_show(self, *, ref: str) -> ApprovalDetail:
        """See the protocol."""
        return reports.approval_detail(await self._to.desk.show(ref))

    async def approvals_approve(self, caller: Caller, *, ref: str) -> ApprovalDetail:
        """See the protocol."""
        return await self._answer(caller, ref, State.APPROVED)

    async def approvals_deny(self, caller: Caller, *, ref: str) -> ApprovalDetail:
        """See the protocol."""
        return await self._answer(caller, ref, State.DENIED)

    async def _answer(self, caller: Caller, ref: str, answer: State) -> ApprovalDetail:
        """Answer for whoever holds the socket: root and the home's owner are the operator, nobody else gets here."""
        said = await self._to.desk.answer(ref, answer, by=caller.name, approvers=(caller.name,))
        if not said.won:
            state, by = said.approval.state.value, said.approval.answered_by
            raise NotPermitted("approval_settled", f"{said.approval.id} is already {state}{f' by {by}' if by else ''}")
        return reports.approval_detail(said.approval)

    async def agents_list(self) -> list[AgentRow]:
        """See the protocol."""
        return [await self._agent(rules) for _, rules in sorted(self._to.loaded.policy.agents.items())]

    async def agents_show(self, *, agent: str) -> AgentDetail:
        """See the protocol."""
        rules = self._rules(agent)
        sessions = [info.key for info in self._to.sessions.list(rules.id)]
        return portraits.detail(await self._agent(rules), rules, self._to.tools, list(sessions))

    async def _agent(self, rules: AgentPolicy) -> AgentRow:
        missing = await self._to.snapshots.missing(rules)
        problems = [f"{need}: {why}" for need, why in sorted(missing.items())]
        problems += await self._to.snapshots.tolerated(rules)
        return portraits.row(
            rules, self._to.conversations.model(rules), self._to.tools, self._to.containment.reason(rules.id), problems
        )

    async def sessions_list(self, *, agent: str | None) -> list[SessionRow]:
        """See the protocol."""
        found = self._to.sessions.list(self._rules(agent).id if agent is not None else None)
        return [_session(info) for info in found]

    async def sessions_show(self, *, session: str) -> SessionDetail:
        """See the protocol."""
        info = self._to.sessions.get(SessionKey(session.lower()))
        lines = self._to.sessions.show(info.key)
        return SessionDetail(
            **_session(info),
            transcript=[{"at": reports.instant(line.at), "role": line.role, "text": line.text} for line in lines],
        )

    async def sessions_reset(self, caller: Caller, *, session: str) -> SessionRow:
        """See the protocol. The label falls here and nowhere else, so the fall is recorded first."""
        await self._to.conversations.turns.abandon(self._to.sessions.get(SessionKey(session.lower())).key)
        info = self._to.sessions.get(SessionKey(session.lower()))
        fell: dict[str, Json] = {"label": label_body(info.label), "by": caller.name}
        body: dict[str, Json] = {"agent": info.agent, "session": info.key, **fell}
        await self._to.ledger.append("session_reset", body, durable=True)
        await self._to.desk.cancel_all("the session was reset", session=info.key)
        self._to.sessions.reset(info.key)
        await self._to.boxes.stop(info.agent)
        return _session(self._to.sessions.get(info.key))

    async def contain(self, caller: Caller, *, agent: str | None, reason: str) -> list[AgentRow]:
        """See the protocol."""
        if not reason.strip():
            raise Malformed("reason_missing", "containing an agent needs a reason", "say why, for the record")
        everyone = self._to.loaded.policy.agents
        wanted = list(everyone.values()) if agent is None else [self._rules(agent)]
        await self._to.brake.contain([rules.id for rules in wanted], one_line(reason.strip()), caller.name)
        return [await self._agent(rules) for rules in wanted]

    async def release(self, caller: Caller, *, agent: str) -> AgentRow:
        """See the protocol."""
        rules = self._rules(agent)
        await self._to.brake.release(rules.id, caller.name)
        return await self._agent(rules)

    async def ledger_tail(self, *, count: int, agent: str | None) -> list[RecordRow]:
        """See the protocol."""
        if not 1 <= count <= 10_000:
            raise Malformed("count_invalid", "count must be from 1 to 10000")
        named = self._rules(agent).id if agent is not None else None
        return [_record(found) for found in self._to.ledger.tail(count, agent=named)]

    async def ledger_show(self, *, seq: int) -> RecordRow:
        """See the protocol."""
        found = self._to.ledger.show(seq)
        if found is None:
            raise Malformed("record_unknown", f"there is no record {seq}", "see: bascule ledger tail")
        return _record(found)

    async def sandbox_explain(self, *, agent: str) -> ExplainBody:
        """See the protocol."""
        rules = self._rules(agent)
        missing = await self._to.snapshots.missing(rules)
        return portraits.explain(rules, missing, await self._to.snapshots.tolerated(rules))

    async def sandbox_probe(self, *, agent: str) -> ProbeBody:
        """See the protocol."""
        rules = self._rules(agent)
        try:
            return portraits.probe(rules, await self._to.boxes.posture(rules.id, fresh=True))
        except BasculeError as error:
            check = CheckBody(id=error.code, ok=False, detail=error.message, remedy=error.remedy)
            return ProbeBody(agent=rules.id, backend=rules.sandbox.backend.value, ok=False, checks=[check])

    async def policy_files(self) -> PolicyFiles:
        """See the protocol."""
        loaded = self._to.loaded
        return PolicyFiles(
            version=loaded.policy.version,
            config=loaded.config.decode("utf-8", "surrogateescape"),
            approvals=None if loaded.approvals is None else loaded.approvals.decode("utf-8", "surrogateescape"),
        )

    def send(self, caller: Caller, *, agent: str, text: str, session: str | None) -> AsyncIterator[TurnEvent]:
        """See the protocol."""
        return self._to.conversations.send(caller, self._rules(agent), text, session)

    async def shutdown(self, caller: Caller) -> None:
        """See the protocol. Turns end here, before their askers leave: what waits for an answer goes on waiting."""
        # Stopping takes rights away; unlike all else it happens even if it cannot be recorded (a full disk).
        with suppress(BasculeError):
            await self._to.ledger.append("stopping", {"by": caller.name}, durable=False)
        await self._to.conversations.turns.stop()
        asyncio.get_running_loop().call_later(0.05, self._to.stop)

    def _rules(self, untrusted_agent: str) -> AgentPolicy:
        agent = parse_agent_id(untrusted_agent)
        if agent not in self._to.loaded.policy.agents:
            raise Malformed("agent_unknown", f"there is no agent {agent}", "see: bascule agents list")
        return self._to.loaded.policy.agents[agent]


def _session(info: SessionInfo) -> SessionRow:
    return SessionRow(
        id=info.key,
        agent=info.agent,
        messages=info.messages,
        updated=reports.instant(info.updated),
        label=reports.label(info.label),
    )


def _record(found: Record) -> RecordRow:
    return RecordRow(
        id=str(found.seq),
        seq=found.seq,
        at=found.at,
        kind=found.kind,
        agent=found.agent,
        summary=summary(found),
        hash=found.hash.hex(),
        body=whole(found),
    )


def whole(found: Record) -> dict[str, Json]:
    """A record's body as it was written, columns included."""
    columns: dict[str, Json] = {
        "agent": found.agent,
        "session": found.session,
        "digest": found.digest,
        "parent": found.parent,
    }
    return {**json.loads(found.body), **{key: value for key, value in columns.items() if value not in {"", None}}}


def summary(found: Record) -> str:
    """One line on a record: the tool, and what came of it."""
    body = whole(found)
    decision = body.get("decision")
    parts = [str(body["tool"])] if "tool" in body else []
    if isinstance(decision, Mapping):
        parts.append(str(decision.get("effect", "")))
    parts += [str(body[key]) for key in ("state", "by", "code", "ending") if body.get(key)]
    return " ".join(parts)
