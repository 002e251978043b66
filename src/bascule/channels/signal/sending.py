"""Sends what waits, one message at a time, as fast as Signal lets us and not faster.

Stops: a burst after an outage or a rate limit being hammered against, and a recipient whose messages fail holding up
the others. Does not stop: a message arriving twice when nobody knows whether a first attempt got through.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bascule.channels.signal.daemon import Fate
from bascule.channels.signal.outbox import GIVE_UP_SECONDS, Waiting
from bascule.channels.signal.parts import Parts
from bascule.core.errors import Unavailable

LOOK_SECONDS = 30.0
"""The longest sleep, so that a clock that was set is noticed."""

HAIR = 0.01


class Sending:
    """The loop that empties the outbox. ``limited_until`` is when Signal lets us send again, 0 if it does now."""

    def __init__(self, parts: Parts) -> None:
        self._to = parts
        self._failures = 0
        self._limits = 0
        self._rest_until = 0.0
        self.limited_until = 0.0

    async def run(self) -> None:
        """Send until cancelled.

        Raises:
            Unavailable: the outbox cannot be read or written.
        """
        while True:
            self._to.posted.clear()
            now = self._to.clock.now()
            waiting = self._to.outbox.next() if now >= max(self._rest_until, self.limited_until) else None
            if waiting is None:
                await self._sleep(now)
            else:
                self._to.noted.clear()
                try:
                    await self._send(waiting)
                finally:
                    self._to.noted.set()

    async def _sleep(self, now: float) -> None:
        soonest = self._to.outbox.soonest()
        wait = LOOK_SECONDS if soonest is None else max(soonest, self._rest_until, self.limited_until) - now
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(wait, HAIR), LOOK_SECONDS)):
                await self._to.posted.wait()
        if self._rest_until > now:
            # Being told of something new is no reason to try an unreachable daemon sooner.
            await asyncio.sleep(min(max(self._rest_until - self._to.clock.now(), 0.0), LOOK_SECONDS))

    async def _send(self, waiting: Waiting) -> None:
        outbox, pace, now = self._to.outbox, self._to.pace, self._to.clock.now()
        if now - waiting.made > GIVE_UP_SECONDS:
            outbox.failed(waiting.seq, "it could not be sent for a day")
            return
        outbox.trying(waiting.seq)
        try:
            result = await self._to.daemon.send(waiting.recipient, waiting.body)
        except Unavailable as error:
            self._failures += 1
            self._rest_until = now + pace.after(self._failures - 1, pace.most)
            outbox.later(waiting.seq, now, error.message)
            return
        self._failures = 0
        match result.fate:
            case Fate.SENT:
                self._limits, self.limited_until = 0, 0.0
                await outbox.sent(waiting.seq, result.at)
            case Fate.LIMITED:
                self._limits += 1
                wait = result.wait or min(pace.limited * 2.0 ** (self._limits - 1), 3600.0)
                self.limited_until = self._to.clock.now() + wait
                outbox.later(waiting.seq, now, result.why)
                self._to.log(f"{result.why}; sending goes on in {wait:.0f} s")
            case Fate.NEVER:
                outbox.failed(waiting.seq, result.why)
                self._to.log(f"a message will never go out: {result.why}")
            case Fate.LATER | Fate.UNTRUSTED:
                outbox.later(waiting.seq, now + pace.after(waiting.tries, pace.retry), result.why)
                self._to.log(f"a message did not go out: {result.why}")
