"""The desk's own time, kept in its database: it never goes backwards, whatever the clock does.

Stops: a clock set back giving a question or a grant more time, also across a restart. Does not stop a clock set
forward from ending them early; that is the safe side.
"""

from __future__ import annotations

from bascule.core.ports import Clock
from bascule.desk.question import Mark, advance
from bascule.state.connection import Database, Transaction

KEEP_SECONDS = 10.0
"""How much time may pass before it is written down, so that a clock set back while the desk is off is noticed."""

_TIME = 'SELECT latest, "offset" FROM desk_time'
_KEEP_TIME = """INSERT INTO desk_time VALUES (1, ?, ?)
ON CONFLICT (one) DO UPDATE SET latest = excluded.latest, "offset" = excluded."offset" """
_ANY_OPEN = """SELECT 1 FROM desk WHERE state IN ('pending', 'approved')
UNION ALL SELECT 1 FROM desk_grants WHERE state = 'active' LIMIT 1"""


class Hours:
    """Tells the desk's time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Go on where the database's time stands; its desk migrations have run."""
        self._database = database
        self._clock = clock
        kept = database.read(_TIME)
        self._time = Mark(kept[0][0], kept[0][1]) if kept else Mark(clock.now(), 0.0)
        self._kept = self._time.latest

    @property
    def stale(self) -> bool:
        """True if the time should be written down again."""
        return self.now().latest - self._kept >= KEEP_SECONDS

    def now(self) -> Mark:
        """Return the time at this moment."""
        with self._database.lock:
            self._time = advance(self._time, self._clock.now())
            return self._time

    def clock(self) -> float:
        """Return what the clock itself says, in seconds since the epoch."""
        return self._clock.now()

    def passed(self, moment: float) -> None:
        """Believe that ``moment`` (of today's clock) has come: the loop's own clock, which nobody can set, says so."""
        with self._database.lock:
            self._time = Mark(max(self._time.latest, moment + self._time.offset), self._time.offset)

    def keep(self, change: Transaction) -> Mark:
        """Write the time down as part of ``change`` and return it."""
        kept = change.execute(_TIME)
        if kept and kept[0][0] > self._time.latest:
            self._time = Mark(kept[0][0], kept[0][1])
        if self._time.offset and not change.execute(_ANY_OPEN):
            # Nothing is left that a clock set back could lengthen, so the clock is believed again.
            self._time = Mark(self._clock.now(), 0.0)
        mark = self.now()
        change.execute(_KEEP_TIME, (mark.latest, mark.offset))
        self._kept = mark.latest
        return mark
