"""What the control socket offers, as the gateway implements it and the server calls it.

Stops: the command line and the gateway drifting apart: every verb is one method here, with JSON-shaped results that go
to the operator as they are. Does not stop: a service from leaking; it decides what stands in its results. Times are
RFC 3339 UTC strings, ids are strings, absent things are None. Every method raises only the exceptions of
``core/errors.py``; whatever else escapes is reported as ``internal_error`` without its text. Protocol methods are
awaited inside one task a request; when the asker goes away that task is cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

from bascule.core.canonical import Json


class ErrorBody(TypedDict):
    """An error as a person or a script sees it; ``remedy`` may be empty."""

    code: str
    message: str
    remedy: str


class LabelBody(TypedDict):
    """A label in words: ``trusted|untrusted``, ``public|private``, sorted source names."""

    integrity: str
    confidentiality: str
    sources: list[str]


class CallBody(TypedDict):
    """The call as it was judged; ``args`` is None if the arguments could not be parsed, ``digest`` then empty."""

    agent: str
    tool: str
    args: dict[str, Json] | None
    session: str
    digest: str


class VerdictBody(TypedDict):
    """One judge's answer."""

    judge: str
    effect: str
    code: str
    reason: str
    remedy: str


class DecisionBody(TypedDict):
    """The strictest effect (``allow|ask|deny``) and every verdict."""

    effect: str
    verdicts: list[VerdictBody]


class ApprovalBody(TypedDict):
    """The question a call waits for (design §12)."""

    id: str
    code: str
    state: str
    expires: str


class OutcomeBody(TypedDict):
    """What came back; ``encoding`` is ``utf-8`` or ``base64``, ``exit`` None unless a program ran."""

    ok: bool
    content: str
    encoding: str
    exit: int | None
    truncated: bool
    label: LabelBody


class LedgerBody(TypedDict):
    """Sequence number of the ``decided`` record; None in a dry run."""

    seq: int | None


class CallReport(TypedDict):
    """One call through the gate: exactly the object of design §12."""

    call: CallBody
    decision: DecisionBody
    approval: ApprovalBody | None
    outcome: OutcomeBody | None
    ledger: LedgerBody


class ApprovalRow(TypedDict):
    """One row of ``approvals list``."""

    id: str
    code: str
    agent: str
    session: str
    tool: str
    state: str
    created: str
    expires: str
    summary: str


class ApprovalDetail(ApprovalRow):
    """One approval with the whole card, one string a line, never cut."""

    digest: str
    card: list[str]
    answered_by: str
    policy_version: str
    seq: int


class AgentRow(TypedDict):
    """One row of ``agents list``; ``contained`` and ``problems`` are empty if all is well."""

    id: str
    name: str
    model: str
    tools: list[str]
    contained: str
    problems: list[str]


class ToolStanding(TypedDict):
    """Whether an agent has a tool; ``why`` names the key that takes it away, empty if it has it."""

    id: str
    action: str
    standing: str
    why: str


class AgentDetail(AgentRow):
    """One agent: tools with reasons, exec entries, sandbox, quota, files, sessions."""

    directory: str
    prompts: list[str]
    standings: list[ToolStanding]
    exec: dict[str, Json]
    sandbox: dict[str, Json]
    quota: dict[str, Json]
    sessions: list[str]


class SessionRow(TypedDict):
    """One row of ``sessions list``; ``id`` is the session key."""

    id: str
    agent: str
    messages: int
    updated: str
    label: LabelBody


class MessageBody(TypedDict):
    """One message of a transcript; ``role`` is ``operator|agent|tool|system``."""

    at: str
    role: str
    text: str


class SessionDetail(SessionRow):
    """One session with its transcript, oldest first."""

    transcript: list[MessageBody]


class RecordRow(TypedDict):
    """One ledger record; ``id`` is the sequence number in digits, ``body`` the record's JSON."""

    id: str
    seq: int
    at: str
    kind: str
    agent: str
    summary: str
    hash: str
    body: dict[str, Json]


class CheckBody(TypedDict):
    """One thing a probe looked at; ``id`` names the check."""

    id: str
    ok: bool
    detail: str
    remedy: str


class ProbeBody(TypedDict):
    """What an agent's box said of itself when started now."""

    agent: str
    backend: str
    ok: bool
    checks: list[CheckBody]


class ExplainBody(TypedDict):
    """Which box an agent gets and which key says so; ``lines`` is the same for people."""

    agent: str
    backend: str
    network: str
    workspace_access: str
    mounts: list[str]
    limits: dict[str, Json]
    lines: list[str]


class StatusBody(TypedDict):
    """The state of one home as its gateway sees it; ``mode`` is ``root`` or ``rootless``."""

    home: str
    version: str
    pid: int
    started: str
    ephemeral: bool
    mode: str
    policy_version: str
    agents: int
    sessions: int
    pending_approvals: int
    ledger_seq: int
    problems: list[ErrorBody]


class TextEvent(TypedDict):
    """A piece of the answer, in order; pieces may cut words and escape sequences anywhere."""

    event: Literal["text"]
    text: str


