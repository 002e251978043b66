"""Bytes both ways until both sides are done: counted, bounded, and never waiting for ever.

Stops: a tunnel that carries more than policy allows in either direction, that idles, or that outlives its time; a side
that reads slowly makes the other wait instead of filling memory. One side's end is passed on as an end, so that what
the other still has to say arrives.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bascule.egress.dial import Streams

Direction = asyncio.Task[None]

PIECE = 1 << 16
"""Bytes read at a time."""


@dataclass(slots=True)
class Tally:
    """What went through, and its end: ``ok``, ``egress_size``, ``egress_idle``, ``egress_long``, ``egress_cut``."""

    sent: int = 0
    received: int = 0
    code: str = "ok"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one relay.

    Attributes:
        sent: most bytes towards the server.
        received: most bytes towards the agent.
        idle_seconds: without a byte in either direction.
        seconds: altogether.
        exact: after ``sent`` bytes towards the server nothing more is read of the agent, the server's side stays open,
            and the relay ends with the server's answer.
    """

    sent: int
    received: int
    idle_seconds: float
    seconds: float
    exact: bool = False


class _TooMuchError(Exception):
    """A direction carried more than it may."""


async def relay(agent: Streams, server: Streams, bounds: Bounds, tally: Tally) -> None:
    """Carry bytes until both directions have ended; the streams are left for the caller to close.

    Args:
        agent: streams of the box.
        server: streams of the site.
        bounds: see there.
        tally: counts on from what it says.
    """
    away = asyncio.create_task(_away(agent[0], server[1], bounds, tally))
    back = asyncio.create_task(_back(server[0], agent[1], bounds, tally))
    try:
        async with asyncio.timeout(bounds.seconds):
            moved = await _watch({away, back}, {back} if bounds.exact else {away, back}, bounds, tally)
            tally.code = "ok" if moved else "egress_idle"
    except TimeoutError:
        tally.code = "egress_long"
    except _TooMuchError:
        tally.code = "egress_size"
    except OSError:
        tally.code = "egress_cut"
    finally:
        for direction in (away, back):
            direction.cancel()
        await asyncio.gather(away, back, return_exceptions=True)


async def _watch(going: set[Direction], until: set[Direction], bounds: Bounds, tally: Tally) -> bool:
    """Return True when all of ``until`` have ended, False when nothing moved for the idle time."""
    while going & until:
        before = (tally.sent, tally.received)
        done, going = await asyncio.wait(going, timeout=bounds.idle_seconds, return_when=asyncio.FIRST_COMPLETED)
        for direction in done:
            direction.result()
        if not done and before == (tally.sent, tally.received):
            return False
    return True


async def _away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bounds: Bounds, tally: Tally) -> None:
    while not bounds.exact or tally.sent < bounds.sent:
        piece = await reader.read(min(PIECE, bounds.sent - tally.sent) if bounds.exact else PIECE)
        if not piece and bounds.exact:
            raise ConnectionResetError
        if not piece:
            break
        tally.sent += len(piece)
        if tally.sent > bounds.sent:
            raise _TooMuchError
        writer.write(piece)
        await writer.drain()
    if not bounds.exact:
        writer.write_eof()


async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bounds: Bounds, tally: Tally) -> None:
    while piece := await reader.read(PIECE):
        tally.received += len(piece)
        if tally.received > bounds.received:
            raise _TooMuchError
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


async def finish(writer: asyncio.StreamWriter, seconds: float) -> None:
    """Close a stream; what its other side does not take in time is thrown away."""
    writer.close()
    try:
        async with asyncio.timeout(seconds):
            await writer.wait_closed()
    except OSError:  # a time-out is one
        writer.transport.abort()
