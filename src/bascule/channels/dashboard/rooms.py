"""Where agents speak and run: sessions with their transcripts and labels, and the boxes.

Stops: an agent's words doing anything on the page that shows them; they are drawn as plain text, and nothing in them
becomes a link or a picture.
"""

from __future__ import annotations

from starlette.responses import Response

from bascule.channels.dashboard.views import Sheet, moment, sheet
from bascule.channels.dashboard.visit import Visit

ROWS = 50
"""Sessions on a page."""

MESSAGES = 100
"""Messages on a page."""


async def sessions(visit: Visit) -> Response:
    """Return sessions, most recent first."""
    agent = visit.asked("agent")
    found = sheet(await visit.sight.sessions(agent or None), visit.number("page", 1), ROWS)
    timed = [(row, moment(row["updated"], visit.now)) for row in found.rows]
    return await visit.page(
        "sessions.html",
        "sessions",
        "Sessions",
        sheet=Sheet(timed, found.number, found.pages, found.total),
        agents=[row["id"] for row in await visit.sight.agents()],
        agent=agent,
    )


async def session(visit: Visit) -> Response:
    """Return one session's transcript, oldest first; without a page number, its end."""
    it = await visit.sight.session(visit.asked("key"))
    last = max(1, -(-len(it["transcript"]) // MESSAGES))
    found = sheet(it["transcript"], visit.number("page", last), MESSAGES)
    said = [(message, moment(message["at"], visit.now)) for message in found.rows]
    return await visit.page(
        "session.html",
        "sessions",
        it["id"],
        it=it,
        at=moment(it["updated"], visit.now),
        sheet=Sheet(said, found.number, found.pages, found.total),
    )


async def sandboxes(visit: Visit) -> Response:
    """Return every agent's box, and why it is that one."""
    boxes = [await visit.sight.explain(row["id"]) for row in await visit.sight.agents()]
    return await visit.page("sandboxes.html", "sandboxes", "Sandboxes", boxes=boxes)


async def probe(visit: Visit) -> Response:
    """Start an agent's boxes now and show their self-tests."""
    it = await visit.sight.probe(visit.named("agent"))
    if visit.fragment:
        return visit.part("probe_part.html", it=it)
    return await visit.page("probe.html", "sandboxes", f"Self-test of {it['agent']}", it=it)
