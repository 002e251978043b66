"""One application for all that is reached over HTTP; pages and interfaces add their routes to it.

Stops: a route that is not behind the doorway, and an error of ours that reaches a stranger as a trace. Does not decide
who may do what: see :mod:`bascule.channels.web.identity` and :mod:`bascule.channels.web.reach`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from bascule.channels.web.answers import AsciiResponse
from bascule.channels.web.doorway import Doorway
from bascule.channels.web.guard import guard_for
from bascule.channels.web.identity import Entrance
from bascule.channels.web.refusals import Faces
from bascule.channels.web.streams import Seats
from bascule.core.errors import BasculeError, Malformed, NotPermitted
from bascule.core.policy import Policy
from bascule.service.port import Channel, Doors

HEARTBEAT_SECONDS: Final = 15.0
"""Between signs of life on a stream, and between looks at whether its reader may still read."""


UNTOLD: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI can send what it is asked to a collector that an environment variable names; ours tells nobody."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How time goes by: seconds that only go forward, and how many lie between signs of life on a stream."""

    clock: Callable[[], float] = time.monotonic
    heartbeat: float = HEARTBEAT_SECONDS


_PACE: Final = Pace()


@dataclass(frozen=True, slots=True)
class Site:
    """What everything that adds routes is given.

    Attributes:
        channel: the gateway.
        entrance: who asks.
        policy: what is wanted.
        pace: how time goes by.
        ending: set when the server ends; streams end then.
        faces: how refusals look.
        streams: event streams at once, of one token and of all.
        turns: chat requests at once, of one token and of all.
        talking: conversations that a chat request is under way in.
    """

    channel: Channel
    entrance: Entrance
    policy: Policy
    pace: Pace
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    faces: Faces = field(default_factory=Faces)
    streams: Seats = field(default_factory=lambda: Seats(each=8, together=64))
    turns: Seats = field(default_factory=lambda: Seats(each=4, together=32))
    talking: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Built:
    """An application, and what it shares with the server that serves it."""

    app: ASGIApp
    site: Site


Part = Callable[[FastAPI, Site], None]
"""Adds routes: ``channels.api.add`` and ``channels.dashboard.add`` are such."""


def build(
    channel: Channel,
    doors: Doors,
    policy: Policy,
    parts: Iterable[Part],
    pace: Pace = _PACE,
) -> Built:
    """Return the application of one gateway; :func:`bascule.channels.web.serving.serve` serves it.

    Args:
        channel: the gateway.
        doors: tokens and signed-in browsers.
        policy: ``policy.http`` says what is served and from where it may be asked.
        parts: what adds routes.
        pace: how time goes by.
    """
    guard = guard_for(policy.http)
    site = Site(channel, Entrance(doors, guard, pace.clock), policy, pace)
    return Built(Doorway(routes(site, parts), guard, policy.http.base_path, site.faces), site)


def routes(site: Site, parts: Iterable[Part]) -> FastAPI:
    """Return the application without its doorway: all routes, and the OpenAPI document that describes them."""
    app = FastAPI(
        title="Bascule",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=AsciiResponse,
        telemetry=UNTOLD,
    )
    app.state.site = site

    async def seen(request: Request, error: Exception) -> Response:
        return _seen(site.faces, request, error)

    app.add_exception_handler(BasculeError, site.faces.refuse)
    app.add_exception_handler(Exception, site.faces.refuse)
    app.add_exception_handler(RequestValidationError, seen)
    app.add_exception_handler(HTTPException, seen)
    for part in parts:
        part(app, site)
    return app


def _seen(faces: Faces, request: Request, error: Exception) -> Response:
    """Answer for input of a wrong shape, and for a path or method that is none of ours."""
    if isinstance(error, RequestValidationError):
        return faces.answer(request, _invalid(error))
    if isinstance(error, HTTPException) and error.status_code == 405:
        response = faces.answer(request, NotPermitted("request_method", "this path is asked with another method"))
        response.headers["allow"] = ", ".join(_methods(request))
        return response
    if isinstance(error, HTTPException) and error.status_code == 400:
        return faces.answer(request, Malformed("request_invalid", "the request's body cannot be read"))
    return faces.answer(request, Malformed("request_path", "there is nothing at this path"))


def _methods(request: Request) -> list[str]:
    """Return what the path can be asked with; one path may be several routes."""
    tried = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
    routes = request.app.routes
    scopes = {method: {**request.scope, "method": method} for method in tried}
    return [method for method in tried if any(route.matches(scopes[method])[0] is Match.FULL for route in routes)]


def _invalid(error: RequestValidationError) -> Malformed:
    """Return where input is wrong and how, never what stood there."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    said = f"{where}: {str(first['msg'])[:100]}"
    return Malformed("request_invalid", "".join(each if each.isprintable() else "?" for each in said))
