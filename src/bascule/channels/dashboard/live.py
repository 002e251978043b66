"""The stream of hints that keeps open pages true: which kinds of thing changed, and nothing of what.

Stops: a hint telling what its reader may not see: it names a topic, and the page asks again with its own cookie. Stops
a stream outliving the sign-in it was opened with: that is looked at again and again while it is open, and the stream's
end makes the browser ask anew.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Final

from starlette.responses import Response

from bascule.channels.dashboard.visit import Visit
from bascule.channels.web.streams import BEAT, EVENTS, Stream, beating, event
from bascule.core.errors import BasculeError

APPROVALS: Final = frozenset({"asked", "answered", "approved", "denied", "expired", "cancelled", "consumed"})
"""Records after which a list of questions is no longer true."""

AGENTS: Final = frozenset({"contained", "released"})
"""Records after which what is said of agents is no longer true."""


def topics_of(kind: str) -> frozenset[str]:
    """Return what a record of this kind changes on pages."""
    if kind in APPROVALS:
        return frozenset({"approvals", "ledger"})
    return frozenset({"agents", "approvals", "ledger"} if kind in AGENTS else {"ledger"})


async def stream(visit: Visit) -> Response:
    """Return the stream; a page opens one and keeps it while somebody looks at it."""
    seq = (await visit.sight.status())["ledger_seq"]
    held = AsyncExitStack()
    held.callback(visit.site.streams.take(visit.principal.browser or visit.sight.name))
    return Stream(_hints(visit, seq), held, EVENTS)


async def _hints(visit: Visit, seq: int) -> AsyncGenerator[bytes, None]:
    """Yield a hint for every record; the page gathers those that come while it asks."""
    pace = visit.site.pace
    looked = pace.clock()
    yield BEAT
    async with aclosing(beating(visit.sight.follow(seq), pace.heartbeat, visit.site.ending)) as records:
        async for record in records:
            if pace.clock() - looked >= pace.heartbeat:
                looked = pace.clock()
                if not await _still_in(visit):
                    return
            if record is None:
                yield BEAT
            else:
                yield event(" ".join(sorted(topics_of(record["kind"]))), name="change")


async def _still_in(visit: Visit) -> bool:
    try:
        return await visit.site.entrance.identify(visit.request) == visit.principal
    except BasculeError:
        return False
