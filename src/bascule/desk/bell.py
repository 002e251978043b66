"""Who is told when a question is opened or moved: turns that wait for it, and surfaces that show it.

Stops: a turn polling the database, and a surface showing a question that is already answered. Does not keep anything:
whoever subscribes late, or restarts, reads the list.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

from bascule.core.answer import Approval

Listener = Callable[[Approval], None]


class Waiter:
    """One coroutine that waits for one question."""

    __slots__ = ("_event", "_loop", "approval_id")

    def __init__(self, approval_id: str) -> None:
        self.approval_id = approval_id
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def rearm(self) -> None:
        """Forget earlier rings; call before looking, so that none in between is missed."""
        self._event.clear()

    async def heard(self, seconds: float) -> bool:
        """Wait for a ring; False if ``seconds`` passed without one."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def ring(self) -> None:
        """Wake it, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            # Its loop has ended, and with it whoever waited.
            return


class Bell:
    """Rings waiters and listeners; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[str, set[Waiter]] = {}
        self._listeners: list[Listener] = []

    def add(self, waiter: Waiter) -> None:
        """Begin to ring ``waiter``."""
        with self._lock:
            self._waiters.setdefault(waiter.approval_id, set()).add(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Stop ringing ``waiter``."""
        with self._lock:
            waiting = self._waiters[waiter.approval_id]
            waiting.discard(waiter)
            if not waiting:
                del self._waiters[waiter.approval_id]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every question opened or moved; return how to stop. It must not wait or raise."""
        with self._lock:
            self._listeners.append(listener)
        return lambda: self._unlisten(listener)

    def _unlisten(self, listener: Listener) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def ring(self, moved: Iterable[Approval]) -> None:
        """Tell everybody about these questions, in order."""
        for approval in moved:
            with self._lock:
                waiters = tuple(self._waiters.get(approval.id, ()))
                listeners = tuple(self._listeners)
            for waiter in waiters:
                waiter.ring()
            for listener in listeners:
                listener(approval)
