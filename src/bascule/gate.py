"""The one path: every tool call of an agent, from proposal to effect.

Stops: an effect that was not parsed, judged, recorded, asked about where it must be, judged again and permitted, in
that order. Whatever cannot be recorded does not happen. The files a yes is bound to stay as they are until it has run:
nothing else of that agent that writes runs meanwhile. Does not stop: a wrong policy; it carries out what is wanted.
"""

from __future__ import annotations

from asyncio import CancelledError, Lock, Task, current_task
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum

from bascule.core.answer import Approval, Grant, State
from bascule.core.box import BoxKey
from bascule.core.call import FROM_MODEL, Call, Proposal, seal
from bascule.core.canonical import Json, read_arguments
from bascule.core.cards import foot, head, one_line
from bascule.core.errors import BasculeError, Malformed, NotPermitted, Unavailable
from bascule.core.ids import AgentId
from bascule.core.outcome import Outcome, failed
from bascule.core.permit import Permit
from bascule.core.policy import AgentPolicy, Policy
from bascule.core.ports import Clock, Desk, FactSource, Records, Tool
from bascule.core.toolspec import DURABLE
from bascule.core.verdict import Decision, Effect, Verdict, deny
from bascule.judge import BEFORE_BINDING, confine, judge, judge_name
from bascule.layers.l6_exec_allowlist import action_of, changes_files
from bascule.statements import answered, decided, finished, refused, started

NAME = "gate"

PERMIT_SECONDS = 30.0
"""How long after its last judgement a call may still begin."""

BEGUN: ContextVar[int | None] = ContextVar("begun", default=None)
"""The ``started`` record of the call that whoever reads this works for, so that what it leads to names it as parent."""


