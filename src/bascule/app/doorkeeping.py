"""The part of the service that makes, lists and ends what opens a door: tokens, links, signed-in browsers.

Stops: a door being opened by anyone but the machine's own operator or an ``admin`` token, and a token making one that
has more than itself. Does not stop an operator from handing out a token that can do everything; it is listed and ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bascule.app.reports import instant
from bascule.core.errors import NotPermitted, Unavailable
from bascule.core.policy import Policy
from bascule.core.ports import Clock
from bascule.service.port import Caller, Minting, Principal
from bascule.service.shapes import LinkBody, TokenMade, TokenRow
from bascule.tokens.browsers import LONGEST_SECONDS, Browser, Browsers
from bascule.tokens.doors import MACHINE_OPERATOR
from bascule.tokens.passkeys import PasskeyRing
from bascule.tokens.store import Tokens
from bascule.tokens.token import (
    ALL_SCOPES,
    OPERATOR_NAME,
    Kind,
    Scope,
    Token,
    agent_names,
    beyond,
    parse_minting,
    principal_of,
    refusal,
)

LINK_PATH = "/sign-in"
"""Where a link leads, below the dashboard's address: the page there redeems ``link`` when its button is pressed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What doorkeeping works with.

    Attributes:
        tokens: the home's tokens.
        browsers: its signed-in browsers and links.
        policy: returns the policy in force.
        clock: the time of day.
        dashboard: returns the dashboard's address without a slash at its end, empty if this gateway serves none.
        passkeys: what stands behind a yes over HTTP, where policy wants one.
    """

    tokens: Tokens
    browsers: Browsers
    policy: Callable[[], Policy]
    clock: Clock
    dashboard: Callable[[], str]
    passkeys: PasskeyRing


class Doorkeeping:
    """Implements those methods of :class:`bascule.service.port.Service`; whoever inherits sets ``_keys``."""

    _keys: Keys

    async def tokens_create(self, caller: Caller, *, minting: Minting) -> TokenMade:
        """See the protocol. Also raises ``NotPermitted``: ``not_an_admin``, ``token_beyond``."""
        maker, left = self._maker(caller)
        mint = parse_minting(minting, self._keys.policy())
        if excess := beyond(mint, maker, left):
            detail = f"{caller.name} cannot make a token with more {excess} than it has itself"
            raise NotPermitted("token_beyond", detail, "ask for less, or use the machine's own shell")
        made, secret = await self._keys.tokens.create(mint, by=caller.name, rooted=_is_operator(caller))
        return TokenMade(**self._token(made), token=secret)

    async def tokens_list(self) -> list[TokenRow]:
        """See the protocol. Browsers that came by a link stand among them, for they can do as much."""
        rows = [self._token(found) for found in self._keys.tokens.every()]
        rows += [_browser(found, "active") for found in self._keys.browsers.by_link()]
        return sorted(rows, key=lambda row: row["created"])

    async def tokens_revoke(self, caller: Caller, *, token: str) -> TokenRow:
        """See the protocol. Also raises ``NotPermitted``: ``not_an_admin``."""
        self._maker(caller)
        if token.startswith("brw_"):
            return _browser(await self._keys.browsers.end(token, by=caller.name), "revoked")
        return self._token(await self._keys.tokens.revoke(token, by=caller.name))

    async def dashboard_link(self, caller: Caller) -> LinkBody:
        """See the protocol. Also raises ``NotPermitted``: ``not_the_operator``, for a link can do everything."""
        if not _is_operator(caller):
            detail = f"{caller.name} came over a channel; a link is for whoever holds the machine"
            raise NotPermitted("not_the_operator", detail, "on the machine: bascule dashboard")
        address = self._keys.dashboard()
        if not address:
            remedy = "bascule status says why, or `gateway` in the policy"
            raise Unavailable("dashboard_off", "this gateway serves no pages", remedy)
        secret, expires = await self._keys.browsers.make_link(by=caller.name)
        return LinkBody(url=f"{address}{LINK_PATH}?link={secret}", expires=instant(expires))

    def _maker(self, caller: Caller) -> tuple[Principal, float]:
        """Return whom the caller stands for, and for how many seconds more.

        A token counts as it stands in the table and in policy now, not as its surface remembers it.

        Raises:
            NotPermitted: ``not_an_admin``, or ``token_refused``: its token has ended.
        """
        if _is_operator(caller):
            return MACHINE_OPERATOR, math.inf
        maker, left = caller.principal, LONGEST_SECONDS
        if maker is not None and maker.token:
            found, now = self._keys.tokens.get(maker.token), self._keys.clock.now()
            if found is None:
                raise refusal(Kind.TOKEN)
            maker, left = principal_of(found, self._keys.policy(), now), found.expires - now
        if maker is None or Scope.ADMIN not in maker.scopes:
            detail = f"{caller.name} may not make or end tokens"
            raise NotPermitted("not_an_admin", detail, "use a token with the scope admin, or the machine's own shell")
        return maker, left

    def _token(self, token: Token) -> TokenRow:
        return TokenRow(
            id=token.id,
            name=token.name,
            state=token.state(self._keys.clock.now()),
            scopes=sorted(token.scopes),
            agents=agent_names(token.agents),
            session=token.session or "",
            trusted=token.trusted,
            person=token.person or "",
            created=instant(token.created),
            expires=instant(token.expires),
            last_used="" if token.last_used is None else instant(token.last_used),
        )


def _is_operator(caller: Caller) -> bool:
    """True for whoever came over the control socket: the kernel says who that is."""
    return caller.uid >= 0 and caller.person is None and caller.principal is None


def _browser(browser: Browser, state: str) -> TokenRow:
    return TokenRow(
        id=browser.id,
        name=OPERATOR_NAME,
        state=state,
        scopes=sorted(ALL_SCOPES),
        agents=["*"],
        session="",
        trusted=True,
        person="",
        created=instant(browser.created),
        expires=instant(browser.expires),
        last_used=instant(browser.seen),
    )
