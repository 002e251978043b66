"""The interfaces, as routes on an application of :mod:`bascule.channels.web`.

Stops: a path that answers without saying who asks, but for ``health``, which tells nothing. Does not serve anything by
itself.
"""

from __future__ import annotations

from typing import Any, TypedDict

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.requests import Request

from bascule.channels.api import chat, events, metrics, verbs, wire
from bascule.channels.api.asking import Anyone
from bascule.channels.api.documented import REFUSALS, documented
from bascule.channels.web.site import Site

BASE = "/api/v1"
CHAT_BASE = "/v1"

_BEARER = HTTPBearer(auto_error=False, description="a token made with: bascule tokens create")


class Health(TypedDict):
    """The gateway answers."""

    ok: bool


def add(app: FastAPI, site: Site) -> None:
    """Add ``/api/v1`` to the application, and ``/v1`` if policy wants it."""
    signed = [Depends(_BEARER)]
    app.state.tally = metrics.Tally(site.channel, site.pace.clock())

    @app.get(f"{BASE}/health", tags=["status"], response_model=documented(Health), responses=REFUSALS)
    async def health() -> Health:
        """That the gateway answers; asks for no token and tells nothing else."""
        return Health(ok=True)

    @app.get(f"{BASE}/openapi.json", tags=["status"], dependencies=signed, responses=REFUSALS)
    async def openapi(request: Request, _reach: Anyone) -> dict[str, Any]:
        """This document."""
        described: dict[str, Any] = request.app.openapi()
        return described

    for router in (verbs.router, events.router, metrics.router):
        app.include_router(router, prefix=BASE, dependencies=signed, responses=REFUSALS)
    if site.policy.http.chat:
        refused = {status: {**answer, "model": documented(wire.Problem)} for status, answer in REFUSALS.items()}
        app.include_router(chat.router, prefix=CHAT_BASE, dependencies=signed, responses=refused)
        site.faces.put(f"{CHAT_BASE}/", wire.face)
