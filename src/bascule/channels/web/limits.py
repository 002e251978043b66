"""How often one may knock: failed sign-ins by address, requests by token; bounded memory, no background work.

Stops: guessing at tokens faster than a few tries a minute, from loopback too, and one token keeping the gateway busy.
Does not stop: guesses from very many addresses; a token holds far more bits than all of them together can try.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_KEPT: Final = 4096
"""Addresses or tokens remembered; beyond it the one that was quiet longest is forgotten."""


@dataclass(slots=True)
class _Bucket:
    left: float
    seen: float
    blocked: float = 0.0
    strikes: int = 0


@dataclass(frozen=True, slots=True)
class Rate:
    """How much: ``burst`` at once, refilled by ``per_second``; when empty, shut for ``backoff`` seconds, doubling."""

    burst: float
    per_second: float
    backoff: float = 0.0
    longest: float = 0.0


FAILURES: Final = Rate(burst=10, per_second=1 / 30, backoff=2, longest=300)
"""Ten mistakes, then two a minute; OpenClaw's default shuts for five minutes after ten, loopback excepted."""

REQUESTS: Final = Rate(burst=300, per_second=30)
"""Of one token or signed-in browser: far more than a person or their scripts need."""


class Limiter:
    """Token buckets by name."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, name: str) -> int:
        """Return in how many whole seconds the name may try again, 0 for now."""
        bucket = self._buckets.get(name)
        remaining = bucket.blocked - self._clock() if bucket is not None else 0.0
        return int(remaining) + 1 if remaining > 0 else 0

    def take(self, name: str) -> bool:
        """Take one; False if none is left, and then the name is shut out for a while that doubles each time."""
        now = self._clock()
        bucket = self._filled(name, now)
        if bucket.left >= 1:
            bucket.left -= 1
            return True
        if self._rate.backoff:
            pause = min(self._rate.backoff * 2.0 ** min(bucket.strikes, 32), self._rate.longest)
            bucket.blocked = max(bucket.blocked, now + pause)
            bucket.strikes += 1
        return False

    def _filled(self, name: str, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            while len(self._buckets) >= MAX_KEPT:
                self._buckets.popitem(last=False)
            bucket = self._buckets[name] = _Bucket(self._rate.burst, now)
        self._buckets.move_to_end(name)
        # A clock that went back refills nothing.
        bucket.left = min(self._rate.burst, bucket.left + max(0.0, now - bucket.seen) * self._rate.per_second)
        bucket.seen = now
        if bucket.left >= self._rate.burst:
            bucket.strikes = 0
        return bucket


def neighbourhood(address: str) -> str:
    """Return what one subscriber holds: an IPv4 address, or the /64 an IPv6 address lies in; other text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
