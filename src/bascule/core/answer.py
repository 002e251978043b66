"""An operator's answer to a question, as the gate needs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where an approval stands. Transitions stand in ``desk/question.py``."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    CONSUMED = "consumed"


@dataclass(frozen=True, slots=True)
class Approval:
    """One row of the desk.

    Attributes:
        id: public id, ``apr_`` and 16 hex characters.
        code: what the operator may type instead, 40 random bits in Crockford base 32.
        digest: of the call it is about.
        agent: whose call.
        session: in which session.
        tool: which tool.
        state: see :class:`State`.
        created: seconds since the epoch.
        expires: seconds since the epoch; silence until then is no.
        card: what the operator is shown, one string a line.
        answered_by: who answered, empty while pending.
        policy_version: the policy it was asked under.
        seq: ledger sequence of the ``decided`` record.
        label_rank: integrity and confidentiality of the call as two digits, for comparing ceilings.
        action: worst action class in the call.
        extent: what the call is, as ``desk/extent.py`` writes it.
        ungrantable: why no yes may reach further than this call, empty if one may.
        proposal: the narrowest extent that would have covered the last similar questions, empty if it is ``extent``.
    """

    id: str
    code: str
    digest: str
    agent: str
    session: str
    tool: str
    state: State
    created: float
    expires: float
    card: tuple[str, ...]
    answered_by: str
    policy_version: str
    seq: int
    label_rank: str = "11"
    action: str = ""
    extent: str = ""
    ungrantable: str = ""
    proposal: str = ""

    @property
    def summary(self) -> str:
        """The card's first line."""
        return self.card[0] if self.card else ""


class Summary(NamedTuple):
    """What a list shows of an approval; fields as there. Of these ten thousand are made at once."""

    id: str
    code: str
    digest: str
    agent: str
    session: str
    tool: str
    state: str
    created: float
    expires: float
    summary: str
    action: str


class Standing(StrEnum):
    """Where a grant stands."""

    ACTIVE = "active"
    USED_UP = "used_up"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Grant:
    """A yes for more than one call.

    Attributes:
        id: public id, ``gra_`` and 16 hex characters.
        agent: whose calls.
        session: in which session, empty for all.
        tool: which tool.
        state: see :class:`Standing`.
        created: seconds since the epoch.
        expires: seconds since the epoch.
        uses_left: how many calls more; None for no count.
        used: how many calls so far.
        granted_by: who said it.
        approval: id of the question it was said to.
        policy_version: the policy it was said under; under another it covers nothing.
        label_rank: the highest label a covered call may have.
        extent: what it covers, as ``desk/extent.py`` writes it.
    """

    id: str
    agent: str
    session: str
    tool: str
    state: Standing
    created: float
    expires: float
    uses_left: int | None
    used: int
    granted_by: str
    approval: str
    policy_version: str
    label_rank: str
    extent: str
