"""One request for a page: who asks, what they see, and what is drawn for them.

Stops: a page without a look at who asks, an answer whose headers let another site learn where it came from, and an
error of ours that reaches a browser as anything but a page. Identity, Host, Origin and pace are the doorway's and the
entrance's; nothing of that is done twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bascule.channels.dashboard.assets import assets
from bascule.channels.dashboard.forms import Form, parse_form
from bascule.channels.dashboard.paper import address, draw
from bascule.channels.dashboard.sight import Sight
from bascule.channels.dashboard.views import Question, question
from bascule.channels.web import refusals
from bascule.channels.web.identity import check_scope
from bascule.channels.web.site import Site
from bascule.core.errors import BasculeError, Malformed
from bascule.service.passkeys import Passkeys
from bascule.service.port import Principal
from bascule.service.shapes import ApprovalDetail

LOG = logging.getLogger("bascule.dashboard")

MENU: Final = (
    ("home", "/", "Home"),
    ("pending", "/pending", "Pending"),
    ("history", "/approvals", "History"),
    ("grants", "/grants", "Grants"),
    ("agents", "/agents", "Agents"),
    ("sessions", "/sessions", "Sessions"),
    ("sandboxes", "/sandboxes", "Sandboxes"),
    ("ledger", "/ledger", "Ledger"),
    ("tokens", "/tokens", "Tokens"),
)
"""Every page in the menu: its name for templates, its path, its name for people."""

PASSKEYS: Final = ("passkeys", "/passkeys", "Passkeys")
"""The same for the page that is there only where passkeys are."""

HEADERS: Final = {"Referrer-Policy": "same-origin"}
"""Under the doorway's ``no-referrer`` a browser says ``Origin: null`` of its own forms, which are then refused."""

JSON: Final = "application/json"
"""What a script of ours says it accepts where it cannot show a page."""

SIGNED_OUT: Final = frozenset({"token_missing", "token_refused", "session_refused"})
"""Refusals that mean: sign in."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by somebody who is signed in.

    Attributes:
        request: as it came.
        site: what every surface is given.
        principal: who asks.
        sight: what they see.
        passkeys: theirs; None where this gateway keeps none.
        now: seconds since the epoch.
    """

    request: Request
    site: Site
    principal: Principal
    sight: Sight
    passkeys: Passkeys | None
    now: float

    @property
    def fragment(self) -> bool:
        """True if a script asked for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    def asked(self, name: str, *, longest: int = 300) -> str:
        """Return a value of the query, empty if it is not there.

        Raises:
            Malformed: ``query_invalid``: it stands twice or is too long.
        """
        found = self.request.query_params.getlist(name)
        if len(found) > 1 or any(len(value) > longest for value in found):
            raise Malformed("query_invalid", f"the address says {name} twice, or too long")
        return found[0] if found else ""

    def number(self, name: str, otherwise: int) -> int:
        """Return a whole number of the query from 1 up; ``otherwise`` if it is not there.

        Raises:
            Malformed: ``query_invalid``.
        """
        text = self.asked(name)
        if not text:
            return otherwise
        return whole_number(text, name)

    def named(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    async def form(self) -> Form:
        """Return the form that was sent; raises as :func:`parse_form`."""
        return parse_form(self.request.headers.get("content-type", ""), await self.request.body())

    async def page(self, template: str, here: str, title: str, http: int = 200, **values: object) -> Response:
        """Return a whole page."""
        # A page that tells of a failure must not need what failed.
        count = values.pop("pending_count", None)
        if count is None:
            count = (await self.sight.status())["pending_approvals"]
        text = draw(
            template,
            base_of(self.request),
            **frame(self.principal, self.now, passkeys=self.passkeys is not None),
            here=here,
            title=title,
            pending_count=count,
            **values,
        )
        return HTMLResponse(text, http, HEADERS)

    def part(self, template: str, http: int = 200, **values: object) -> Response:
        """Return a part of a page."""
        text = draw(
            template,
            base_of(self.request),
            **frame(self.principal, self.now, passkeys=self.passkeys is not None),
            **values,
        )
        return HTMLResponse(text, http, HEADERS)

    def question(self, row: ApprovalDetail) -> Question:
        """Return a question as a page shows it, and whether a yes to it takes a passkey."""
        found = question(row, self.now)
        if self.passkeys is None or not found.open:
            return found
        wanted = [self.passkeys.needed(self.principal, action=row["action"], wider=wider) for wider in (False, True)]
        return replace(found, passkey=wanted[0], passkey_wider=wanted[1])

    def go(self, path: str, **query: str | int) -> Response:
        """Return the answer that sends the browser on to another page of ours."""
        return go(self.request, path, **query)


Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def whole_number(text: str, name: str) -> int:
    """Return a whole number from 1 up, of at most 15 digits.

    Raises:
        Malformed: ``query_invalid``.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) >= 1):
        raise Malformed("query_invalid", f"{name} must be a whole number from 1 up")
    return int(text)


