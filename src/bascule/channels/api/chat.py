"""``/v1``: OpenAI's chat interface, so that clients that speak it reach an agent.

Stops: a request steering more than one message's worth: earlier messages, other roles, tools and formats are passed
over, and agent, session and trust follow from the token. A question of the turn is neither shown nor answered here; the
turn waits for an answer from elsewhere, and its ids and codes stay out of the answer. Does not stop an agent from
saying anything; it is text.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request

from bascule.channels.api import wire
from bascule.channels.api.asking import Chatter
from bascule.channels.api.documented import EVENT_STREAM, documented
from bascule.channels.web.answers import ascii_json
from bascule.channels.web.dependencies import site_of
from bascule.channels.web.refusals import internal
from bascule.channels.web.site import Pace, Site
from bascule.channels.web.streams import BEAT, EVENTS, Stream, beating, event
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.service.shapes import TurnEvent

LOG = logging.getLogger("bascule.api")

LOOK_SECONDS: Final = 1.0
"""Between looks whether the client of an answer that is not streamed is still there."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn under way.

    ``begun`` is its first event, None if it has not come yet; ``leave`` lets the next one into its conversation.
    """

    name: str
    created: int
    model: str
    events: AsyncGenerator[TurnEvent | None, None]
    begun: TurnEvent | None
    leave: Callable[[], None]


@router.get("/models", tags=["chat"], response_model=documented(wire.ModelList))
async def models(reach: Chatter) -> wire.ModelList:
    """The agents this token may speak to."""
    rows = [
        wire.ModelRow(id=f"{wire.PREFIX}{agent}", object="model", created=0, owned_by="bascule")
        for agent in await reach.partners()
    ]
    return wire.ModelList(object="list", data=rows)


@router.post(
    "/chat/completions",
    tags=["chat"],
    response_model=documented(wire.Completion),
    responses={200: {"content": {EVENTS: EVENT_STREAM}, "description": "what the agent said"}},
)
async def complete(request: Request, reach: Chatter, asked: wire.Completing) -> Any:
    """Say the last user message to an agent; everything else in the request is passed over."""
    site = site_of(request)
    if not asked.model.startswith(wire.PREFIX):
        raise Malformed("agent_unknown", f"a model is called {wire.PREFIX}<agent>", "GET /v1/models lists them")
    text = wire.last_user_text(asked)
    session, source = reach.talk(asked.model.removeprefix(wire.PREFIX), text)
    async with AsyncExitStack() as held:
        held.callback(site.turns.take(reach.name))
        _enter(site, held, f"{asked.model} {session}")
        events = beating(source, min(LOOK_SECONDS, site.pace.heartbeat), site.ending)
        held.push_async_callback(events.aclose)
        # What is refused at once is refused with its status; after that a stream has begun.
        begun = await anext(events, None)
        name, leave = f"chatcmpl-{secrets.token_hex(12)}", partial(site.talking.discard, f"{asked.model} {session}")
        turn = _Turn(name, int(time.time()), asked.model, events, begun, leave)
        if asked.stream:
            return Stream(_pieces(turn, site.pace), held.pop_all(), EVENTS)
        return await _whole(request, turn)


def _enter(site: Site, held: AsyncExitStack, conversation: str) -> None:
    """Hold a conversation until the request ends.

    Raises:
        Unavailable: ``session_busy``.
    """
    if conversation in site.talking:
        raise Unavailable("session_busy", "this session is still answering", "wait for the answer, then ask again")
    site.talking.add(conversation)
    held.callback(site.talking.discard, conversation)


async def _events(turn: _Turn) -> AsyncGenerator[TurnEvent | None, None]:
    """Yield the turn's events, the one that was waited for first.

    Raises:
        Unavailable: ``turn_ended``: it ended without a last word.
    """
    last = turn.begun
    yield last
    async for last in turn.events:
        yield last
    if last is None or last["event"] != "done":
        raise Unavailable("turn_ended", "the turn ended before the agent was done", "see the session's transcript")


async def _whole(request: Request, turn: _Turn) -> wire.Completion | None:
    """Return the whole answer; None to a client that has gone, whose turn ends with it."""
    async with aclosing(_events(turn)) as events:
        async for found in events:
            if found is None and await request.is_disconnected():
                return None
            if found is not None and found["event"] == "done":
                return wire.whole(turn.name, turn.created, turn.model, found["text"])
    return None


async def _pieces(turn: _Turn, pace: Pace) -> AsyncGenerator[bytes, None]:
    """Yield the answer as it comes; what cannot be answered any more ends it with an error in its place."""

    def told(delta: dict[str, str], finish: str | None = None) -> bytes:
        return event(wire.piece(turn.name, turn.created, turn.model, delta, finish))

    spoken = pace.clock()
    yield told({"role": "assistant", "content": ""})
    try:
        async with aclosing(_events(turn)) as events:
            async for found in events:
                if found is not None and found["event"] == "text":
                    yield told({"content": found["text"]})
                    spoken = pace.clock()
                elif found is not None and found["event"] == "done":
                    yield told({}, "stop")
                    break
                elif pace.clock() - spoken >= pace.heartbeat:
                    yield BEAT
                    spoken = pace.clock()
    except BasculeError as error:
        yield event(ascii_json(wire.problem(error)))
    except Exception:
        LOG.exception("a turn of %s failed", turn.model)
        yield event(ascii_json(wire.problem(internal())))
    # Whoever reads the last word may ask again at once.
    await turn.events.aclose()
    turn.leave()
    yield event("[DONE]")