class Boundary(StrEnum):
    """Every instant at which a crossing may be cut by a crash; the tests of threat T14 walk them all."""

    PROPOSED = "proposed"
    DECIDED = "decided"
    ASKED = "asked"
    CONSUMED = "consumed"
    ANSWERED = "answered"
    STARTED = "started"
    RAN = "ran"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Crossing:
    """What became of a proposal.

    ``call`` is None if it did not parse; ``approval`` is set if a question stands or stood, ``grant`` if one let it go;
    ``outcome`` if it ran; ``seq`` is that of the ``decided`` record, None in a dry run.
    """

    proposal: Proposal
    call: Call | None
    decision: Decision
    approval: Approval | None = None
    outcome: Outcome | None = None
    seq: int | None = None
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the gate is built from; ``reached`` is told every boundary as it is passed."""

    tools: Mapping[str, Tool]
    records: Records
    desk: Desk
    facts: FactSource
    clock: Clock
    mask: Callable[[bytes], bytes]
    reached: Callable[[Boundary], None]


class Gate:
    """The gate over one policy. What it must remember is in the ledger and on the desk, not here."""

    def __init__(self, policy: Policy, wiring: Wiring) -> None:
        self._policy = policy
        self._to = wiring
        self._running: dict[Task[object], AgentId] = {}
        self._begun: dict[int, AgentId] = {}
        self._still: dict[AgentId, Lock] = {agent: Lock() for agent in policy.agents}

    def halt(self, agent: AgentId) -> None:
        """End every effect of an agent that is under way; the caller has contained it first, so that none begins."""
        for task, whose in tuple(self._running.items()):
            if whose == agent:
                task.cancel()

    def under_way(self, agent: AgentId) -> tuple[int, ...]:
        """Return the ``started`` records of an agent's calls whose hands are at work now."""
        return tuple(seq for seq, whose in self._begun.items() if whose == agent)

    async def cross(self, proposal: Proposal, *, dry_run: bool = False, wait: float = 0.0) -> Crossing:
        """Take one proposal across.

        Args:
            proposal: whose, and the raw strings.
            dry_run: parse and judge only; nothing is recorded, asked or run.
            wait: seconds to wait for the operator if it asks.

        Raises:
            Unavailable: something could not be recorded; nothing happened, or what happened is on record as begun.
        """
        rules = self._policy.agents[proposal.agent]
        self._to.reached(Boundary.PROPOSED)
        if proposal.origin == FROM_MODEL:
            self._to.facts.count(proposal.agent)
        try:
            call = await self._parse(proposal, rules)
        except BasculeError as error:
            return await self._refuse(proposal, rules, error, dry_run=dry_run)
        decision = judge(call, await self._to.facts.snapshot(call, self._policy), rules)
        if dry_run:
            return Crossing(proposal, call, decision)
        raw = proposal.untrusted_args if self._to.tools[call.tool].spec.open_args else None
        seq = await self._record(call, "decided", decided(call, decision, self._policy.version, raw))
        self._to.reached(Boundary.DECIDED)
        crossing = Crossing(proposal, call, decision, seq=seq)
        if decision.effect is Effect.DENY:
            return crossing
        if decision.effect is Effect.ASK:
            crossing, taken = await self._ask(crossing, call, rules, wait)
            if not taken:
                return crossing
            async with self._alone(call, rules, bound=bool(call.bindings)):
                return await self._after_yes(crossing, call, rules)
        async with self._alone(call, rules, bound=False):
            return await self._run(crossing, call, rules)

    def _alone(self, call: Call, rules: AgentPolicy, *, bound: bool) -> AbstractAsyncContextManager[object]:
        """Keep an agent's writers, and the calls a yes binds to a file's content, out of each other's way.

        Else a second session could put another script where the approved one was, between the look and the run.
        """
        return self._still[call.agent] if bound or changes_files(call, rules) else nullcontext()

    async def _parse(self, proposal: Proposal, rules: AgentPolicy) -> Call:
        tool = self._to.tools.get(proposal.untrusted_tool)
        if tool is None:
            raise _unknown_tool(proposal.untrusted_tool)
        args = tool.spec.parse({} if tool.spec.open_args else read_arguments(proposal.untrusted_args))
        intent = tool.intend(args, rules)
        unbound = seal(proposal, tool.spec, args, intent, {})
        facts = await self._to.facts.snapshot(unbound, self._policy)
        if judge(unbound, facts, rules, BEFORE_BINDING).effect is Effect.DENY:
            return unbound
        bound = await tool.bind(args, intent, rules, BoxKey(proposal.agent, proposal.session))
        return seal(proposal, tool.spec, args, bound.intent, bound.bindings)

    async def _refuse(self, proposal: Proposal, rules: AgentPolicy, error: BasculeError, *, dry_run: bool) -> Crossing:
        """Record a proposal that did not become a call; a tool the agent lacks is named even so."""
        verdict = deny(NAME, error.code, error.message, error.remedy)
        named = judge_name(proposal.untrusted_tool, rules) if proposal.untrusted_tool in self._to.tools else None
        decision = Decision((verdict, *(named.verdicts if named else ())))
        if dry_run:
            return Crossing(proposal, None, decision)
        seq = await self._to.records.append("decided", refused(proposal, decision, self._policy.version), durable=False)
        self._to.reached(Boundary.DECIDED)
        return Crossing(proposal, None, decision, seq=seq)

    async def _ask(self, crossing: Crossing, call: Call, rules: AgentPolicy, wait: float) -> tuple[Crossing, bool]:
        """Use up a yes already given for this very call, or put the question and wait as long as the caller will.

        Only what the desk handed to this very crossing is a yes: a question seen as used was used by another.
        """
        taken = await self._to.desk.take(call, self._policy)
        if taken is None:
            own = self._to.tools[call.tool].card(call, rules)
            lines = (*head(call, crossing.decision, action_of(call, rules)), *own)
            card = tuple(one_line(line) for line in (*lines, *foot(call, lines)))
            try:
                question = await self._to.desk.open(call, crossing.decision, card, crossing.seq or 0, self._policy)
            except BasculeError as error:
                return replace(crossing, decision=_with(crossing.decision, error)), False
            self._to.reached(Boundary.ASKED)
            crossing = replace(crossing, approval=question)
            if wait <= 0:
                return crossing, False
            state = await self._to.desk.wait(question.id, wait)
            crossing = replace(crossing, approval=replace(question, state=state))
            if state is not State.APPROVED:
                return crossing, False
            taken = await self._to.desk.take(call, self._policy)
            if taken is None:
                return crossing, False
        self._to.reached(Boundary.CONSUMED)
        if isinstance(taken, Grant):
            return replace(crossing, grant=taken), True
        return replace(crossing, approval=taken), True

    async def _after_yes(self, crossing: Crossing, call: Call, rules: AgentPolicy) -> Crossing:
        """Look up, judge again on fresh facts: a yes lifts ASK for what was asked; DENY stays DENY."""
        try:
            again = await self._parse(crossing.proposal, rules)
        except BasculeError as error:
            decision = Decision((deny(NAME, error.code, error.message, error.remedy), _changed()))
        else:
            verdicts = judge(again, await self._to.facts.snapshot(again, self._policy), rules).verdicts
            changed = () if again.digest == call.digest else (_changed(),)
            said = f"granted by {crossing.grant.id}" if crossing.grant else "approved"
            decision = Decision((*(_lift(verdict, said) for verdict in verdicts), *changed))
        said_yes = crossing.grant if crossing.grant else crossing.approval
        await self._record(call, "answered", answered(call, said_yes, decision, crossing.seq))
        self._to.reached(Boundary.ANSWERED)
        crossing = replace(crossing, decision=decision)
        if decision.effect is Effect.DENY:
            return crossing
        return await self._run(crossing, call, rules)

    async def _run(self, crossing: Crossing, call: Call, rules: AgentPolicy) -> Crossing:
        """Permit, record, confine, carry out, receive, record."""
        # Looked at and entered without a pause between, so that whoever contains the agent finds this call or stops it.
        why = self._to.facts.contained(call.agent)
        task = current_task()
        if why or task is None:
            return replace(crossing, decision=_with(crossing.decision, NotPermitted("contained", f"contained: {why}")))
        self._running[task] = call.agent
        try:
            return await self._carry_through(crossing, call, rules)
        finally:
            del self._running[task]

    async def _carry_through(self, crossing: Crossing, call: Call, rules: AgentPolicy) -> Crossing:
        permit = Permit(call, confine(call, rules), self._to.clock.now() + PERMIT_SECONDS)
        begun = await self._record(call, "started", started(call, permit.confinement, crossing.seq))
        self._to.reached(Boundary.STARTED)
        try:
            outcome = await self._carry_out(call, permit, begun)
        except CancelledError:
            ended = failed("cancelled", "cancelled by the operator")
            await self._record(call, "finished", finished(call, ended, begun))
            raise
        self._to.reached(Boundary.RAN)
        try:
            await self._record(call, "finished", finished(call, outcome, begun))
        except BasculeError as error:
            raise _unrecorded(call, error) from error
        self._to.reached(Boundary.FINISHED)
        return replace(crossing, outcome=outcome)

    async def _carry_out(self, call: Call, permit: Permit, begun: int) -> Outcome:
        confinement = permit.spend(call, self._to.clock.now())
        working = BEGUN.set(begun)
        self._begun[begun] = call.agent
        try:
            outcome = await self._to.tools[call.tool].run(call, confinement)
        except BasculeError as error:
            outcome = failed(error.code, f"{error} [{error.code}]")
        except Exception as error:  # noqa: BLE001 -- a tool that breaks has failed; the record must still say so
            outcome = failed("tool_crashed", f"{call.tool} failed inside with {type(error).__name__}")
        finally:
            BEGUN.reset(working)
            del self._begun[begun]
        limit = confinement.limits.output_bytes
        content = self._to.mask(outcome.content)
        return replace(
            outcome,
            content=content[:limit],
            truncated=outcome.truncated or len(content) > limit,
            label=outcome.label.join(call.label),
        )

    async def _record(self, call: Call, kind: str, body: Mapping[str, Json]) -> int:
        # Only what an effect depends on is waited for: an outcome that a power cut takes is told as unknown.
        durable = kind == "started" and call.action in DURABLE
        return await self._to.records.append(kind, body, durable=durable)


def _lift(verdict: Verdict, said: str) -> Verdict:
    """Turn an ASK the operator has answered into the ALLOW it now is; leave DENY as it is."""
    if verdict.effect is not Effect.ASK:
        return verdict
    return replace(verdict, effect=Effect.ALLOW, reason=f"{said}: {verdict.reason}", remedy="")


def _with(decision: Decision, error: BasculeError) -> Decision:
    return Decision((*decision.verdicts, deny(NAME, error.code, error.message, error.remedy)))


def _changed() -> Verdict:
    return deny(
        NAME,
        "call_changed",
        "what the call is about changed after it was approved",
        "make the call again, to be asked about what is there now",
    )


def _unrecorded(call: Call, error: BasculeError) -> BasculeError:
    """It happened, and only its beginning is on record: nobody may read that as "nothing happened"."""
    said = f"{call.tool} ran, but how it ended could not be recorded ({error.code}: {error.message})"
    return Unavailable("outcome_unrecorded", said, "check what is so before making the call again")


def _unknown_tool(untrusted_name: str) -> BasculeError:
    return Malformed("tool_unknown", f"there is no tool {untrusted_name[:60]!r}", "use a tool from the list")
