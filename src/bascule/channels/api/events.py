"""``/api/v1/events``: the ledger as it grows, by server-sent events.

Stops: a gap after a broken connection (every event's id is its sequence number, and reading goes on from there), a
stream that outlives the right to read it, and more streams than there are readers. Does not stop a reader from being
slow; it is waited for, and cut off if it reads nothing at all.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import StreamingResponse

from bascule.channels.api.asking import SURFACE, After, Reader
from bascule.channels.api.documented import EVENT_STREAM
from bascule.channels.web.answers import ascii_json
from bascule.channels.web.dependencies import reaching, site_of
from bascule.channels.web.reach import Reach
from bascule.channels.web.site import Site
from bascule.channels.web.streams import BEAT, EVENTS, Stream, beating, event
from bascule.core.canonical import MAX_SAFE_INTEGER
from bascule.core.errors import Malformed, NotPermitted, Unavailable

_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)

LOG = logging.getLogger("bascule.api")

router = APIRouter()


@router.get("/events", tags=["ledger"], response_class=StreamingResponse, responses={
    200: {"content": {EVENTS: EVENT_STREAM}, "description": "records as they come"}
})  # fmt: skip
async def events(request: Request, reach: Reader, after: After = None) -> Stream:
    """Records that follow ``after``, or the header ``Last-Event-ID``, or this moment; each event's id is its number."""
    site = site_of(request)
    told = request.headers.get("last-event-id")
    if told is not None and not (_NUMBER.fullmatch(told) and int(told) <= MAX_SAFE_INTEGER):
        raise Malformed("event_id", "Last-Event-ID is no number of a record", "leave it out")
    begin = int(told) if told is not None else after
    if begin is None:
        begin = (await reach.status())["ledger_seq"]
    held = AsyncExitStack()
    held.callback(site.streams.take(reach.name))
    return Stream(_body(site, request, reach, begin), held, EVENTS)


async def _body(site: Site, request: Request, reach: Reach, begin: int) -> AsyncGenerator[bytes, None]:
    """Yield records as events; a stream whose reader may no longer read ends without a word, and cannot be resumed."""
    looked = site.pace.clock()
    try:
        yield b"retry: 2000\n\n"
        async with aclosing(beating(reach.follow(begin), site.pace.heartbeat, site.ending)) as rows:
            async for row in rows:
                if site.pace.clock() - looked >= site.pace.heartbeat:
                    looked = site.pace.clock()
                    await reaching(SURFACE, "read")(request)
                yield BEAT if row is None else event(ascii_json(row), name="record", number=row["seq"])
    except (NotPermitted, Unavailable) as error:
        LOG.info("a stream of %s ends: %s", reach.caller.name, error.code)
