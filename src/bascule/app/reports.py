"""From the gate's values to what verbs print: one function a shape.

Stops: a number, a time or a label being written two ways. Bytes that are not UTF-8 travel as base64, never repaired.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import lru_cache

from bascule.core.answer import Approval, Grant, Summary
from bascule.core.label import Label
from bascule.core.outcome import Outcome
from bascule.core.toolspec import ActionClass
from bascule.core.verdict import Decision
from bascule.desk.extent import from_json
from bascule.desk.widening import in_words
from bascule.gate import Crossing
from bascule.service.shapes import (
    ApprovalBody,
    ApprovalDetail,
    ApprovalRow,
    CallReport,
    DecisionBody,
    GrantRow,
    LabelBody,
    OutcomeBody,
    VerdictBody,
)

ONE_BY_ONE = frozenset({ActionClass.EXTERNAL.value, ActionClass.ADMIN.value})
"""Classes whose questions are never answered together with others."""


def instant(seconds: float) -> str:
    """Return RFC 3339 UTC with milliseconds."""
    whole, part = divmod(round(seconds * 1000), 1000)
    return f"{_second(whole)}.{part:03}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """The part of an instant that a list of ten thousand repeats."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def label(value: Label) -> LabelBody:
    """A label in words."""
    return LabelBody(
        integrity=str(value.integrity), confidentiality=str(value.confidentiality), sources=sorted(value.sources)
    )


def decision(value: Decision) -> DecisionBody:
    """A decision with every verdict."""
    verdicts = [
        VerdictBody(
            judge=verdict.judge,
            effect=str(verdict.effect),
            code=verdict.code,
            reason=verdict.reason,
            remedy=verdict.remedy,
        )
        for verdict in value.verdicts
    ]
    return DecisionBody(effect=str(value.effect), verdicts=verdicts)


def outcome(value: Outcome) -> OutcomeBody:
    """What came back, as text if it is text."""
    try:
        content, encoding = value.content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(value.content).decode("ascii"), "base64"
    return OutcomeBody(
        ok=value.ok,
        content=content,
        encoding=encoding,
        exit=value.exit,
        truncated=value.truncated,
        label=label(value.label),
    )


def crossing(value: Crossing) -> CallReport:
    """One call through the gate."""
    call = value.call
    return CallReport(
        call={
            "agent": value.proposal.agent,
            "tool": _text(value.proposal.untrusted_tool),
            "args": dict(call.args) if call else None,
            "session": value.proposal.session,
            "digest": call.digest if call else "",
        },
        decision=decision(value.decision),
        approval=approval(value.approval) if value.approval else None,
        outcome=outcome(value.outcome) if value.outcome else None,
        ledger={"seq": value.seq},
    )


def approval(value: Approval) -> ApprovalBody:
    """The question a call waits for."""
    return ApprovalBody(id=value.id, code=value.code, state=value.state.value, expires=instant(value.expires))


def approval_row(value: Approval | Summary) -> ApprovalRow:
    """One row of the list."""
    return ApprovalRow(
        id=value.id,
        code=value.code,
        agent=value.agent,
        session=value.session,
        tool=value.tool,
        state=str(value.state),
        created=instant(value.created),
        expires=instant(value.expires),
        summary=value.summary,
        action=value.action,
        digest=value.digest,
        bulk=value.action not in ONE_BY_ONE,
    )


def approval_detail(value: Approval) -> ApprovalDetail:
    """One question with its whole card."""
    return ApprovalDetail(
        **approval_row(value),
        card=list(value.card),
        answered_by=value.answered_by,
        policy_version=value.policy_version,
        seq=value.seq,
        ungrantable=value.ungrantable,
        proposal=list(in_words(from_json(value.proposal))) if value.proposal else [],
    )


def grant(value: Grant) -> GrantRow:
    """One grant, and in words what it covers."""
    return GrantRow(
        id=value.id,
        agent=value.agent,
        session=value.session,
        tool=value.tool,
        state=value.state.value,
        created=instant(value.created),
        expires=instant(value.expires),
        uses_left=value.uses_left,
        used=value.used,
        granted_by=value.granted_by,
        approval=value.approval,
        covers=list(in_words(from_json(value.extent))),
    )


def _text(untrusted_text: str) -> str:
    return untrusted_text[:200].encode("utf-8", "backslashreplace").decode("utf-8")
