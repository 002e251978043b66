"""Passkeys: who has which, and which yes one has just been used for.

Stops: a copied cookie or token saying a yes that policy wants a person behind. A passkey signs for one question as it
was shown and for one answer; its proof is good once, in the browser that asked, for two minutes. One is registered only
where the machine's own shell has just let somebody in, so a copied cookie gets none. Does not stop a page that shows
one question and asks for another's yes: pages are ours, and what was signed stands in the ledger.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TypeVar

import apsw

from bascule.core.canonical import Json, canonical
from bascule.core.errors import Malformed, NotPermitted, Unavailable
from bascule.core.policy import Policy
from bascule.core.ports import Clock
from bascule.policy.passkeys import wants_passkey
from bascule.service.passkeys import RelyingParty, Yes
from bascule.service.port import Principal
from bascule.service.shapes import PasskeyRow
from bascule.state.connection import Database, Row
from bascule.state.journal import Journal
from bascule.tokens.browsers import Browsers
from bascule.tokens.ceremony import (
    Key,
    Signed,
    check_creation,
    check_party,
    check_request,
    creation_options,
    credential_of,
    refused,
    request_options,
    text_of,
)
from bascule.tokens.store import Tokens
from bascule.tokens.token import ID_BYTES, OPERATOR_NAME, Scope, make_id, stands

T = TypeVar("T")

CHALLENGE_BYTES = 32

CEREMONY_SECONDS = 120.0
"""How long a challenge may wait for its answer, and a proof for the yes it was made for."""

FRESH_SECONDS = 600.0
"""How long after signing in a browser may register a passkey."""

MOST_PASSKEYS = 16
"""Of one person; and how many challenges or proofs one browser may have open."""

_NAME = re.compile(r"[^\W_][\w .'-]{0,63}")
_COLUMNS = "id, owner, name, site, credential, public_key, sign_count, created, last_used"
_SELECT = f"SELECT {_COLUMNS} FROM tokens_passkeys"  # noqa: S608 -- only constants of this file
_INSERT = f"INSERT INTO tokens_passkeys ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,NULL)"  # noqa: S608 -- only constants of this file
_COUNT = "UPDATE tokens_passkeys SET sign_count = ?, last_used = ? WHERE id = ? AND sign_count = ?"

Purpose = tuple[str, str]
"""A browser's id, and what is to be proved in it."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey; ``owner`` is a person of the policy, empty for the machine's operator."""

    id: str
    owner: str
    name: str
    site: str
    key: Key
    created: float
    last_used: float | None

    def row(self) -> PasskeyRow:
        """As surfaces show it."""
        return PasskeyRow(
            id=self.id,
            name=self.name,
            site=self.site,
            person=self.owner,
            created=_instant(self.created),
            last_used="" if self.last_used is None else _instant(self.last_used),
        )


@dataclass(frozen=True, slots=True)
class Visitors:
    """Who comes and what they may: tokens, browsers, the policy in force, and chance (as of ``Tokens``)."""

    tokens: Tokens
    browsers: Browsers
    policy: Callable[[], Policy]
    entropy: Callable[[int], bytes] = os.urandom


@dataclass(frozen=True, slots=True)
class _Open:
    """A challenge that waits for its answer: ``nonce`` and what it is for make it."""

    nonce: bytes
    challenge: bytes
    since: float


REGISTERING = b"register"


class PasskeyRing:
    """Implements :class:`bascule.service.passkeys.Passkeys` over the table ``tokens_passkeys``.

    Challenges and proofs are kept in memory alone: a restart ends them, and the page asks again.
    """

    def __init__(self, database: Database, clock: Clock, journal: Journal, visitors: Visitors) -> None:
        """Take up the passkeys of ``database``, whose migrations have run; arguments as of ``Tokens``."""
        self._database = database
        self._clock = clock
        self._journal = journal
        self._to = visitors
        self._open: dict[Purpose, _Open] = {}
        self._proved: dict[Purpose, float] = {}

    def needed(self, principal: Principal, *, action: str, wider: bool) -> bool:
        """See the protocol. Whoever came over HTTP needs one, so that a token is no way around it."""
        del principal
        return wants_passkey(self._to.policy().passkey, action, wider=wider)

    def spend(self, principal: Principal | None, yes: Yes, *, action: str) -> None:
        """Let a yes pass that needs no passkey, or one that a passkey was just used for; the proof is used up.

        Args:
            principal: who says it; None for whoever did not come over HTTP.
            yes: id and digest as the desk has them.
            action: class of the call, as the desk has it.

        Raises:
            NotPermitted: ``passkey_needed``.
        """
        if principal is None or not self.needed(principal, action=action, wider=yes.wider is not None):
            return
        since = self._proved.pop((principal.browser, _purpose(yes)), None)
        if not principal.browser or since is None or not self._in_time(since):
            detail = f"policy wants a passkey for a yes to {yes.approval}"
            raise NotPermitted("passkey_needed", detail, "answer in a browser with a passkey, or in the shell")

    async def begin_registration(self, principal: Principal, party: RelyingParty) -> dict[str, Json]:
        """See the protocol."""
        owner = self._registrar(principal)
        check_party(party)
        known = self._known(owner)
        if len(known) >= MOST_PASSKEYS:
            raise Unavailable("passkeys_full", f"there are {MOST_PASSKEYS} passkeys already", "remove one")
        challenge = self._challenge(principal, REGISTERING)
        called = (hashlib.sha256(f"bascule\n{owner}".encode()).digest(), owner if owner else OPERATOR_NAME)
        return creation_options(party, challenge, called, [one.key.credential for one in known if one.site == party.id])

    async def finish_registration(
        self, principal: Principal, party: RelyingParty, *, name: str, untrusted_response: str
    ) -> PasskeyRow:
        """See the protocol."""
        owner = self._registrar(principal)
        check_party(party)
        if not _NAME.fullmatch(name):
            raise Malformed("passkey_name", "a passkey's name is 1 to 64 letters, digits, spaces and . ' -")
        key = check_creation(party, self._taken(principal, REGISTERING).challenge, untrusted_response)
        del untrusted_response
        id_ = make_id("pky", self._to.entropy(ID_BYTES))
        made = Passkey(id_, owner, name, party.id, key, self._clock.now(), None)
        values = (id_, owner, name, party.id, key.credential, key.public, key.count, made.created)
        body: dict[str, Json] = {"credential": text_of(key.credential), "public_key": text_of(key.public)}
        with self._database.transaction() as change:
            count = change.execute("SELECT count(*) FROM tokens_passkeys WHERE owner = ?", (owner,))[0][0]
            try:
                change.execute(_INSERT, values)
            except apsw.ConstraintError:
                raise refused() from None
            if count >= self._room(principal):
                raise _stale()
            self._journal.record(change, "passkey_made", {**_who(made, principal), **body})
        await self._database.sync()
        return made.row()

    def _registrar(self, principal: Principal) -> str:
        """Return whose passkey this browser may register at this moment.

        Raises:
            NotPermitted: ``passkey_stale``, ``passkey_browser``.
        """
        owner = _owner(principal)
        browser, now = self._to.browsers.get(principal.browser), self._clock.now()
        if browser is None or not stands(now, browser.created, browser.created + FRESH_SECONDS):
            raise _stale()
        if browser.token is not None:
            token = self._to.tokens.get(browser.token)
            if token is None or not token.rooted or not owner or token.person != owner or self._known(owner):
                raise _stale()
        elif owner:
            raise _stale()
        return owner

    def _room(self, principal: Principal) -> int:
        """How many passkeys there may be before the one that is being made: of a token's person, none."""
        return MOST_PASSKEYS if principal.person is None else 1

    async def begin_approval(self, principal: Principal, party: RelyingParty, yes: Yes) -> dict[str, Json]:
        """See the protocol."""
        owner = _owner(principal)
        check_party(party)
        known = [one.key.credential for one in self._known(owner) if one.site == party.id]
        if not known:
            detail = f"no passkey of yours works on {party.id}"
            raise NotPermitted("passkey_missing", detail, "sign in with a fresh link, then register one")
        return request_options(party, self._challenge(principal, _bytes(yes)), known)

    async def finish_approval(
        self, principal: Principal, party: RelyingParty, yes: Yes, *, untrusted_response: str
    ) -> None:
        """See the protocol."""
        owner = _owner(principal)
        check_party(party)
        waiting = self._taken(principal, _bytes(yes))
        credential = credential_of(untrusted_response)
        named = [one for one in self._known(owner) if one.site == party.id and one.key.credential == credential]
        if not named:
            raise refused()
        signed = check_request(party, waiting.challenge, named[0].key, untrusted_response)
        del untrusted_response
        with self._database.transaction() as change:
            change.execute(_COUNT, (signed.count, self._clock.now(), named[0].id, named[0].key.count))
            if change.changes() != 1:
                raise refused()
            body = {**_who(named[0], principal), **_evidence(yes, waiting, signed)}
            self._journal.record(change, "passkey_used", body)
        await self._database.sync()
        _keep(self._proved, (principal.browser, _purpose(yes)), self._clock.now())

    async def passkeys_list(self, principal: Principal) -> list[PasskeyRow]:
        """See the protocol."""
        return [one.row() for one in self._known(_owner(principal), everyone=_is_operator(principal))]

    async def passkeys_remove(self, principal: Principal, *, passkey: str) -> PasskeyRow:
        """See the protocol."""
        known = self._known(_owner(principal), everyone=_is_operator(principal))
        found = next((one for one in known if one.id == passkey), None)
        if found is None:
            raise Malformed("passkey_unknown", f"you have no passkey {passkey[:64]!r}")
        with self._database.transaction() as change:
            change.execute("DELETE FROM tokens_passkeys WHERE id = ?", (found.id,))
            self._journal.record(change, "passkey_removed", _who(found, principal))
        await self._database.sync()
        return found.row()

    def _known(self, owner: str, *, everyone: bool = False) -> list[Passkey]:
        where = f"{_SELECT} WHERE owner = ?1 OR ?2 ORDER BY created, rowid"
        return [_passkey(row) for row in self._database.read(where, (owner, int(everyone)))]

    def _challenge(self, principal: Principal, purpose: bytes) -> bytes:
        nonce = self._to.entropy(CHALLENGE_BYTES)
        made = _Open(nonce, hashlib.sha256(nonce + purpose).digest(), self._clock.now())
        _keep(self._open, (principal.browser, hashlib.sha256(purpose).hexdigest()), made)
        return made.challenge

    def _taken(self, principal: Principal, purpose: bytes) -> _Open:
        """Take the open challenge for a purpose; whatever comes of it, it does not come back."""
        found = self._open.pop((principal.browser, hashlib.sha256(purpose).hexdigest()), None)
        if found is None or not self._in_time(found.since):
            raise refused()
        return found

    def _in_time(self, since: float) -> bool:
        return stands(self._clock.now(), since, since + CEREMONY_SECONDS)


