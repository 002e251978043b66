"""What the gateway answers when a verb asks: the service behind the control socket.

Stops: a verb doing anything the gate, the desk or the ledger would not: every method here hands on to one of them.
Callers have been vouched for by the kernel before they get here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress

from bascule.app import explaining, portraits, reports
from bascule.app.answering import Answering
from bascule.app.doorkeeping import Doorkeeping
from bascule.app.staff import Staff
from bascule.core.box import BoxKey
from bascule.core.call import Proposal
from bascule.core.canonical import Json
from bascule.core.cards import one_line
from bascule.core.errors import BasculeError, Malformed, NotPermitted
from bascule.core.ids import SessionKey, cli_session, main_session, parse_session_key
from bascule.core.label import OPERATOR, Confidentiality, Integrity, Label
from bascule.core.policy import AgentPolicy
from bascule.host.callprofiles import pinned
from bascule.ledger.chain import Record
from bascule.runtime.sessions import SessionInfo
from bascule.runtime.turns import Words
from bascule.service.boxshapes import BoxRow, CheckBody, ExplainBody, ProbeBody
from bascule.service.port import Caller, CallRequest, Heard
from bascule.service.shapes import (
    AgentDetail,
    AgentRow,
    CallReport,
    ErrorBody,
    PairingRow,
    PolicyFiles,
    RecordRow,
    SessionDetail,
    SessionRow,
    StatusBody,
    TurnEvent,
)
from bascule.statements import label_body

STRANGER = Label(Integrity.UNTRUSTED, Confidentiality.PRIVATE, frozenset({"cli"}))
"""The words of ``bascule call``: a script's, unless the operator says they are theirs."""