class ToolEvent(TypedDict):
    """A tool call of this turn. ``phase`` is ``decided`` (outcome None) or ``finished``; ``id`` pairs the two."""

    event: Literal["tool"]
    id: str
    phase: str
    report: CallReport


class ApprovalEvent(TypedDict):
    """The turn waits for this question; the answer goes through ``approvals_approve`` or ``approvals_deny``."""

    event: Literal["approval"]
    approval: ApprovalDetail


class AnsweredEvent(TypedDict):
    """A question of this turn was settled, here or elsewhere."""

    event: Literal["answered"]
    id: str
    state: str
    answered_by: str


class DoneEvent(TypedDict):
    """The last event of a turn that ended by itself; ``text`` is the whole answer."""

    event: Literal["done"]
    session: str
    text: str
    seq: int | None


TurnEvent = TextEvent | ToolEvent | ApprovalEvent | AnsweredEvent | DoneEvent


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, from the socket's peer credentials: kernel uid, process id, account name (or ``uid N``)."""

    uid: int
    pid: int
    name: str


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One call as the operator's script wrote it.

    Attributes:
        agent: whose call, unparsed.
        tool: which tool, unparsed.
        args_text: the arguments' JSON text, unparsed; at most 1 MiB.
        session: session key or bare name, unparsed; None means ``agent:<id>:cli``.
        dry_run: judge only: no record, no question, no effect.
        wait: seconds to wait for an answer if it asks, 0 for none.
        as_operator: the text is the operator's own (trusted) instead of a stranger's.
    """

    agent: str
    tool: str
    args_text: str
    session: str | None
    dry_run: bool
    wait: float
    as_operator: bool


class Service(Protocol):
    """Everything a verb can ask of a gateway. Agents, sessions and references arrive unparsed."""

    async def status(self) -> StatusBody:
        """Return the state of the home."""

    async def call(self, caller: Caller, request: CallRequest) -> CallReport:
        """Take one call across the gate as if the model had asked.

        A denial, a failed program and a pending question are results, arguments that do not parse a denial.

        Raises:
            Malformed: ``agent_unknown``, or a session key that is not this agent's.
            Unavailable: the decision could not be recorded.
        """

    async def approvals_list(self, *, everything: bool) -> list[ApprovalRow]:
        """Return open questions, oldest first; with ``everything`` the settled ones too."""

    async def approvals_show(self, *, ref: str) -> ApprovalDetail:
        """Return one by id or code.

        Raises:
            Malformed: ``approval_unknown``.
        """

    async def approvals_approve(self, caller: Caller, *, ref: str) -> ApprovalDetail:
        """Say yes, once.

        Raises:
            Malformed: ``approval_unknown``.
            NotPermitted: ``approval_settled`` (its state is in the message), or the caller may not answer.
        """

    async def approvals_deny(self, caller: Caller, *, ref: str) -> ApprovalDetail:
        """Say no. Raises as :meth:`approvals_approve`."""

    async def agents_list(self) -> list[AgentRow]:
        """Return every agent, by id."""

    async def agents_show(self, *, agent: str) -> AgentDetail:
        """Return one agent.

        Raises:
            Malformed: ``agent_unknown``.
        """

    async def sessions_list(self, *, agent: str | None) -> list[SessionRow]:
        """Return sessions, most recent first, of one agent or of all."""

    async def sessions_show(self, *, session: str) -> SessionDetail:
        """Return one session by its full key.

        Raises:
            Malformed: ``session_unknown``.
        """

    async def sessions_reset(self, caller: Caller, *, session: str) -> SessionRow:
        """Begin the session anew (empty transcript, fresh label, its boxes stopped) and return it.

        Raises:
            Malformed: ``session_unknown``.
        """

    async def ledger_tail(self, *, count: int, agent: str | None) -> list[RecordRow]:
        """Return the last ``count`` records, oldest first."""

    async def ledger_show(self, *, seq: int) -> RecordRow:
        """Return one record.

        Raises:
            Malformed: ``record_unknown``.
        """

    async def sandbox_explain(self, *, agent: str) -> ExplainBody:
        """Say which box the agent gets, and why."""

    async def sandbox_probe(self, *, agent: str) -> ProbeBody:
        """Start the agent's boxes and report their self-tests."""

    def send(self, caller: Caller, *, agent: str, text: str, session: str | None) -> AsyncIterator[TurnEvent]:
        """Run one turn on the operator's typed words and yield what happens; ``session`` None is the main session.

        An async generator. The turn is cancelled by cancelling the task that iterates: ``CancelledError`` (or
        ``GeneratorExit`` at a yield) is raised inside, and the generator ends its boxes and records before it returns.

        Raises:
            Malformed: ``agent_unknown``, a bad session key.
            Unavailable: the model cannot be reached, or the session is busy (``session_busy``).
        """

    async def shutdown(self, caller: Caller) -> None:
        """Begin to stop: returns at once; the process ends after answering."""
