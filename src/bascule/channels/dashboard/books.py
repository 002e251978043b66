"""What is kept: the ledger with its lineage, the grants, the tokens.

Stops: a record shown in part: its body stands there whole. Does not verify the chain; ``bascule ledger verify`` does,
without trusting the gateway that drew this page.
"""

from __future__ import annotations

from starlette.responses import Response

from bascule.channels.dashboard.views import Sheet, label_of, moment, pretty, sheet
from bascule.channels.dashboard.visit import Visit, whole_number

ROWS = 50
"""Records, or grants, on a page."""


async def ledger(visit: Visit) -> Response:
    """Return records, newest first."""
    agent = visit.asked("agent")
    end = (await visit.sight.status())["ledger_seq"]
    until = min(visit.number("until", end), end) if end else 0
    rows, before = await visit.sight.records(until, ROWS, agent or None)
    return await visit.page(
        "ledger.html",
        "ledger",
        "Ledger",
        records=[(row, moment(row["at"], visit.now)) for row in rows],
        before=before,
        newest=until == end,
        agents=[row["id"] for row in await visit.sight.agents()],
        agent=agent,
    )


async def record(visit: Visit) -> Response:
    """Return one record whole, with its lineage up and down."""
    it = await visit.sight.record(whole_number(visit.named("seq"), "a record"))
    lineage = [(row, moment(row["at"], visit.now)) for row in await visit.sight.lineage(it["seq"])]
    return await visit.page(
        "record.html",
        "ledger",
        f"Record {it['seq']}",
        it=it,
        at=moment(it["at"], visit.now),
        label=label_of(it),
        body=pretty(it["body"]),
        up=[each for each in lineage if each[0]["seq"] < it["seq"]],
        down=[each for each in lineage if each[0]["seq"] > it["seq"]],
    )


async def grants(visit: Visit) -> Response:
    """Return grants, newest first."""
    everything = visit.asked("all") == "1"
    found = sheet(await visit.sight.newest_grants(everything=everything), visit.number("page", 1), ROWS)
    timed = [(row, moment(row["created"], visit.now), moment(row["expires"], visit.now)) for row in found.rows]
    drawn = Sheet(timed, found.number, found.pages, found.total)
    return await visit.page("grants.html", "grants", "Grants", sheet=drawn, everything=everything)


async def revoke_grant(visit: Visit) -> Response:
    """End a grant."""
    await visit.sight.revoke(visit.named("grant"))
    return visit.go("/grants")


async def tokens(visit: Visit) -> Response:
    """Return every token, without its secret, which nobody has."""
    rows = await visit.sight.tokens()
    timed = [(row, moment(row["last_used"], visit.now), moment(row["expires"], visit.now)) for row in rows]
    return await visit.page("tokens.html", "tokens", "Tokens", tokens=timed)


async def revoke_token(visit: Visit) -> Response:
    """End a token, and every browser it signed in."""
    await visit.sight.revoke_token(visit.named("token"))
    return visit.go("/tokens")
