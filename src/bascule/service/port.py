"""What an operator's surfaces can ask of a gateway: the socket, the pages, the messages; the gateway implements it.

Stops: the surfaces and the gateway drifting apart: every verb is one method here, with JSON-shaped results that go to
the operator as they are. Does not stop: a service from leaking; it decides what stands in its results. Times are
RFC 3339 UTC strings (see ``service/shapes.py``). Every method raises only the exceptions of
``core/errors.py``; whatever else escapes is reported as ``internal_error`` without its text. Protocol methods are
awaited inside one task a request; when the asker goes away that task is cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from bascule.service.boxshapes import BoxRow, ExplainBody, ProbeBody
from bascule.service.shapes import (
    AgentDetail,
    AgentRow,
    ApprovalDetail,
    ApprovalRow,
    CallReport,
    GrantRow,
    LinkBody,
    PairingRow,
    PolicyFiles,
    RecordRow,
    SessionDetail,
    SessionRow,
    StatusBody,
    TokenMade,
    TokenRow,
    TurnEvent,
    WatchEvent,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and how that is known.

    Attributes:
        uid: kernel uid from the socket's peer credentials; -1 for one who came over another channel.
        pid: process id, 0 likewise.
        name: account name (or ``uid N``), or name and channel, for the record.
        person: the operator of the policy who asks over a channel, and who must be one there at this moment; None for
            the machine's own operator, whom the kernel vouches for.
        principal: what a caller over HTTP came in with; None for everyone else. Making tokens needs one, or the socket.
    """

    uid: int
    pid: int
    name: str
    person: str | None = None
    principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class Wider:
    """A yes for more than this call.

    Attributes:
        extent: ``exact`` (this very call again), ``similar`` (what the card proposed) or ``pattern`` (as ``args`` and
            ``under`` say).
        this_session: only in the question's own session.
        minutes: how long; None for the longest there is.
        uses: how often; None for no count.
        args: with ``pattern``: the arguments, word by word; ``*`` is any word but an option, ``--name=*`` any value.
        under: with ``pattern``: the directory every path lies in.
    """

    extent: str
    this_session: bool
    minutes: int | None
    uses: int | None
    args: str | None
    under: str | None


