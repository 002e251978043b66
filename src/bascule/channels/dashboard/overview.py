"""The home page, the big stop, and the agents: is all well, what may each do, and how to end it.

Stops: a green page over a red gateway: the headline is made of the same values that stand below it.
"""

from __future__ import annotations

from starlette.responses import Response

from bascule.channels.dashboard.views import moment, programs
from bascule.channels.dashboard.visit import Visit

LAST = 12
"""Records on the home page."""

FIRST = 5
"""Pending questions named on the home page."""


async def _state(visit: Visit) -> dict[str, object]:
    """Return everything the home page shows."""
    status, agents, pending = await visit.sight.status(), await visit.sight.agents(), await visit.sight.pending()
    records, _ = await visit.sight.records(status["ledger_seq"], LAST, None)
    contained = [row["id"] for row in agents if row["contained"]]
    ailing = [row["id"] for row in agents if row["problems"] and not row["contained"]]
    well = not (status["problems"] or contained or ailing)
    return {
        "status": status,
        "agents": agents,
        "problems": status["problems"],
        "contained": contained,
        "well": well,
        "headline": _headline(len(contained), len(agents), len(status["problems"]), len(ailing)),
        "subline": _subline(len(agents), len(pending)),
        "pending_count": len(pending),
        "waiting": [(row, moment(row["created"], visit.now)) for row in pending[:FIRST]],
        "records": [(row, moment(row["at"], visit.now)) for row in records],
        "started": moment(status["started"], visit.now),
    }


def _headline(contained: int, agents: int, problems: int, ailing: int) -> str:
    if contained:
        return "Every agent is stopped" if contained == agents else f"{_many(contained, 'agent')} stopped"
    if problems:
        return _many(problems, "problem")
    return f"{_many(ailing, 'agent')} with problems" if ailing else "All is well"


def _subline(agents: int, pending: int) -> str:
    return f"{_many(agents, 'agent')}; " + (
        f"{_many(pending, 'question')} for you" if pending else "nothing waits for you"
    )


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


async def home(visit: Visit) -> Response:
    """Is all well?"""
    return await visit.page("home.html", "home", "Home", 200, **await _state(visit))


async def home_part(visit: Visit) -> Response:
    """Return what of the home page changes."""
    return visit.part("home_part.html", 200, **await _state(visit))


async def badge(visit: Visit) -> Response:
    """Return how many questions are pending, as the bar shows it."""
    return visit.part("badge_part.html", pending_count=(await visit.sight.status())["pending_approvals"])


async def stop(visit: Visit) -> Response:
    """Return the page of the big stop."""
    agents = await visit.sight.agents()
    return await visit.page("stop.html", "stop", "Stop all", agents=agents)


async def stop_now(visit: Visit) -> Response:
    """Contain every agent."""
    form = await visit.form()
    await visit.sight.stop(None, form.one("reason", longest=300))
    return visit.go("/")


async def agents(visit: Visit) -> Response:
    """Return every agent."""
    return await visit.page("agents.html", "agents", "Agents", agents=await visit.sight.agents())


async def agent(visit: Visit) -> Response:
    """Return one agent: what it may do, and why."""
    name = visit.named("agent")
    found, explained = await visit.sight.agent(name), await visit.sight.explain(name)
    return await visit.page(
        "agent.html", "agents", found["id"], it=found, explained=explained, rules=programs(found["exec"])
    )


async def contain(visit: Visit) -> Response:
    """Contain one agent."""
    form, name = await visit.form(), visit.named("agent")
    await visit.sight.stop(name, form.one("reason", longest=300))
    return visit.go(f"/agents/{name}")


async def release(visit: Visit) -> Response:
    """Let one agent go again."""
    name = visit.named("agent")
    await visit.sight.release(name)
    return visit.go(f"/agents/{name}")
