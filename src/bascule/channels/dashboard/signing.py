"""Signing in and out.

Stops: a link's secret staying in an address or being used up by whoever merely looks at it: a GET only shows a button,
the POST uses it, and the browser is then sent to an address without it. Stops a foreign page signing a browser in as
somebody else: the form must come from our own page. How often one may try is bounded by the entrance.
"""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from bascule.channels.dashboard.forms import parse_form
from bascule.channels.dashboard.paper import draw
from bascule.channels.dashboard.visit import HEADERS, Endpoint, base_of, fault, frame, go
from bascule.channels.web import refusals
from bascule.channels.web.identity import MAX_SECRET, forget_session, keep_session
from bascule.channels.web.site import Site
from bascule.core.errors import BasculeError


def _page(request: Request, status: int, *, link: str, refusal: str) -> Response:
    text = draw(
        "sign_in.html",
        base_of(request),
        **frame(None, time.time()),
        here="sign-in",
        title="Sign in",
        pending_count=0,
        link=link,
        refusal=refusal,
    )
    # The address may hold a secret, so nothing is told of it to any other page.
    return HTMLResponse(text, status, HEADERS)


async def show(request: Request) -> Response:
    """Show the form, or the button of a one-time link; nothing is used up by looking."""
    links = request.query_params.getlist("link")
    link = links[0] if len(links) == 1 and len(links[0]) <= MAX_SECRET else ""
    return _page(request, 200, link=link, refusal="")


def entering(site: Site) -> Endpoint:
    """Return the endpoint that takes a token or a link, and gives the browser its cookie."""

    async def enter(request: Request) -> Response:
        try:
            form = parse_form(request.headers.get("content-type", ""), await request.body())
            link = form.one("link", longest=MAX_SECRET)
            if link:
                secret = await site.entrance.redeem(request, link)
            else:
                secret = await site.entrance.sign_in(request, form.one("token", longest=MAX_SECRET).strip())
        except BasculeError as error:
            response = _page(request, refusals.status_of(error), link="", refusal=str(error))
            response.headers.update(refusals.headers_of(request, 429) if response.status_code == 429 else {})
            return response
        response = go(request, "/")
        keep_session(request, response, secret)
        return response

    return enter


def leaving(site: Site) -> Endpoint:
    """Return the endpoint that signs the browser out."""

    async def leave(request: Request) -> Response:
        try:
            await site.entrance.identify(request)
            await site.entrance.leave(request)
        except BasculeError as error:
            if error.code in {"origin_foreign", "origin_missing"}:
                return fault(request, None, time.time(), error)
        response = go(request, "/sign-in")
        forget_session(request, response)
        return response

    return leave