@dataclass(frozen=True, slots=True)
class Minting:
    """A token that is asked for; texts arrive unparsed, ``scopes`` and ``agents`` separated by commas."""

    name: str
    scopes: str
    agents: str
    session: str | None
    trusted: bool
    days: int
    person: str | None


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a token or a signed-in browser stands for; the surface refuses what these do not cover.

    Attributes:
        name: the token's name, for the record.
        token: its id, ``tok_…``; of a browser that came by a link, empty.
        person: as in :class:`Caller`.
        scopes: of ``read``, ``approve``, ``chat``, ``admin``.
        agents: those it may see and speak to; None for all.
        session: the one session ``chat`` speaks in; None for the agent's own of that token.
        trusted: its words are the operator's own.
        browser: id of the signed-in browser, ``brw_…``; empty for one who showed a token.
    """

    name: str
    token: str
    person: str | None
    scopes: frozenset[str]
    agents: frozenset[str] | None
    session: str | None = None
    trusted: bool = False
    browser: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """Words that came over a channel, for one agent.

    Attributes:
        agent: who is spoken to, unparsed.
        text: at most 1 MiB of it.
        session: session key or bare name, unparsed; None is the agent's main session.
        trusted: typed by an operator who may chat; everything else is a stranger's.
        origin: ``operator`` if trusted, else what brought them: ``api``, ``signal``, ``group``.
        sources: where they came from, for the label (``signal:+49…``, ``api:phone``).
    """

    agent: str
    text: str
    session: str | None
    trusted: bool
    origin: str
    sources: frozenset[str]


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
        """Return pending questions, oldest first; with ``everything`` the settled ones too, the last 10 000 of all."""

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

    async def approvals_grant(self, caller: Caller, *, ref: str, wider: Wider) -> GrantRow:
        """Say yes to a question and to more calls like it, in one step; the question itself does not count as a use.

        Raises:
            Malformed: ``approval_unknown``, or terms that make no sense (``grant_terms``).
            NotPermitted: ``approval_settled``, ``grant_never`` (why stands in its ``ungrantable``), ``grant_misses``
                (the pattern would not cover this very call), or the caller may not answer.
        """

    async def approvals_decide(self, caller: Caller, *, answer: str, items: str) -> list[ApprovalDetail]:
        """Answer several at once: ``answer`` is ``approve`` or ``deny``, ``items`` is ``id=digest`` by commas.

        Nothing is answered unless every item names a question as it was shown; those settled meanwhile stay as they
        are, and come back so.

        Raises:
            Malformed: ``approval_unknown``, ``approval_items``.
            NotPermitted: ``digest_differs``, ``bulk_never`` (an external or admin call), or the caller may not answer.
        """

    def approvals_watch(self, caller: Caller) -> AsyncIterator[WatchEvent]:
        """Yield every pending question, then each as it is asked and answered, until the asker goes away."""

    async def grants_list(self, *, everything: bool) -> list[GrantRow]:
        """Return active grants, oldest first; with ``everything`` the ended ones too."""

    async def grants_revoke(self, caller: Caller, *, grant: str) -> GrantRow:
        """End a grant; a call that already began goes on.

        Raises:
            Malformed: ``grant_unknown``.
            NotPermitted: ``grant_ended``, or the caller may not answer.
        """

    async def tokens_create(self, caller: Caller, *, minting: Minting) -> TokenMade:
        """Make a token.

        Raises:
            Malformed: ``token_name``, ``token_scopes``, ``agent_unknown``, ``person_unknown``, ``token_days``.
        """

    async def tokens_list(self) -> list[TokenRow]:
        """Return every token, oldest first."""

    async def tokens_revoke(self, caller: Caller, *, token: str) -> TokenRow:
        """End a token, by id or name, and every browser it signed in.

        Raises:
            Malformed: ``token_unknown``.
        """

    async def pairing_list(self) -> list[PairingRow]:
        """Return who waits to be let in over Signal, and who was."""

    async def pairing_approve(self, caller: Caller, *, code: str) -> PairingRow:
        """Let a sender chat, as a stranger.

        Raises:
            Malformed: ``pairing_unknown``.
        """

    async def dashboard_link(self, caller: Caller) -> LinkBody:
        """Return a link that signs one browser in as the machine's operator, once, within minutes.

        Raises:
            Unavailable: ``dashboard_off``: this gateway serves no pages.
        """

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
        """Begin the session anew (empty transcript, fresh label, nothing of it left in a box) and return it.

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

    async def ledger_after(self, *, seq: int, count: int, agent: str | None) -> list[RecordRow]:
        """Return up to ``count`` records that follow ``seq``, in order."""

    async def ledger_lineage(self, *, seq: int) -> list[RecordRow]:
        """Return what led to a record, itself, and what it led to, in order.

        Raises:
            Malformed: ``record_unknown``.
        """

    async def sandbox_explain(self, *, agent: str) -> ExplainBody:
        """Say which box the agent gets, and why."""

    async def sandbox_probe(self, *, agent: str, session: str | None) -> ProbeBody:
        """Start the agent's box (of one session, if it is named) and report its self-test."""

    async def sandbox_list(self) -> list[BoxRow]:
        """Return every box that lasts from call to call."""

    async def sandbox_stop(self, *, agent: str | None, session: str | None) -> list[str]:
        """End every box of an agent, of one of its sessions, or of all, and return whose."""

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


class Channel(Service, Protocol):
    """What a channel may do beyond a verb: bring somebody else's words, and hear of everything as it is recorded."""

    def hear(self, caller: Caller, heard: Heard) -> AsyncIterator[TurnEvent]:
        """Run one turn on words that came over a channel; see :meth:`Service.send`, whose errors it shares."""

    def follow(self, seq: int) -> AsyncIterator[RecordRow]:
        """Yield every ledger record after ``seq`` in order, without end, each within a second of being written."""


class Doors(Protocol):
    """Tokens and signed-in browsers, as the HTTP surfaces see them. Secrets arrive unparsed and are compared hashed."""

    async def enter(self, untrusted_token: str) -> Principal:
        """Return whom a token stands for, and note that it was used.

        Raises:
            NotPermitted: ``token_refused``: unknown, expired or revoked, or its person is no longer in the policy.
        """

    async def redeem(self, untrusted_link: str) -> str:
        """Use up a one-time link and return a new browser session's secret.

        Raises:
            NotPermitted: ``link_refused``.
        """

    async def sign_in(self, untrusted_token: str) -> str:
        """Return a new browser session's secret for a token; raises as :meth:`enter`."""

    async def recognise(self, untrusted_session: str) -> Principal:
        """Return whom a signed-in browser stands for.

        Raises:
            NotPermitted: ``session_refused``: unknown, idle too long, or its token ended.
        """

    async def leave(self, untrusted_session: str) -> None:
        """Sign a browser out; nothing if it was not in."""
