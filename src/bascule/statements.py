"""What the gate writes into the ledger: one function a record kind, each a plain JSON body.

Stops: a record that leaves out who, what, why, where from, or what led to it. Arguments are kept whole, results by
hash and size: the ledger proves what came back without becoming a second copy of everything an agent ever read.
"""

from __future__ import annotations

import hashlib

from bascule.core.answer import Approval, Grant
from bascule.core.call import Call, Proposal
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement
from bascule.core.label import Label
from bascule.core.outcome import Outcome
from bascule.core.verdict import Decision, Verdict


def decided(
    call: Call, decision: Decision, policy_version: str, untrusted_raw_args: str | None = None
) -> dict[str, Json]:
    """A call and what every judge said of it; arguments nobody reads are kept raw, as text cut at 4096 characters."""
    raw: dict[str, Json] = {} if untrusted_raw_args is None else {"raw_args": _storable(untrusted_raw_args)}
    return {
        **_call(call),
        "args": dict(call.args),
        **raw,
        "bindings": dict(call.bindings),
        "programs": _programs(call),
        "paths": [[use.place.host, use.access.value, use.place.zone.value] for use in call.paths],
        "label": label_body(call.label),
        "decision": decision_body(decision),
        "policy": policy_version,
    }


def refused(proposal: Proposal, decision: Decision, policy_version: str) -> dict[str, Json]:
    """A proposal that never became a call; its raw strings are kept as text, cut at 4096 characters each."""
    return {
        "agent": proposal.agent,
        "session": proposal.session,
        "tool": _storable(proposal.untrusted_tool),
        "digest": "",
        "parent": proposal.parent,
        "origin": proposal.origin,
        "raw_args": _storable(proposal.untrusted_args),
        "label": label_body(proposal.label),
        "decision": decision_body(decision),
        "policy": policy_version,
    }


def answered(call: Call, yes: Approval | Grant | None, decision: Decision, decided_seq: int | None) -> dict[str, Json]:
    """The operator's yes, used, and the second judgement."""
    match yes:
        case Grant():
            said: dict[str, Json] = {"approval": yes.approval, "grant": yes.id, "by": yes.granted_by}
        case Approval():
            said = {"approval": yes.id, "by": yes.answered_by}
        case None:
            said = {"approval": "", "by": ""}
    return {**_call(call), "parent": decided_seq, **said, "decision": decision_body(decision)}


def started(call: Call, confinement: Confinement, decided_seq: int | None) -> dict[str, Json]:
    """The effect is about to begin, confined so."""
    return {
        **_call(call),
        "parent": decided_seq,
        "confinement": {
            "own_account": confinement.own_account,
            "network": confinement.network.name.lower(),
            "programs": sorted(confinement.programs or ()),
            "writable": sorted(confinement.writable or ()),
            "mounts": sorted(mount.path for mount in confinement.mounts or ()),
            "wall_seconds": confinement.limits.wall_seconds,
            "memory_bytes": confinement.limits.memory_bytes,
        },
    }


def finished(call: Call, outcome: Outcome, started_seq: int) -> dict[str, Json]:
    """The effect is over."""
    return {
        **_call(call),
        "parent": started_seq,
        "ok": outcome.ok,
        "code": outcome.code,
        "exit": outcome.exit,
        "size": len(outcome.content),
        "sha256": hashlib.sha256(outcome.content).hexdigest(),
        "truncated": outcome.truncated,
        "label": label_body(outcome.label),
    }


def _call(call: Call) -> dict[str, Json]:
    return {
        "agent": call.agent,
        "session": call.session,
        "tool": call.tool,
        "digest": call.digest,
        "parent": call.parent,
    }


def _programs(call: Call) -> list[Json]:
    if call.plan is None:
        return []
    found = [command.program for command in call.plan.commands]
    return [[program.path, program.sha256] for program in found if program is not None]


def decision_body(decision: Decision) -> dict[str, Json]:
    """A decision as JSON: its effect and every verdict; one that simply allows is its judge and its effect."""
    return {"effect": str(decision.effect), "verdicts": [_verdict(verdict) for verdict in decision.verdicts]}


def _verdict(verdict: Verdict) -> dict[str, Json]:
    if not verdict.reason and not verdict.remedy:
        return {"judge": verdict.judge, "effect": str(verdict.effect), "code": verdict.code}
    return {
        "judge": verdict.judge,
        "effect": str(verdict.effect),
        "code": verdict.code,
        "reason": _storable(verdict.reason),
        "remedy": _storable(verdict.remedy),
    }


def label_body(label: Label) -> dict[str, Json]:
    """A label as JSON, in words."""
    return {
        "integrity": str(label.integrity),
        "confidentiality": str(label.confidentiality),
        "sources": sorted(label.sources),
    }


def _storable(text: str) -> str:
    """Text that any JSON writer keeps: lone surrogates escaped, cut at 4096 characters."""
    if text.isascii() and len(text) <= 4096:
        return text
    return text[:4096].encode("utf-8", "backslashreplace").decode("utf-8")
