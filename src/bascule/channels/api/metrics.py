"""``/api/v1/metrics``: what a Prometheus server may gather, in its text format (version 0.0.4).

Stops: numbers that cover agents the token does not. Does not stop a number from telling something by itself; the scope
``read`` is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bascule.channels.api.asking import Reader
from bascule.channels.web.dependencies import site_of
from bascule.channels.web.reach import MAX_ROWS, Reach
from bascule.channels.web.site import Site
from bascule.core.answer import State
from bascule.service.port import Channel
from bascule.service.shapes import RecordRow

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

EFFECTS: Final = ("allow", "ask", "deny")
STATES: Final = ("asked", *(state.value for state in State if state is not State.PENDING))
"""Kinds of the records by which a question is opened and moves on."""

router = APIRouter()


@dataclass(slots=True)
class Tally:
    """Decisions and questions by agent, counted from the ledger since the first look."""

    channel: Channel
    begun: float
    seq: int | None = None
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    async def catch_up(self) -> None:
        """Count what was recorded since the last look."""
        if self.seq is None:
            self.seq = (await self.channel.status())["ledger_seq"]
        while rows := await self.channel.ledger_after(seq=self.seq, count=MAX_ROWS, agent=None):
            # Two may be gathering at once: whoever comes second finds nothing left, or begins after these.
            fresh = [row for row in rows if row["seq"] > self.seq]
            for row in fresh:
                self._count(row)
            self.seq = max(self.seq, rows[-1]["seq"])

    def _count(self, row: RecordRow) -> None:
        decision = row["body"].get("decision")
        effect = decision.get("effect") if row["kind"] == "decided" and isinstance(decision, dict) else None
        if effect in EFFECTS:
            self.counts["decisions", str(effect), row["agent"]] += 1
        if row["kind"] in STATES:
            self.counts["approvals", row["kind"], row["agent"]] += 1

    def total(self, reach: Reach, what: str, value: str) -> int:
        """Return how many of one kind the agents that are seen have."""
        return sum(
            number
            for (kind, of, agent), number in self.counts.items()
            if (kind, of) == (what, value) and reach.sees(agent)
        )


@router.get("/metrics", tags=["status"], response_class=Response, responses={
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "in Prometheus' text format"}
})  # fmt: skip
async def metrics(request: Request, reach: Reader) -> PlainTextResponse:
    """Numbers about the gateway, for Prometheus."""
    site = site_of(request)
    tally: Tally = request.app.state.tally
    await tally.catch_up()
    return PlainTextResponse("".join(await _lines(site, tally, reach)), media_type=CONTENT_TYPE)


async def _lines(site: Site, tally: Tally, reach: Reach) -> list[str]:
    status = await reach.status()
    agents = await reach.agents()
    decided = [(f'effect="{effect}"', tally.total(reach, "decisions", effect)) for effect in EFFECTS]
    moved = [(f'state="{state}"', tally.total(reach, "approvals", state)) for state in STATES]
    stopped = sum(1 for agent in agents if agent["contained"])
    return [
        _metric("up", "gauge", "The gateway answers.", [("", 1)]),
        _metric("uptime_seconds", "gauge", "Since HTTP is served.", [("", round(site.pace.clock() - tally.begun, 3))]),
        _metric("agents", "gauge", "Agents.", [("", len(agents))]),
        _metric("agents_contained", "gauge", "Agents that are stopped.", [("", stopped)]),
        _metric("sessions", "gauge", "Sessions.", [("", status["sessions"])]),
        _metric("problems", "gauge", "Problems the gateway reports.", [("", len(status["problems"]))]),
        _metric("approvals_pending", "gauge", "Questions that wait.", [("", status["pending_approvals"])]),
        _metric("approvals_total", "counter", "Questions by what became of them.", moved),
        _metric("decisions_total", "counter", "Decisions by effect.", decided),
        _metric("ledger_seq", "gauge", "Number of the last record.", [("", status["ledger_seq"])]),
    ]


def _metric(name: str, kind: str, about: str, values: Iterable[tuple[str, float]]) -> str:
    """Return one metric; names, labels and texts are ours, so nothing needs escaping."""
    lines = [f"# HELP bascule_{name} {about}\n# TYPE bascule_{name} {kind}\n"]
    return "".join(
        lines
        + [f"bascule_{name}{{{label}}} {value}\n" if label else f"bascule_{name} {value}\n" for label, value in values]
    )