def frame(principal: Principal | None, now: float, *, passkeys: bool = False) -> dict[str, object]:
    """Return what every template may name."""
    known = "all agents" if principal is None or principal.agents is None else ", ".join(sorted(principal.agents))
    scopes = frozenset() if principal is None else principal.scopes
    return {
        "who": principal.name if principal else "",
        "may": f"{', '.join(sorted(scopes))} · {known}",
        "scopes": scopes,
        "menu": (*MENU, PASSKEYS) if passkeys and "approve" in scopes else MENU,
        "passkeys": passkeys,
        "now_ms": int(now * 1000),
    }


def base_of(request: Request) -> str:
    """Return what a reverse proxy puts before every path."""
    return str(request.scope.get("root_path", ""))


def go(request: Request, path: str, **query: str | int) -> Response:
    """Return a redirect to a page of ours; a form that was sent is not sent again by it."""
    target = address(base_of(request), path, query)
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"HX-Redirect": target, **HEADERS})
    return RedirectResponse(target, 303, HEADERS)


def opened(site: Site, passkeys: Passkeys | None, handle: Handler, *scopes: str) -> Endpoint:
    """Return an endpoint that lets in who holds one of ``scopes``, and answers every refusal with a page.

    A script that asks for JSON is told of a refusal in JSON.
    """

    async def endpoint(request: Request) -> Response:
        now = time.time()
        try:
            principal = await site.entrance.identify(request)
        except BasculeError as error:
            if error.code in SIGNED_OUT:
                return go(request, "/sign-in")
            return fault(request, None, now, error)
        try:
            check_scope(principal, *scopes)
            return await handle(Visit(request, site, principal, Sight(site.channel, principal), passkeys, now))
        except BasculeError as error:
            return fault(request, principal, now, error)
        except Exception:
            LOG.exception("a page failed: %s", request.url.path)
            return fault(request, principal, now, refusals.internal())

    return endpoint


def fault(request: Request, principal: Principal | None, now: float, error: BasculeError) -> Response:
    """Return a page that tells of a refusal."""
    if request.headers.get("accept") == JSON:
        return refusals.as_json(request, error)
    status = refusals.status_of(error)
    text = draw(
        "fault.html",
        base_of(request),
        **frame(principal, now),
        here="",
        title="That did not work",
        pending_count=0,
        error=error,
        it=None,
    )
    extra = refusals.headers_of(request, status) if status == 429 else {}
    return HTMLResponse(text, status, {**HEADERS, **extra})


def faced(request: Request, error: BasculeError) -> Response:
    """Return a page that tells of a refusal to somebody of whom nothing is known."""
    return fault(request, None, time.time(), error)


async def asset(request: Request) -> Response:
    """Return a file of ours; its address changes with its content, so a browser may keep it."""
    found = assets().get(str(request.path_params["name"]))
    if found is None:
        return Response("there is nothing at this path\n", 404, media_type="text/plain")
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    if request.query_params.get("v") != found.version:
        kept = {"Cache-Control": "no-cache"}
    return Response(found.content, 200, kept, found.media_type)
