"""``/api/v1``: the verbs of the command line, over HTTP.

Stops: an answer to a question that was not the one shown (its digest comes back with it), and rows of agents that are
not the token's own. Does not stop a holder of ``approve`` from saying yes; that is what it is for.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from fastapi import APIRouter

from bascule.channels.api.asking import (
    Admin,
    After,
    Anyone,
    Approver,
    Deciding,
    Granting,
    Limit,
    Looker,
    Name,
    OfAgent,
    Reader,
    Ref,
    Releasing,
    Seq,
    Shown,
    Stopper,
    Stopping,
    Watcher,
)
from bascule.channels.api.documented import documented, paged
from bascule.core.errors import Malformed
from bascule.service.port import Wider
from bascule.service.shapes import (
    AgentDetail,
    AgentRow,
    ApprovalDetail,
    ApprovalRow,
    GrantRow,
    RecordRow,
    SessionDetail,
    SessionRow,
    StatusBody,
)

StateName = Literal["pending", "approved", "denied", "expired", "cancelled", "consumed", "all"]


class Me(TypedDict):
    """Whom the token stands for; ``agents`` names them or is ``["*"]``."""

    name: str
    scopes: list[str]
    agents: list[str]


class Containment(TypedDict):
    """Why an agent is stopped, empty if it is not."""

    id: str
    contained: str


router = APIRouter()


def _page(rows: list[Any], following: str | None = None) -> dict[str, Any]:
    return {"items": rows, "next": following}


@router.get("/me", tags=["status"], response_model=documented(Me))
async def me(reach: Anyone) -> Me:
    """Whom this token stands for."""
    who = reach.principal
    return Me(name=who.name, scopes=sorted(who.scopes), agents=["*"] if who.agents is None else sorted(who.agents))


@router.get("/status", tags=["status"], response_model=documented(StatusBody))
async def status(reach: Reader) -> StatusBody:
    """The state of the gateway."""
    return await reach.status()


@router.get("/approvals", tags=["approvals"], response_model=paged(ApprovalRow))
async def approvals(
    reach: Looker, state: StateName = "pending", agent: OfAgent = None, limit: Limit = 100, cursor: OfAgent = None
) -> dict[str, Any]:
    """Questions, oldest first."""
    rows = await reach.approvals(everything=state != "pending" or cursor is not None)
    if cursor is not None:
        # The row that ended the last page may have been answered meanwhile, so it is looked for before the state is.
        places = [place for place, row in enumerate(rows) if row["id"] == cursor]
        if not places:
            raise Malformed("cursor_unknown", "the cursor names no question", "begin again without it")
        rows = rows[places[0] + 1 :]
    found = [row for row in rows if state in ("all", row["state"]) and agent in (None, row["agent"])]
    return _page(found[:limit], found[limit - 1]["id"] if len(found) > limit else None)


@router.post("/decisions", tags=["approvals"], response_model=paged(ApprovalDetail))
async def decide(reach: Approver, body: Deciding) -> dict[str, Any]:
    """Answer several questions at once, each as it was shown."""
    return _page(await reach.decide(body.answer, [(item.id, item.digest) for item in body.items]))


@router.get("/approvals/{ref}", tags=["approvals"], response_model=documented(ApprovalDetail))
async def approval(reach: Looker, ref: Ref) -> ApprovalDetail:
    """One question with its whole card."""
    return await reach.approval(ref)


@router.post("/approvals/{ref}/approve", tags=["approvals"], response_model=documented(ApprovalDetail))
async def approve(reach: Approver, ref: Ref, body: Shown) -> ApprovalDetail:
    """Say yes, once, to what was shown."""
    return await reach.approve(ref, body.digest)


@router.post("/approvals/{ref}/deny", tags=["approvals"], response_model=documented(ApprovalDetail))
async def deny(reach: Approver, ref: Ref, body: Shown) -> ApprovalDetail:
    """Say no."""
    return await reach.deny(ref, body.digest)


@router.post("/approvals/{ref}/grant", tags=["approvals"], response_model=documented(GrantRow))
async def grant(reach: Approver, ref: Ref, body: Granting) -> GrantRow:
    """Say yes to what was shown and to more calls like it."""
    wider = Wider(body.extent, body.this_session, body.minutes, body.uses, body.args, body.under)
    return await reach.grant(ref, body.digest, wider)


@router.get("/grants", tags=["grants"], response_model=paged(GrantRow))
async def grants(reach: Looker, state: Literal["active", "all"] = "active", agent: OfAgent = None) -> dict[str, Any]:
    """Grants, oldest first."""
    rows = await reach.grants(everything=state == "all")
    return _page([row for row in rows if agent in (None, row["agent"])])


@router.post("/grants/{ref}/revoke", tags=["grants"], response_model=documented(GrantRow))
async def revoke(reach: Approver, ref: Ref) -> GrantRow:
    """End a grant."""
    return await reach.revoke(ref)


@router.get("/agents", tags=["agents"], response_model=paged(AgentRow))
async def agents(reach: Reader) -> dict[str, Any]:
    """Agents, by id."""
    return _page(await reach.agents())


@router.get("/agents/{agent}", tags=["agents"], response_model=documented(AgentDetail))
async def agent(reach: Reader, agent: Name) -> AgentDetail:
    """One agent: what it may do, and why."""
    return await reach.agent(agent)


@router.get("/sessions", tags=["sessions"], response_model=paged(SessionRow))
async def sessions(reach: Reader, agent: OfAgent = None) -> dict[str, Any]:
    """Sessions, most recent first."""
    return _page(await reach.sessions(agent))


@router.get("/sessions/{session:path}", tags=["sessions"], response_model=documented(SessionDetail))
async def session(reach: Reader, session: Name) -> SessionDetail:
    """One session with its transcript and label."""
    return await reach.session(session)


@router.delete("/sessions/{session:path}", tags=["sessions"], response_model=documented(SessionRow))
async def reset(reach: Admin, session: Name) -> SessionRow:
    """Begin a session anew: an empty transcript, a fresh label; what waits in it is cancelled."""
    return await reach.reset(session)


@router.get("/ledger", tags=["ledger"], response_model=paged(RecordRow))
async def ledger(reach: Reader, after: After = None, agent: OfAgent = None, limit: Limit = 100) -> dict[str, Any]:
    """The last records, or those that follow ``after``; oldest first. ``next`` is the ``after`` to go on with."""
    if after is None:
        rows = await reach.tail(limit, agent)
        return _page(rows, rows[-1]["id"] if rows else None)
    rows, reached = await reach.after(after, limit, agent)
    return _page(rows, str(reached))


@router.get("/ledger/{seq}", tags=["ledger"], response_model=documented(RecordRow))
async def record(reach: Reader, seq: Seq) -> RecordRow:
    """One record."""
    return await reach.record(seq)


@router.get("/ledger/{seq}/lineage", tags=["ledger"], response_model=paged(RecordRow))
async def lineage(reach: Reader, seq: Seq) -> dict[str, Any]:
    """What led to a record, itself, and what it led to, in order."""
    return _page(await reach.lineage(seq))


@router.get("/containment", tags=["containment"], response_model=paged(Containment))
async def containment(reach: Watcher) -> dict[str, Any]:
    """Which agents are stopped, and why."""
    return _page(await reach.contained())


@router.put("/containment", tags=["containment"], response_model=paged(AgentRow))
async def stop(reach: Stopper, body: Stopping) -> dict[str, Any]:
    """Stop an agent, or all, until released."""
    return _page(await reach.stop(body.agent, body.reason))


@router.post("/containment/release", tags=["containment"], response_model=documented(AgentRow))
async def release(reach: Admin, body: Releasing) -> AgentRow:
    """Let a stopped agent go again."""
    return await reach.release(body.agent)
