"""What came, on disk before it is acted on, and never acted on twice.

Stops: a message lost because the gateway ended between hearing and doing, and one done twice because signal-cli, or its
replay after a reconnect, sent it again. A turn that had begun when the gateway ended is not begun again: nobody knows
how far it got. Does not stop: messages being lost that signal-cli itself dropped while nobody listened to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bascule.channels.signal.envelope import Envelope
from bascule.channels.signal.tables import KEPT_SECONDS
from bascule.core.ports import Clock
from bascule.state.connection import Database, Transaction

WRONG_CODES = 5
"""Wrong codes a person may send before a pause; a code has 40 random bits, so this many guesses find nothing."""

WRONG_PAUSE = 900.0
"""Seconds of that pause, counted from the first wrong code."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One message that is not done: ``working`` is True if acting on it had begun."""

    seq: int
    event: str
    working: bool


class Inbox:
    """The table of what came, and the small counters that go with it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self, envelope: Envelope, event: str, place: str) -> int | None:
        """Store a message durably, with its place in the stream; return its number, None if it came before.

        Raises:
            Unavailable: it could not be written.
        """
        now = self._clock.now()
        with self._database.transaction() as change:
            change.execute(
                "INSERT INTO signal_inbox (key, event, received, state) VALUES (?, ?, ?, 'new') ON CONFLICT DO NOTHING",
                (envelope.key, event, now),
            )
            new = change.changes() == 1
            seq = int(change.execute("SELECT last_insert_rowid()")[0][0]) if new else None
            _remember(change, place)
        await self._database.sync()
        return seq

    def passed(self, place: str) -> None:
        """Remember the place in the stream after an event that was left out."""
        if place:
            with self._database.transaction() as change:
                _remember(change, place)

    def place(self) -> str:
        """Return the id of the last event of the stream that was taken, empty if there is none."""
        rows = self._database.read("SELECT event FROM signal_place")
        return str(rows[0][0]) if rows else ""

    def open(self) -> list[Stored]:
        """Return what is not done, in the order it came."""
        rows = self._database.read("SELECT seq, event, state FROM signal_inbox WHERE state != 'done' ORDER BY seq")
        return [Stored(int(seq), str(event), state == "working") for seq, event, state in rows]

    def begin(self, seq: int) -> None:
        """Say that acting on a message begins, which cannot be begun again."""
        self._database.write("UPDATE signal_inbox SET state = 'working' WHERE seq = ? AND state = 'new'", (seq,))

    def again(self, seq: int) -> None:
        """Say that it had not begun after all."""
        self._database.write("UPDATE signal_inbox SET state = 'new' WHERE seq = ? AND state = 'working'", (seq,))

    def done(self, seq: int, change: Transaction) -> None:
        """Say that a message is done, as part of a change; its words are not kept."""
        change.execute("UPDATE signal_inbox SET state = 'done', event = '' WHERE seq = ?", (seq,))

    def forget(self) -> None:
        """Remove what has been done for long."""
        before = self._clock.now() - KEPT_SECONDS
        self._database.write("DELETE FROM signal_inbox WHERE state = 'done' AND received < ?", (before,))

    def may_try(self, person: str) -> bool:
        """True unless this person has sent too many wrong codes lately."""
        rows = self._database.read("SELECT wrong, since FROM signal_tries WHERE person = ?", (person,))
        return not rows or int(rows[0][0]) < WRONG_CODES or not 0 <= self._clock.now() - rows[0][1] < WRONG_PAUSE

    def wrong_code(self, person: str) -> None:
        """Count a wrong code."""
        now = self._clock.now()
        with self._database.transaction() as change:
            change.execute(
                "DELETE FROM signal_tries WHERE person = ? AND (since > ? OR since <= ?)",
                (person, now, now - WRONG_PAUSE),
            )
            change.execute(
                "INSERT INTO signal_tries VALUES (?, 1, ?) ON CONFLICT (person) DO UPDATE SET wrong = wrong + 1",
                (person, now),
            )


def _remember(change: Transaction, place: str) -> None:
    if place:
        change.execute(
            "INSERT INTO signal_place VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET event = excluded.event", (place,)
        )