def _keep(kept: dict[Purpose, T], purpose: Purpose, value: T) -> None:
    """Keep a value, the newest of its browser; one browser's oldest make room, so that none fills the memory."""
    kept.pop(purpose, None)
    own = [known for known in kept if known[0] == purpose[0]]
    for known in own[: max(0, len(own) + 1 - MOST_PASSKEYS)]:
        del kept[known]
    kept[purpose] = value


def _owner(principal: Principal) -> str:
    """Whose passkeys a principal has to do with.

    Raises:
        NotPermitted: ``passkey_browser``.
    """
    if not principal.browser or Scope.APPROVE not in principal.scopes:
        detail = "passkeys are for browsers that are signed in and may approve"
        raise NotPermitted("passkey_browser", detail, "sign in with a browser")
    return "" if principal.person is None else principal.person


def _is_operator(principal: Principal) -> bool:
    return principal.person is None and Scope.ADMIN in principal.scopes


def _stale() -> NotPermitted:
    detail = (
        "a passkey is registered within ten minutes of signing in, by a link or a person's first time by their token"
    )
    return NotPermitted("passkey_stale", detail, "on the machine: bascule dashboard")


def _bytes(yes: Yes) -> bytes:
    wider: Json = None if yes.wider is None else asdict(yes.wider)
    return canonical({"approval": yes.approval, "digest": yes.digest, "wider": wider})


def _purpose(yes: Yes) -> str:
    return hashlib.sha256(_bytes(yes)).hexdigest()


def _who(passkey: Passkey, principal: Principal) -> dict[str, Json]:
    by: dict[str, Json] = {"by": principal.name, "browser": principal.browser}
    return {"passkey": passkey.id, "name": passkey.name, "person": passkey.owner, "site": passkey.site, **by}


def _evidence(yes: Yes, waiting: _Open, signed: Signed) -> dict[str, Json]:
    """What shows an auditor who has the public key that it signed for this yes: SHA-256 of nonce and yes was asked."""
    return {
        "approval": yes.approval,
        "digest": yes.digest,
        "wider": None if yes.wider is None else asdict(yes.wider),
        "nonce": text_of(waiting.nonce),
        "client_data": signed.client_data,
        "authenticator_data": signed.authenticator_data,
        "signature": signed.signature,
    }


def _passkey(row: Row) -> Passkey:
    (id_, owner, name, site, credential, public, count, created, last_used) = row
    return Passkey(id_, owner, name, site, Key(credential, public, count), created, last_used)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
