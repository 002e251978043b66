"""The JSON shapes of everything a verb prints, as types.

Stops: a key being spelled one way by the gateway and another by a script's documentation. Does not check anything at
run time: the gateway builds these from its own values, and the client shows them through the sink as untrusted text.
Times are RFC 3339 UTC strings, absent things are None.
"""

from __future__ import annotations

from typing import Literal, TypedDict

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
    """One row of ``approvals list``; ``action`` is the call's class, ``bulk`` whether it may be decided with others."""

    id: str
    code: str
    agent: str
    session: str
    tool: str
    state: str
    created: str
    expires: str
    summary: str
    action: str
    digest: str
    bulk: bool


class ApprovalDetail(ApprovalRow):
    """One approval with the whole card, one string a line, never cut.

    ``ungrantable`` says why no yes may reach further than this call, empty if one may; ``proposal`` is then the
    narrowest grant that would have covered the last similar questions, in words, empty if it would be this very call.
    """

    card: list[str]
    answered_by: str
    policy_version: str
    seq: int
    ungrantable: str
    proposal: list[str]


class GrantRow(TypedDict):
    """A yes for more than one call. ``session`` is empty for all of the agent's, ``uses_left`` None for no count.

    ``state`` is ``active|used_up|expired|revoked``; ``covers`` says in words what it covers, one string a line.
    """

    id: str
    agent: str
    session: str
    tool: str
    state: str
    created: str
    expires: str
    uses_left: int | None
    used: int
    granted_by: str
    approval: str
    covers: list[str]


class TokenRow(TypedDict):
    """A token for the HTTP surfaces, without its secret; ``state`` is ``active|expired|revoked``.

    ``scopes`` are of ``read|approve|chat|admin``, ``agents`` names or ``["*"]``; ``session`` and ``trusted`` are for
    ``chat``; ``person`` is the operator of the policy it speaks for, empty for the machine's own. ``last_used`` is
    empty if it never was. A row whose id begins with ``brw_`` is a browser that came by a link.
    """

    id: str
    name: str
    state: str
    scopes: list[str]
    agents: list[str]
    session: str
    trusted: bool
    person: str
    created: str
    expires: str
    last_used: str


class TokenMade(TokenRow):
    """A token just made; ``token`` is the secret, shown this once and kept nowhere."""

    token: str


class PasskeyRow(TypedDict):
    """A passkey: ``site`` is the host it works on, ``person`` as in :class:`TokenRow`."""

    id: str
    name: str
    site: str
    person: str
    created: str
    last_used: str


class PairingRow(TypedDict):
    """A Signal sender who asked to be let in; ``state`` is ``waiting|approved|expired``."""

    id: str
    code: str
    sender: str
    state: str
    created: str
    expires: str


class LinkBody(TypedDict):
    """A link that signs one browser in, once."""

    url: str
    expires: str


class AgentRow(TypedDict):
    """One row of ``agents list``; ``contained`` and ``problems`` are empty if all is well.

    ``model`` is what its words go to, ``notice`` what that model cannot do or why there is none.
    """

    id: str
    name: str
    model: str
    notice: str
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


class StatusBody(TypedDict):
    """The state of one home; ``mode`` is ``root``, ``rootless`` or ``unsafe-single-uid``."""

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


class PolicyFiles(TypedDict):
    """Both policy files as the gateway read them at start: bytes as UTF-8 text with ``surrogateescape``.

    ``profiles``: hex SHA-256 of the filter of system calls that an agent's containers have, by agent.
    """

    version: str
    config: str
    approvals: str | None
    profiles: dict[str, str]


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


WatchEvent = ApprovalEvent | AnsweredEvent
"""What ``approvals watch`` is told: every open question first, then each as it comes, and each answer."""

TurnEvent = TextEvent | ToolEvent | ApprovalEvent | AnsweredEvent | DoneEvent
