"""The tokens of a home: their SHA-256 and what they allow, in a table; each made and ended with its ledger record.

Stops: reading a secret out of the database or the ledger (neither has ever held one), two active tokens of one name,
and a token coming back after a restart or a power cut once it was revoked. Does not stop the owner of the database file
from writing a row of their own; what they did shows nowhere but in the ledger's lack of a record.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from contextlib import suppress

import apsw

from bascule.core.errors import Malformed, Unavailable
from bascule.core.ports import Clock
from bascule.state.connection import Database, Row, Transaction
from bascule.state.journal import Journal
from bascule.state.migrations import Schema
from bascule.tokens.token import (
    ID_BYTES,
    SECRET_BYTES,
    Kind,
    Mint,
    Scope,
    Token,
    is_reference,
    looks_like,
    make_id,
    make_secret,
)

SCHEMA = Schema(
    "tokens",
    (
        """
CREATE TABLE tokens (
    id        TEXT PRIMARY KEY,
    hash      BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    name      TEXT NOT NULL,
    scopes    TEXT NOT NULL CHECK (scopes != ''),
    agents    TEXT,
    session   TEXT,
    trusted   INTEGER NOT NULL CHECK (trusted IN (0, 1)),
    person    TEXT,
    created   REAL NOT NULL,
    expires   REAL NOT NULL CHECK (expires > created),
    last_used REAL,
    revoked   REAL,
    rooted    INTEGER NOT NULL CHECK (rooted IN (0, 1))
) STRICT;
CREATE INDEX tokens_name ON tokens (name);
CREATE TABLE tokens_links (
    hash     BLOB PRIMARY KEY CHECK (length(hash) = 32),
    created  REAL NOT NULL,
    expires  REAL NOT NULL CHECK (expires > created),
    redeemed REAL
) STRICT, WITHOUT ROWID;
CREATE TABLE tokens_browsers (
    id      TEXT PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    token   TEXT REFERENCES tokens (id),
    created REAL NOT NULL,
    seen    REAL NOT NULL
) STRICT;
CREATE INDEX tokens_browsers_token ON tokens_browsers (token, seen);
CREATE TABLE tokens_passkeys (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    site       TEXT NOT NULL,
    credential BLOB NOT NULL UNIQUE,
    public_key BLOB NOT NULL,
    sign_count INTEGER NOT NULL CHECK (sign_count >= 0),
    created    REAL NOT NULL,
    last_used  REAL
) STRICT;
""",
    ),
)

COLUMNS = "id, name, scopes, agents, session, trusted, person, created, expires, last_used, revoked, rooted"

NOTE_SECONDS = 60.0
"""How much time passes before a use is written down again: a page that polls must not become a stream of writes."""

_INSERT = f"INSERT INTO tokens ({COLUMNS}, hash) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 -- only constants of this file
_SELECT = f"SELECT {COLUMNS} FROM tokens"  # noqa: S608 -- only constants of this file
_BY_HASH = f"SELECT {COLUMNS}, hash FROM tokens WHERE hash = ?"  # noqa: S608 -- only constants of this file
_NAMED = f"""{_SELECT} WHERE id = ?1 OR name = ?1
ORDER BY id = ?1 DESC, revoked IS NULL DESC, created DESC, rowid DESC LIMIT 1"""
_ACTIVE_NAME = "SELECT 1 FROM tokens WHERE name = ? AND revoked IS NULL AND expires > ?"


def hashed(secret: str) -> bytes:
    """SHA-256 of a secret, the only form in which it is kept."""
    return hashlib.sha256(secret.encode("ascii")).digest()


def same(one: bytes, other: object) -> bool:
    """True if two hashes are equal, in time that does not tell where they differ."""
    return isinstance(other, bytes) and hmac.compare_digest(one, other)


class Tokens:
    """The table ``tokens``. Times are the clock's; every change is on disk when its method returns."""

    def __init__(
        self, database: Database, clock: Clock, journal: Journal, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Take up the tokens of ``database``, whose migrations have run.

        Args:
            database: the home's.
            clock: the time of day.
            journal: what is made and ended is recorded there, in the same transaction, without secrets.
            entropy: returns that many random bytes.
        """
        self._database = database
        self._clock = clock
        self._journal = journal
        self._entropy = entropy

    async def create(self, mint: Mint, *, by: str, rooted: bool) -> tuple[Token, str]:
        """Make a token and return it with its secret, which is kept nowhere; ``rooted`` as in :class:`Token`.

        Raises:
            Malformed: ``token_name``: an active token is called so.
            Unavailable: it could not be written; there is none.
        """
        secret = make_secret(Kind.TOKEN, self._entropy(SECRET_BYTES))
        now = self._clock.now()
        made = Token(
            make_id("tok", self._entropy(ID_BYTES)), mint.name, mint.scopes, mint.agents, mint.session, mint.trusted,
            mint.person, now, now + mint.seconds, rooted=rooted,
        )  # fmt: skip
        with self._database.transaction() as change:
            if change.execute(_ACTIVE_NAME, (made.name, now)):
                raise Malformed("token_name", f"a token called {made.name!r} is active", "revoke it, or choose another")
            try:
                change.execute(_INSERT, (*_row(made), hashed(secret)))
            except apsw.ConstraintError:
                raise Unavailable("token_taken", "a random id was already in use", "make the token again") from None
            self._journal.record(change, "token_made", {"token": made.id, "by": by, **mint.body()})
        await self._database.sync()
        return made, secret

    def find(self, untrusted_secret: str) -> Token | None:
        """Return the token a secret belongs to, whatever its state.

        Raises:
            Unavailable: the database cannot be read.
        """
        if not looks_like(untrusted_secret, Kind.TOKEN):
            return None
        key = hashed(untrusted_secret)
        del untrusted_secret
        return next((token(row) for row in self._database.read(_BY_HASH, (key,)) if same(key, row[-1])), None)

    def get(self, token_id: str) -> Token | None:
        """Return a token by id."""
        rows = self._database.read(f"{_SELECT} WHERE id = ?", (token_id,))
        return token(rows[0]) if rows else None

    def note_use(self, used: Token) -> None:
        """Remember that a token was just used, to the minute.

        A disk that cannot take this keeps nobody out: an operator must be able to see, and stop, what fills it.
        """
        now = self._clock.now()
        if used.last_used is not None and abs(now - used.last_used) < NOTE_SECONDS:
            return
        with suppress(Unavailable):
            self._database.write("UPDATE tokens SET last_used = ? WHERE id = ?", (now, used.id))

    def every(self) -> list[Token]:
        """Return every token there ever was, oldest first."""
        return [token(row) for row in self._database.read(f"{_SELECT} ORDER BY created, rowid")]

    async def revoke(self, untrusted_reference: str, *, by: str) -> Token:
        """End a token, by id or name, and every browser it signed in; one that had ended by hand stays as it is.

        A name means the token that is not revoked, if there is one.

        Raises:
            Malformed: ``token_unknown``.
            Unavailable: it could not be written; the token still works.
        """
        if not is_reference(untrusted_reference):
            raise unknown(untrusted_reference)
        with self._database.transaction() as change:
            rows = change.execute(_NAMED, (untrusted_reference,))
            if not rows:
                raise unknown(untrusted_reference)
            found = token(rows[0])
            if found.revoked is None:
                change.execute("UPDATE tokens SET revoked = ? WHERE id = ?", (self._clock.now(), found.id))
                change.execute("DELETE FROM tokens_browsers WHERE token = ?", (found.id,))
                self._journal.record(change, "token_revoked", {"token": found.id, "name": found.name, "by": by})
            found = _one(change, found.id)
        await self._database.sync()
        return found


def unknown(untrusted_reference: str) -> Malformed:
    """What is said to a name that no token has."""
    detail = f"there is no token {untrusted_reference[:64]!r}"
    if any(f"{kind}_" in untrusted_reference for kind in Kind):
        # Somebody pasted the secret itself: an error ends up on screens and in logs.
        detail = "a token is named by its id or name, never by its secret"
    return Malformed("token_unknown", detail, "see: bascule tokens list")


def _one(change: Transaction, token_id: str) -> Token:
    return token(change.execute(f"{_SELECT} WHERE id = ?", (token_id,))[0])


def _row(made: Token) -> Row:
    agents = None if made.agents is None else json.dumps(sorted(made.agents))
    scopes = ",".join(sorted(made.scopes))
    times = (made.created, made.expires, made.last_used, made.revoked)
    return (made.id, made.name, scopes, agents, made.session, int(made.trusted), made.person, *times, int(made.rooted))


def token(row: Row) -> Token:
    """Make the noun of a row of :data:`COLUMNS`."""
    (id_, name, scopes, agents, session, trusted, person, created, expires, last_used, revoked, rooted, *_) = row
    return Token(
        id_, name, frozenset(Scope(word) for word in scopes.split(",")),
        None if agents is None else frozenset(json.loads(agents)), session, bool(trusted), person,
        created, expires, last_used, revoked, bool(rooted),
    )  # fmt: skip