class Office(Answering, Doorkeeping):
    """Implements :class:`bascule.service.port.Channel`."""

    def __init__(self, staff: Staff) -> None:
        super().__init__(staff)
        self._keys = staff.keys

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
            pending_approvals=self._to.desk.pending_count(),
            ledger_seq=self._to.ledger.end()[0],
            problems=[*self._stopped(), *self._to.problems()],
        )

    def _stopped(self) -> list[ErrorBody]:
        """Whoever asks how the home is must see at once that an agent does nothing, and why."""
        found = ((agent, self._to.containment.reason(agent)) for agent in sorted(self._to.loaded.policy.agents))
        return [
            ErrorBody(
                code="contained", message=f"warn: {agent} is stopped: {why}", remedy=f"run: bascule release {agent}"
            )
            for agent, why in found
            if why
        ]

    async def call(self, caller: Caller, request: CallRequest) -> CallReport:
        """See the protocol."""
        rules = self._to.rules(request.agent)
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

    async def pairing_list(self) -> list[PairingRow]:
        """See the protocol."""
        return [] if self._to.pairings is None else self._to.pairings.list()

    async def pairing_approve(self, caller: Caller, *, code: str) -> PairingRow:
        """See the protocol."""
        if caller.person is not None:
            raise NotPermitted(
                "not_the_operator", "who may chat is said on the machine", "run: bascule pairing approve"
            )
        if self._to.pairings is None:
            raise Malformed(
                "pairing_unknown", "nobody waits: no Signal account is in the policy", "see channels.signal"
            )
        row = await self._to.pairings.approve(code, caller.name)
        body: dict[str, Json] = {"sender": row["sender"], "by": caller.name}
        await self._to.ledger.append("paired", body, durable=True)
        return row

    async def agents_list(self) -> list[AgentRow]:
        """See the protocol."""
        return [await self._agent(rules) for _, rules in sorted(self._to.loaded.policy.agents.items())]

    async def agents_show(self, *, agent: str) -> AgentDetail:
        """See the protocol."""
        rules = self._to.rules(agent)
        sessions = [info.key for info in self._to.sessions.list(rules.id)]
        return portraits.detail(await self._agent(rules), rules, self._to.tools, list(sessions))

    async def _agent(self, rules: AgentPolicy) -> AgentRow:
        contained = self._to.containment.reason(rules.id)
        # A contained agent has no box to be measured.
        missing = {} if contained else await self._to.snapshots.missing(rules)
        together: dict[str, list[str]] = {}
        for need, why in sorted(missing.items()):
            together.setdefault(why, []).append(str(need))
        problems = [f"{', '.join(needs)}: {why}" for why, needs in together.items()]
        problems += await self._to.snapshots.tolerated(rules)
        return portraits.row(rules, self._to.conversations.model(rules), self._to.tools, contained, problems)

    async def sessions_list(self, *, agent: str | None) -> list[SessionRow]:
        """See the protocol."""
        found = self._to.sessions.list(self._to.rules(agent).id if agent is not None else None)
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
        await self._to.boxes.forget(BoxKey(info.agent, info.key))
        return _session(self._to.sessions.get(info.key))

    async def contain(self, caller: Caller, *, agent: str | None, reason: str) -> list[AgentRow]:
        """See the protocol."""
        if not reason.strip():
            raise Malformed("reason_missing", "containing an agent needs a reason", "say why, for the record")
        everyone = self._to.loaded.policy.agents
        wanted = list(everyone.values()) if agent is None else [self._to.rules(agent)]
        await self._to.brake.contain([rules.id for rules in wanted], one_line(reason.strip()), caller.name)
        return [await self._agent(rules) for rules in wanted]

    async def release(self, caller: Caller, *, agent: str) -> AgentRow:
        """See the protocol."""
        rules = self._to.rules(agent)
        await self._to.brake.release(rules.id, caller.name)
        return await self._agent(rules)

    async def ledger_tail(self, *, count: int, agent: str | None) -> list[RecordRow]:
        """See the protocol."""
        if not 1 <= count <= 10_000:
            raise Malformed("count_invalid", "count must be from 1 to 10000")
        named = self._to.rules(agent).id if agent is not None else None
        return [_record(found) for found in self._to.ledger.tail(count, agent=named)]

    async def ledger_show(self, *, seq: int) -> RecordRow:
        """See the protocol."""
        found = self._to.ledger.show(seq)
        if found is None:
            raise Malformed("record_unknown", f"there is no record {seq}", "see: bascule ledger tail")
        return _record(found)

    async def ledger_after(self, *, seq: int, count: int, agent: str | None) -> list[RecordRow]:
        """See the protocol."""
        if not 1 <= count <= 10_000:
            raise Malformed("count_invalid", "count must be from 1 to 10000")
        named = self._to.rules(agent).id if agent is not None else None
        return [_record(found) for found in self._to.ledger.after(seq, count, agent=named)]

    async def ledger_lineage(self, *, seq: int) -> list[RecordRow]:
        """See the protocol."""
        if self._to.ledger.show(seq) is None:
            raise Malformed("record_unknown", f"there is no record {seq}", "see: bascule ledger tail")
        return [_record(found) for found in (*self._to.ledger.lineage(seq), *self._to.ledger.descent(seq))]

    async def follow(self, seq: int) -> AsyncIterator[RecordRow]:
        """See the protocol."""
        async with aclosing(self._to.bulletin.follow(seq)) as records:
            async for found in records:
                yield _record(found)

    async def sandbox_explain(self, *, agent: str) -> ExplainBody:
        """See the protocol."""
        found = explaining.explain(self._to.loaded, self._to.rules(agent).id)
        return explaining.with_shared_account(found) if self._to.identity.mode == "unsafe-single-uid" else found

    async def sandbox_probe(self, *, agent: str, session: str | None) -> ProbeBody:
        """See the protocol."""
        rules = self._to.rules(agent)
        key = cli_session(rules.id) if session is None else parse_session_key(session, rules.id)
        try:
            if session is not None:
                await self._to.boxes.files(BoxKey(rules.id, key))
            return portraits.probe(rules, await self._to.snapshots.posture(rules, key, fresh=True))
        except BasculeError as error:
            check = CheckBody(id=error.code, ok=False, detail=error.message, remedy=error.remedy)
            return ProbeBody(agent=rules.id, backend=rules.sandbox.backend.value, ok=False, checks=[check])

    async def sandbox_list(self) -> list[BoxRow]:
        """See the protocol."""
        now = self._keys.clock.now()
        return [portraits.box(found, now) for found in await self._to.boxes.standing()]

    async def sandbox_stop(self, *, agent: str | None, session: str | None) -> list[str]:
        """See the protocol."""
        if session is not None:
            rules = self._to.rules("" if agent is None else agent)
            await self._to.boxes.end(BoxKey(rules.id, parse_session_key(session, rules.id)))
            return [str(rules.id)]
        chosen = [self._to.rules(agent).id] if agent is not None else sorted(self._to.policy.agents)
        for name in chosen:
            await self._to.boxes.stop(name)
        return [str(name) for name in chosen]

    async def policy_files(self) -> PolicyFiles:
        """See the protocol."""
        loaded = self._to.loaded
        return PolicyFiles(
            version=loaded.policy.version,
            config=loaded.config.decode("utf-8", "surrogateescape"),
            approvals=None if loaded.approvals is None else loaded.approvals.decode("utf-8", "surrogateescape"),
            profiles={str(agent): digest for agent, (_, digest) in pinned(loaded.policy).items()},
        )

    def send(self, caller: Caller, *, agent: str, text: str, session: str | None) -> AsyncIterator[TurnEvent]:
        """See the protocol."""
        del caller
        rules = self._listening(agent)
        key = main_session(rules.id) if session is None else parse_session_key(session, rules.id)
        return self._to.conversations.send(rules, Words(rules.id, key, text, OPERATOR, "operator"))

    def hear(self, caller: Caller, heard: Heard) -> AsyncIterator[TurnEvent]:
        """See the protocol. Whoever is not the operator is a stranger, and what they say is private to them and us."""
        del caller
        rules = self._listening(heard.agent)
        key = main_session(rules.id) if heard.session is None else parse_session_key(heard.session, rules.id)
        if key == main_session(rules.id) and not heard.trusted:
            # What the operator told the agent there, and MEMORY.md, are not for strangers.
            raise NotPermitted("session_operators", f"{key} is the operator's own conversation", "name another session")
        integrity = Integrity.TRUSTED if heard.trusted else Integrity.UNTRUSTED
        label = Label(integrity, Confidentiality.PRIVATE, heard.sources | ({"operator"} if heard.trusted else set()))
        return self._to.conversations.send(rules, Words(rules.id, key, heard.text, label, heard.origin))

    def _listening(self, untrusted_agent: str) -> AgentPolicy:
        """Return what policy says of an agent that may be spoken to: the model of one that is stopped hears nothing.

        Raises:
            Malformed: ``agent_unknown``.
            NotPermitted: ``contained``.
        """
        rules = self._to.rules(untrusted_agent)
        if why := self._to.containment.reason(rules.id):
            raise NotPermitted("contained", f"{rules.id} is contained: {why}", f"run: bascule release {rules.id}")
        return rules

    async def shutdown(self, caller: Caller) -> None:
        """See the protocol. Turns end here, before their askers leave: what waits for an answer goes on waiting."""
        # Stopping takes rights away; unlike all else it happens even if it cannot be recorded (a full disk).
        with suppress(BasculeError):
            await self._to.ledger.append("stopping", {"by": caller.name}, durable=False)
        await self._to.conversations.turns.stop()
        asyncio.get_running_loop().call_later(0.05, self._to.stop)


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
    """One line on a record: the tool or the address, and what came of it."""
    body = whole(found)
    decision = body.get("decision")
    parts = [str(body["tool"])] if "tool" in body else []
    if "target" in body:
        parts.append(f"{body.get('method', '')} {body['target']}"[:80])
    if isinstance(decision, Mapping):
        parts.append(str(decision.get("effect", "")))
    parts += [str(body[key]) for key in ("state", "by", "code", "ending") if body.get(key)]
    return " ".join(parts)
