"""How much of the network an agent uses at once and in a minute.

Stops: an agent that floods a site, or fills the gateway with connections, in its proxy and in the gateway's own client
together. Does not stop: many agents asking at once, each within its own measure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bascule.core.errors import Unavailable
from bascule.core.reach import EgressPolicy


class Meter:
    """One agent's use.

    Args:
        now: seconds of a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun: deque[float] = deque()
        self._open = 0

    @property
    def open(self) -> int:
        """Requests and tunnels now going on."""
        return self._open

    @contextmanager
    def request(self, policy: EgressPolicy) -> Iterator[None]:
        """Count one request or tunnel while it lasts.

        Raises:
            Unavailable: ``egress_rate``, ``egress_busy``.
        """
        now = self._now()
        while self._begun and self._begun[0] <= now - 60:
            self._begun.popleft()
        if len(self._begun) >= policy.requests_per_minute:
            raise Unavailable(
                "egress_rate", f"more than {policy.requests_per_minute} requests in a minute", "wait a minute"
            )
        if self._open >= policy.connections:
            raise Unavailable("egress_busy", f"{policy.connections} connections are open already", "close one")
        self._begun.append(now)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
