"""The doors of the HTTP surfaces: who may come in, asked anew at every request.

Stops: a right that outlives what it rests on. A token's end, its person's place in policy and a browser's limits are
looked at each time, so a revocation holds from the next request on. Does not stop a request that is already under way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bascule.core.errors import NotPermitted
from bascule.core.policy import Policy
from bascule.core.ports import Clock
from bascule.service.port import Principal
from bascule.tokens.browsers import Browsers
from bascule.tokens.store import Tokens
from bascule.tokens.token import ALL_SCOPES, OPERATOR_NAME, Kind, Token, principal_of, refusal

MACHINE_OPERATOR = Principal(
    OPERATOR_NAME, "", None, frozenset(str(scope) for scope in ALL_SCOPES), None, None, trusted=True
)
"""Whom a browser that came by a link stands for: links are handed out by the control socket alone."""


class TokenDoors:
    """Implements :class:`bascule.service.port.Doors` over tokens and browsers."""

    def __init__(self, tokens: Tokens, browsers: Browsers, policy: Callable[[], Policy], clock: Clock) -> None:
        """Stand between the surfaces and what is stored.

        Args:
            tokens: the home's.
            browsers: likewise.
            policy: returns the policy in force, for whether a token's person still is in it.
            clock: the time of day.
        """
        self._tokens = tokens
        self._browsers = browsers
        self._policy = policy
        self._clock = clock

    async def enter(self, untrusted_token: str) -> Principal:
        """See the protocol."""
        return self._admit(untrusted_token)[1]

    def _admit(self, untrusted_token: str) -> tuple[Token, Principal]:
        token = self._tokens.find(untrusted_token)
        del untrusted_token
        if token is None:
            raise refusal(Kind.TOKEN)
        principal = principal_of(token, self._policy(), self._clock.now())
        self._tokens.note_use(token)
        return token, principal

    async def redeem(self, untrusted_link: str) -> str:
        """See the protocol."""
        return await self._browsers.redeem(untrusted_link)

    async def sign_in(self, untrusted_token: str) -> str:
        """See the protocol."""
        return await self._browsers.sign_in(self._admit(untrusted_token)[0])

    async def recognise(self, untrusted_session: str) -> Principal:
        """See the protocol."""
        browser = self._browsers.find(untrusted_session)
        del untrusted_session
        if browser is None:
            raise refusal(Kind.BROWSER)
        principal = MACHINE_OPERATOR if browser.token is None else self._behind(browser.token)
        self._browsers.note_seen(browser)
        return replace(principal, browser=browser.id)

    def _behind(self, token_id: str) -> Principal:
        """Whom the token stands for that signed a browser in."""
        token = self._tokens.get(token_id)
        if token is None:
            raise refusal(Kind.BROWSER)
        try:
            principal = principal_of(token, self._policy(), self._clock.now())
        except NotPermitted:
            raise refusal(Kind.BROWSER) from None
        self._tokens.note_use(token)
        return principal

    async def leave(self, untrusted_session: str) -> None:
        """See the protocol."""
        await self._browsers.leave(untrusted_session)
