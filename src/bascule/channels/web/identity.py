"""Who asks: from a bearer token or a signed-in browser's cookie to a principal, and what its scopes let it ask.

Stops: a request without a right, a token tried over and over, and a cookie that a page other than ours makes a browser
send. A request that carries both is judged by its token alone. Does not stop: one who holds a token; scopes, agents and
expiry bound what that gives.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, cast

from starlette.requests import Request
from starlette.responses import Response

from bascule.channels.web.guard import Arrival, Guard, grouped
from bascule.channels.web.limits import FAILURES, REQUESTS, Limiter, neighbourhood
from bascule.core.errors import NotPermitted, Unavailable
from bascule.service.port import Doors, Principal

T = TypeVar("T")

COOKIE: Final = "bascule_session"
SECURE_COOKIE: Final = "__Host-bascule_session"
"""Over HTTPS browsers accept this name only with Secure, Path=/ and no Domain, so no other host can plant it."""

MAX_SECRET: Final = 512
"""Characters of a token, link or session secret; ours are far shorter."""

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]{1,512})", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}", re.ASCII)


class Entrance:
    """Turns credentials into principals, at a bounded pace."""

    def __init__(self, doors: Doors, guard: Guard, clock: Callable[[], float]) -> None:
        self._doors = doors
        self._guard = guard
        self._tokens = Limiter(FAILURES, clock)
        self._sessions = Limiter(FAILURES, clock)
        self._pace = Limiter(REQUESTS, clock)

    async def identify(self, request: Request) -> Principal:
        """Return whom a request speaks for.

        Raises:
            NotPermitted: ``token_missing``, ``token_refused``, ``session_refused``, ``origin_foreign``,
                ``origin_missing``.
            Unavailable: ``too_many_failures`` or ``too_many_requests``.
        """
        given = request.headers.getlist("authorization")
        if given:
            found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
            principal = await self._by_token(request, found[1] if found else "")
        else:
            principal = await self._by_cookie(request)
        if not self._pace.take(principal.token if principal.token else f"browser of {principal.name}"):
            request.state.retry_after = 1
            raise Unavailable("too_many_requests", "too many requests with this token", "ask less often")
        return principal

    async def _by_token(self, request: Request, untrusted_token: str) -> Principal:
        return await self.guess(request, lambda: self._doors.enter(untrusted_token))

    async def _by_cookie(self, request: Request) -> Principal:
        arrival, secret = arrival_of(request), session_secret(request)
        if not secret:
            raise NotPermitted("token_missing", "this needs a token", "make one with: bascule tokens create")
        self._guard.check_page(request.method, arrival, grouped(request.scope["headers"]), cookie=True)
        try:
            return await self._doors.recognise(secret)
        except NotPermitted:
            # A signed-in browser is looked up however often others guess: its secret is far beyond guessing, and
            # nobody on this machine shall be able to shut the operator's own page out.
            if not self._sessions.take(neighbourhood(arrival.address)):
                raise self._too_many(request, self._sessions) from None
            raise

    async def guess(self, request: Request, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what an attempt to get in gives; a failed one counts against the address it came from.

        Raises:
            NotPermitted: as the attempt.
            Unavailable: ``too_many_failures``: the attempt was not made.
        """
        address = neighbourhood(arrival_of(request).address)
        if self._tokens.wait(address):
            raise self._too_many(request, self._tokens)
        try:
            return await attempt()
        except NotPermitted:
            self._tokens.take(address)
            raise

    async def sign_in(self, request: Request, untrusted_token: str) -> str:
        """Return a new browser session's secret for a token; raises as :meth:`guess`."""
        return await self.guess(request, lambda: self._doors.sign_in(untrusted_token[:MAX_SECRET]))

    async def redeem(self, request: Request, untrusted_link: str) -> str:
        """Return a new browser session's secret for a one-time link; raises as :meth:`guess`."""
        return await self.guess(request, lambda: self._doors.redeem(untrusted_link[:MAX_SECRET]))

    async def leave(self, request: Request) -> None:
        """Sign the browser out; nothing if it was not in."""
        if secret := session_secret(request):
            await self._doors.leave(secret)

    def _too_many(self, request: Request, limiter: Limiter) -> Unavailable:
        seconds = max(1, limiter.wait(neighbourhood(arrival_of(request).address)))
        request.state.retry_after = seconds
        return Unavailable("too_many_failures", "too many failed attempts from here", f"try again in {seconds} s")


def arrival_of(request: Request) -> Arrival:
    """Return what the guard believes about a request; the middleware has put it there."""
    return cast("Arrival", request.state.arrival)


def session_secret(request: Request) -> str:
    """Return the browser session's secret, empty if there is none or two claim to be it."""
    name = cookie_name(arrival_of(request))
    pairs = (pair.partition("=") for header in request.headers.getlist("cookie") for pair in header.split(";"))
    found = [value.strip() for key, _, value in pairs if key.strip() == name]
    return found[0] if len(found) == 1 and _SECRET.fullmatch(found[0]) else ""


def cookie_name(arrival: Arrival) -> str:
    """Return what the cookie is called where the browser is."""
    return SECURE_COOKIE if arrival.secure else COOKIE


def keep_session(request: Request, response: Response, secret: str) -> None:
    """Let the browser keep the secret until it is closed: unseen by scripts, never sent for another site."""
    arrival = arrival_of(request)
    name = cookie_name(arrival)
    response.set_cookie(name, secret, path="/", secure=arrival.secure, httponly=True, samesite="strict")


def forget_session(request: Request, response: Response) -> None:
    """Let the browser forget the secret."""
    arrival = arrival_of(request)
    name = cookie_name(arrival)
    response.delete_cookie(name, path="/", secure=arrival.secure, httponly=True, samesite="strict")


def requires(entrance: Entrance, *scopes: str) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that gives the principal of a request, if it holds one of the scopes; no scope: anyone known.

    The dependency raises as :meth:`Entrance.identify`, and ``scope_missing``.
    """

    async def find(request: Request) -> Principal:
        principal = await entrance.identify(request)
        check_scope(principal, *scopes)
        return principal

    return find


def check_scope(principal: Principal, *scopes: str) -> None:
    """Return if the principal holds one of the scopes, or none is asked for.

    Raises:
        NotPermitted: ``scope_missing``.
    """
    if scopes and principal.scopes.isdisjoint(scopes):
        raise NotPermitted("scope_missing", f"this needs a token with the scope {' or '.join(scopes)}")
