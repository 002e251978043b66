"""What the control socket offers, as the gateway implements it and the server calls it.

Stops: the command line and the gateway drifting apart: every verb is one method here, with JSON-shaped results that go
to the operator as they are. Does not stop: a service from leaking; it decides what stands in its results. Times are
RFC 3339 UTC strings (see ``control/shapes.py``). Every method raises only the exceptions of
``core/errors.py``; whatever else escapes is reported as ``internal_error`` without its text. Protocol methods are
awaited inside one task a request; when the asker goes away that task is cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from bascule.control.shapes import (
    AgentDetail,
    AgentRow,
    ApprovalDetail,
    ApprovalRow,
    CallReport,
    ExplainBody,
    PolicyFiles,
    ProbeBody,
    RecordRow,
    SessionDetail,
    SessionRow,
    StatusBody,
    TurnEvent,
)


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

    async def contain(self, caller: Caller, *, agent: str | None, reason: str) -> list[AgentRow]:
        """Stop an agent, or all if None, until released: its turns, questions and boxes end before this returns.

        Raises:
            Malformed: ``agent_unknown``, ``reason_missing``.
        """

    async def release(self, caller: Caller, *, agent: str) -> AgentRow:
        """Let a contained agent go again.

        Raises:
            Malformed: ``agent_unknown``.
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

    async def policy_files(self) -> PolicyFiles:
        """Return both policy files as they were read at start, whatever lies on disk now."""

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
