"""Questions: those that wait, those that are settled, and the operator's answers to them.

Stops: an answer to anything but the question that was on the screen: every form carries the id and the digest it
showed, and both are compared before anything is said to the gateway, which compares again. Who was first, and what they
said, is told to whoever comes second.
"""

from __future__ import annotations

from typing import Final, Literal

from starlette.responses import JSONResponse, Response

from bascule.channels.dashboard.forms import Form
from bascule.channels.dashboard.views import STATES, Question, Sheet, matching, moment, sheet
from bascule.channels.dashboard.visit import Visit
from bascule.channels.web.refusals import status_of
from bascule.core.errors import BasculeError, Malformed, NotPermitted
from bascule.service.port import Wider
from bascule.service.shapes import ApprovalDetail, ApprovalRow

SIZE = 100
"""Questions on a page: each with its whole card, and still quick to draw."""

ROWS = 50
"""Settled questions on a page."""

ANSWERS: Final[tuple[Literal["approve", "deny"], ...]] = ("approve", "deny")
"""What a form may say."""

EXTENTS: Final = ("exact", "similar", "pattern")
"""How far a wider yes may reach; see :class:`bascule.service.port.Wider`."""

LONGEST_MINUTES = 525_600
"""A year; the gateway says how long a grant may really last."""

MOST_USES = 100_000


async def _shown(visit: Visit, rows: list[ApprovalRow]) -> list[Question]:
    return [visit.question(await visit.sight.approval(row["id"])) for row in rows]


async def _pending(visit: Visit) -> tuple[str, Sheet[ApprovalRow]]:
    words = visit.asked("q")
    return words, sheet(matching(await visit.sight.pending(), words), visit.number("page", 1), SIZE)


async def pending(visit: Visit) -> Response:
    """Return open questions, oldest first, each with its whole card."""
    words, found = await _pending(visit)
    cards = await _shown(visit, found.rows)
    drawn = Sheet(cards, found.number, found.pages, found.total)
    return await visit.page("pending.html", "pending", "Pending", sheet=drawn, q=words, summary=_summary(words, found))


def _summary(words: str, found: Sheet[ApprovalRow]) -> str:
    count = f"{found.total} question{'' if found.total == 1 else 's'}"
    return f"{count}{' with these words' if words else ''}, oldest first"


async def pending_state(visit: Visit) -> Response:
    """Return which questions stand on this page of the list now, for the script that keeps it true."""
    words, found = await _pending(visit)
    body = {
        "open": [row["id"] for row in found.rows],
        "page": found.number,
        "pages": found.pages,
        "summary": _summary(words, found),
    }
    return JSONResponse(body)


async def cards(visit: Visit) -> Response:
    """Return cards by id; those that are not there, or not to be seen, are left out."""
    ids = [each for each in visit.asked("ids", longest=4000).split(",") if each][:SIZE]
    found = []
    for ref in ids:
        try:
            found.append(visit.question(await visit.sight.approval(ref)))
        except Malformed:
            continue
    return visit.part("answered_part.html", found=found, refusal="")


async def history(visit: Visit) -> Response:
    """Return settled questions, newest first."""
    words, agent, state = visit.asked("q"), visit.asked("agent"), visit.asked("state")
    rows = [
        row
        for row in matching(await visit.sight.settled(), words)
        if agent in ("", row["agent"]) and state in ("", row["state"])
    ]
    found = sheet(rows, visit.number("page", 1), ROWS)
    timed = [(row, moment(row["created"], visit.now)) for row in found.rows]
    return await visit.page(
        "history.html",
        "history",
        "History",
        sheet=Sheet(timed, found.number, found.pages, found.total),
        agents=[row["id"] for row in await visit.sight.agents()],
        states=STATES,
        q=words,
        agent=agent,
        state=state,
    )


