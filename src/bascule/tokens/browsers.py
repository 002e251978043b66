"""Browsers that are signed in, and the one-time links that sign them in; both known by SHA-256 alone.

Stops: a link that works twice or late (it is used up by compare-and-swap, on disk before it has an effect), a browser
signed in for ever, one that outlives the token it came with, and a session fixed beforehand (each sign-in makes a fresh
one). Does not stop whoever copies a browser's cookie, until it idles out or is revoked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import apsw

from bascule.core.canonical import Json
from bascule.core.errors import Unavailable
from bascule.core.ports import Clock
from bascule.state.connection import Database, Row, Transaction
from bascule.state.journal import Journal
from bascule.tokens.store import NOTE_SECONDS, hashed, same, unknown
from bascule.tokens.token import (
    DAY,
    ID_BYTES,
    OPERATOR_NAME,
    SECRET_BYTES,
    STRAY_SECONDS,
    Kind,
    Token,
    is_reference,
    looks_like,
    make_id,
    make_secret,
    refusal,
    stands,
)

LINK_SECONDS = 600.0
"""A link is typed or scanned at once; what lies in a scrollback later is of no use."""

IDLE_SECONDS = 43_200.0
"""Twelve hours without a request: a night ends a session, a working day does not."""

LONGEST_SECONDS = 30 * DAY

MOST_BROWSERS = 32
"""Signed in at once by one token, or by links; one more ends the longest idle, so that no token fills the disk."""

_COLUMNS = "id, token, created, seen"
_SELECT = f"SELECT {_COLUMNS} FROM tokens_browsers"  # noqa: S608 -- only constants of this file
_BY_HASH = f"SELECT {_COLUMNS}, hash FROM tokens_browsers WHERE hash = ?"  # noqa: S608 -- only constants of this file
_INSERT = f"INSERT INTO tokens_browsers ({_COLUMNS}, hash) VALUES (?,?,?,?,?)"  # noqa: S608 -- only constants of this file
_PRUNE = "DELETE FROM tokens_browsers WHERE seen <= ? OR created <= ?"
_CROWD = """DELETE FROM tokens_browsers WHERE id IN
(SELECT id FROM tokens_browsers WHERE token IS ? ORDER BY seen DESC, rowid DESC LIMIT -1 OFFSET ?)"""
_REDEEM = """UPDATE tokens_links SET redeemed = ?1
WHERE hash = ?2 AND redeemed IS NULL AND created - ?3 <= ?1 AND ?1 < expires"""


@dataclass(frozen=True, slots=True)
class Browser:
    """A signed-in browser.

    Attributes:
        id: ``brw_`` and 16 hex characters.
        token: id of the token that signed it in; None for a link: it stands for the machine's operator.
        created: when it signed in, seconds since the epoch.
        seen: when it was last heard of, to the minute.
    """

    id: str
    token: str | None
    created: float
    seen: float

    @property
    def expires(self) -> float:
        """When it ends if nothing more is heard of it."""
        return min(self.seen + IDLE_SECONDS, self.latest)

    @property
    def latest(self) -> float:
        """When it ends in any case."""
        return self.created + LONGEST_SECONDS


class Browsers:
    """The tables ``tokens_links`` and ``tokens_browsers``; arguments as of :class:`bascule.tokens.store.Tokens`."""

    def __init__(
        self, database: Database, clock: Clock, journal: Journal, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._entropy = entropy

    async def make_link(self, *, by: str) -> tuple[str, float]:
        """Return a one-time link's secret, and until when it works.

        Raises:
            Unavailable: it could not be written.
        """
        secret, now = make_secret(Kind.LINK, self._entropy(SECRET_BYTES)), self._clock.now()
        with self._database.transaction() as change:
            change.execute("DELETE FROM tokens_links WHERE expires <= ?", (now,))
            try:
                change.execute(
                    "INSERT INTO tokens_links VALUES (?,?,?,NULL)", (hashed(secret), now, now + LINK_SECONDS)
                )
            except apsw.ConstraintError:
                raise _taken() from None
            self._journal.record(change, "link_made", {"by": by})
        await self._database.sync()
        return secret, now + LINK_SECONDS

    async def redeem(self, untrusted_link: str) -> str:
        """Use a link up and return a new browser's secret; of many who try at once, one succeeds.

        Raises:
            NotPermitted: ``link_refused``.
            Unavailable: it could not be written; if it was not, the link still works.
        """
        if not looks_like(untrusted_link, Kind.LINK):
            raise refusal(Kind.LINK)
        key = hashed(untrusted_link)
        del untrusted_link
        with self._database.transaction() as change:
            change.execute(_REDEEM, (self._clock.now(), key, STRAY_SECONDS))
            if change.changes() != 1:
                raise refusal(Kind.LINK)
            secret = self._enter(change, None, OPERATOR_NAME)
        await self._database.sync()
        return secret

    async def sign_in(self, token: Token) -> str:
        """Return a new browser's secret for a token that was found good a moment ago.

        Raises:
            NotPermitted: ``token_refused``: it was revoked meanwhile.
            Unavailable: it could not be written.
        """
        with self._database.transaction() as change:
            if not change.execute("SELECT 1 FROM tokens WHERE id = ? AND revoked IS NULL", (token.id,)):
                raise refusal(Kind.TOKEN)
            secret = self._enter(change, token.id, token.name)
        await self._database.sync()
        return secret

    def _enter(self, change: Transaction, token: str | None, name: str) -> str:
        secret, now = make_secret(Kind.BROWSER, self._entropy(SECRET_BYTES)), self._clock.now()
        made = make_id("brw", self._entropy(ID_BYTES))
        change.execute(_PRUNE, (now - IDLE_SECONDS, now - LONGEST_SECONDS))
        try:
            change.execute(_INSERT, (made, token, now, now, hashed(secret)))
        except apsw.ConstraintError:
            raise _taken() from None
        change.execute(_CROWD, (token, MOST_BROWSERS))
        self._journal.record(change, "signed_in", {"browser": made, "token": token or "", "by": name})
        return secret

    def find(self, untrusted_session: str) -> Browser | None:
        """Return the browser a secret belongs to, if it still is signed in; its token is not looked at.

        Raises:
            Unavailable: the database cannot be read.
        """
        if not looks_like(untrusted_session, Kind.BROWSER):
            return None
        key = hashed(untrusted_session)
        del untrusted_session
        rows = self._database.read(_BY_HASH, (key,))
        found = next((_browser(row) for row in rows if same(key, row[-1])), None)
        return found if found is not None and self._alive(found) else None

    def get(self, browser_id: str) -> Browser | None:
        """Return a signed-in browser by id; None if there is none."""
        rows = self._database.read(f"{_SELECT} WHERE id = ?", (browser_id,))
        return _browser(rows[0]) if rows else None

    def _alive(self, browser: Browser) -> bool:
        return stands(self._clock.now(), browser.seen, browser.expires)

    def note_seen(self, browser: Browser) -> None:
        """Remember that a browser was heard of, to the minute; a disk that cannot take this keeps nobody out."""
        now = self._clock.now()
        if abs(now - browser.seen) < NOTE_SECONDS:
            return
        with suppress(Unavailable):
            self._database.write("UPDATE tokens_browsers SET seen = ? WHERE id = ?", (now, browser.id))

    async def leave(self, untrusted_session: str) -> None:
        """Sign a browser out; nothing if it was not in.

        Raises:
            Unavailable: it could not be written; the browser is still in.
        """
        if not looks_like(untrusted_session, Kind.BROWSER):
            return
        key = hashed(untrusted_session)
        del untrusted_session
        with self._database.transaction() as change:
            for row in change.execute(_BY_HASH, (key,)):
                self._end(change, _browser(row), {})
        await self._database.sync()

    def by_link(self) -> list[Browser]:
        """Return browsers that are signed in as the machine's operator, oldest first."""
        rows = self._database.read(f"{_SELECT} WHERE token IS NULL ORDER BY created, rowid")
        return [found for row in rows if self._alive(found := _browser(row))]

    async def end(self, untrusted_id: str, *, by: str) -> Browser:
        """Sign out, by its id, a browser that came by a link.

        Raises:
            Malformed: ``token_unknown``.
            Unavailable: it could not be written; the browser is still in.
        """
        if not is_reference(untrusted_id):
            raise unknown(untrusted_id)
        with self._database.transaction() as change:
            rows = change.execute(f"{_SELECT} WHERE id = ? AND token IS NULL", (untrusted_id,))
            if not rows:
                raise unknown(untrusted_id)
            found = _browser(rows[0])
            self._end(change, found, {"by": by})
        await self._database.sync()
        return found

    def _end(self, change: Transaction, browser: Browser, said: dict[str, Json]) -> None:
        change.execute("DELETE FROM tokens_browsers WHERE id = ?", (browser.id,))
        self._journal.record(change, "signed_out", {"browser": browser.id, "token": browser.token or "", **said})


def _browser(row: Row) -> Browser:
    return Browser(row[0], row[1], row[2], row[3])


def _taken() -> Unavailable:
    return Unavailable("token_taken", "a random number was already in use", "try again")
