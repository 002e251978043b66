"""An operator's answer to a question, as the gate needs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