async def one(visit: Visit) -> Response:
    """Return one question with what led to it and what it led to."""
    row = await visit.sight.approval(visit.named("ref"))
    try:
        records = await visit.sight.lineage(row["seq"])
    except Malformed:
        records = []
    timed = [(record, moment(record["at"], visit.now)) for record in records]
    it = visit.question(row)
    return await visit.page("approval.html", "pending" if it.open else "history", row["id"], it=it, records=timed)


async def answer(visit: Visit) -> Response:
    """Say yes, once, or no."""
    form = await visit.form()
    said = form.choice("answer", ANSWERS)
    ref, digest = visit.named("ref"), form.one("digest")
    answering = visit.sight.approve if said == "approve" else visit.sight.deny
    try:
        settled = await answering(ref, digest)
    except NotPermitted as error:
        return await _refused(visit, ref, error)
    title = "You said yes, once" if said == "approve" else "You said no"
    return await _answered(visit, title, [settled])


async def grant(visit: Visit) -> Response:
    """Say yes to a question and to more like it."""
    form = await visit.form()
    ref, digest = visit.named("ref"), form.one("digest")
    try:
        await visit.sight.grant(ref, digest, wider_of(form))
    except (NotPermitted, Malformed) as error:
        return await _refused(visit, ref, error)
    return await _answered(visit, "You said yes, and to more like it", [await visit.sight.approval(ref)])


def wider_of(form: Form) -> Wider:
    """Return the terms of a yes to more.

    Raises:
        Malformed: ``form_field``.
    """
    extent = form.choice("extent", EXTENTS)
    pattern = extent == "pattern"
    return Wider(
        extent,
        form.one("session") == "this",
        form.count("minutes", LONGEST_MINUTES),
        form.count("uses", MOST_USES),
        form.one("args") if pattern else None,
        (form.one("under").strip() or None) if pattern else None,
    )


async def _answered(visit: Visit, title: str, rows: list[ApprovalDetail]) -> Response:
    found = [visit.question(row) for row in rows]
    if visit.fragment:
        return visit.part("answered_part.html", found=found, refusal="")
    return await visit.page("decided.html", "pending", title, found=found)


async def _refused(visit: Visit, ref: str, error: BasculeError) -> Response:
    """Tell why not, with the question as it stands now: a second answer learns of the first."""
    now = visit.question(await visit.sight.approval(ref))
    if visit.fragment:
        return visit.part("answered_part.html", status_of(error), found=[now], refusal=str(error))
    return await visit.page("fault.html", "pending", "Not answered", status_of(error), error=error, it=now)


def _items(form: Form) -> list[tuple[str, str]]:
    """Return id and digest of every ticked question.

    Raises:
        Malformed: ``approval_items``.
    """
    pairs = [item.partition("=") for item in form.every("item")]
    if not all(ref and digest for ref, _, digest in pairs):
        raise Malformed("approval_items", "a ticked question is an id and a digest")
    return [(ref, digest) for ref, _, digest in pairs]


async def ticked(visit: Visit) -> Response:
    """Show the ticked questions once more, whole, before all of them are answered."""
    form = await visit.form()
    said, items = form.choice("answer", ANSWERS), _items(form)
    if not items:
        return visit.go("/pending")
    found = []
    for ref, digest in items:
        row = await visit.sight.approval(ref)
        if row["digest"] != digest:
            raise NotPermitted("digest_differs", f"{row['id']} is not about what was shown", "look at it again")
        found.append(visit.question(row))
    proofs = sum(it.passkey for it in found)
    return await visit.page("bulk.html", "pending", "Several at once", answer=said, found=found, proofs=proofs)


async def decide(visit: Visit) -> Response:
    """Answer the questions that were just shown, by id and digest."""
    form = await visit.form()
    said, items = form.choice("answer", ANSWERS), _items(form)
    if not items:
        return visit.go("/pending")
    settled = await visit.sight.decide(said, items)
    title = f"{len(settled)} question{'' if len(settled) == 1 else 's'} answered"
    return await _answered(visit, title, settled)
