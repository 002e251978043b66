"""Whether the engine is there, asked while somebody needs it: before a call at most every other second, and during one.

Stops: calls going on in containers whose engine has died or hangs, and which nobody could therefore end, replace or
count; a call that waits in one for hours. Nothing is asked while no call is made. Does not stop: an engine that answers
this and nothing else; what is asked of it then has limits of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from bascule.core.errors import Unavailable

FRESH_SECONDS = 2.0
"""How long an answer counts, and how long a call goes on before it is asked again."""

_PATIENCE = 2
"""Silences in a row that end a call: a machine under load may be late once."""

_SILENT = "docker_silent"

T = TypeVar("T")


class EngineWatch:
    """Asks one engine, by way of the warden; whoever asks at the same time shares one question."""

    def __init__(self, ask: Callable[[], Awaitable[object]], clock: Callable[[], float]) -> None:
        """``ask`` returns if the engine answers and raises :class:`Unavailable` if not; ``clock`` counts seconds."""
        self._ask = ask
        self._clock = clock
        self._asking: asyncio.Task[None] | None = None
        self._answered = float("-inf")

    def answered(self) -> None:
        """Note that the engine has just answered something else."""
        self._answered = self._clock()

    async def must_answer(self) -> None:
        """Return if the engine answers, or did a moment ago.

        Raises:
            Unavailable: it does not; ``code`` tells how.
        """
        if self._clock() - self._answered >= FRESH_SECONDS:
            await self._question()

    async def _question(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._put())
            # Whoever waited may have been cancelled; what came of it is then nobody's.
            self._asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._asking)

    async def _put(self) -> None:
        self._answered = float("-inf")
        await self._ask()
        self.answered()

    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end while the engine lives.

        Raises:
            Unavailable: the engine was lost on the way; the work has been cancelled, and its end been waited for.
        """
        task = asyncio.ensure_future(work)
        silences = 0
        try:
            while not (await asyncio.wait((task,), timeout=0.0 if silences else FRESH_SECONDS))[0]:
                try:
                    await self._question()
                    silences = 0
                except Unavailable as lost:
                    silences += 1
                    if task.done():
                        break
                    if lost.code != _SILENT or silences >= _PATIENCE:
                        raise
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
