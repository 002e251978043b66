"""The stream of hints that keeps open pages true: which kinds of thing changed, and nothing of what.

Stops: a hint telling what its reader may not see: it names a topic, and the page asks again with its own cookie. Stops
a stream outliving the sign-in it was opened with: that is looked at whenever it has been quiet for a while, and the
stream's end makes the browser ask anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from starlette.responses import Response, StreamingResponse

from bascule.channels.dashboard.visit import Handler, Visit
from bascule.channels.web.streams import BEAT, STREAM_HEADERS, Seats, beating, event
from bascule.core.errors import BasculeError

SEATS: Final = (12, 200)
"""Streams for one sign-in, and for all: a browser opens six to one server at most."""

APPROVALS: Final = frozenset({"asked", "answered", "approved", "denied", "expired", "cancelled", "consumed"})
"""Records after which a list of questions is no longer true."""

AGENTS: Final = frozenset({"contained", "released"})
"""Records after which what is said of agents is no longer true."""


def topics_of(kind: str) -> frozenset[str]:
    """Return what a record of this kind changes on pages."""
    if kind in APPROVALS:
        return frozenset({"approvals", "ledger"})
    return frozenset({"agents", "approvals", "ledger"} if kind in AGENTS else {"ledger"})


def hinting(seats: Seats) -> Handler:
    """Return the handler of the stream, whose readers together hold ``seats``."""

    async def stream(visit: Visit) -> Response:
        give = seats.take(visit.principal.token or visit.principal.name)
        seq = (await visit.sight.status())["ledger_seq"]
        return StreamingResponse(_hints(visit, seq, give), 200, STREAM_HEADERS, "text/event-stream")

    return stream


async def _hints(visit: Visit, seq: int, give: Callable[[], None]) -> AsyncIterator[bytes]:
    """Yield a hint for every record; a reader that is slow is told of several at once by asking again."""
    pace, ending = visit.site.pace, visit.site.ending
    try:
        yield BEAT
        async with aclosing(beating(visit.sight.follow(seq), pace.heartbeat, ending)) as records:
            async for record in records:
                if record is not None:
                    yield event(" ".join(sorted(topics_of(record["kind"]))), name="change")
                elif not await _still_in(visit):
                    return
                else:
                    yield BEAT
    finally:
        give()


async def _still_in(visit: Visit) -> bool:
    try:
        return await visit.site.entrance.identify(visit.request) == visit.principal
    except BasculeError:
        return False
