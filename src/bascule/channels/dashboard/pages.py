"""Every page and every button: its path, who may, and who draws it.

Stops: a page without a scope: each stands in one of the tables below, and a GET changes nothing. Does not stop what the
doorway stops before a page is asked.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from bascule.channels.dashboard import books, live, overview, proving, questions, rooms, signing
from bascule.channels.dashboard.visit import Handler, asset, faced, opened
from bascule.channels.web.refusals import as_json
from bascule.channels.web.site import Site
from bascule.core.errors import BasculeError
from bascule.service.passkeys import Passkeys

PAGES: Final[tuple[tuple[str, Handler], ...]] = (
    ("/", overview.home),
    ("/part/home", overview.home_part),
    ("/part/badge", overview.badge),
    ("/pending", questions.pending),
    ("/part/pending", questions.pending_state),
    ("/part/cards", questions.cards),
    ("/approvals", questions.history),
    ("/approvals/{ref}", questions.one),
    ("/agents", overview.agents),
    ("/agents/{agent}", overview.agent),
    ("/stop", overview.stop),
    ("/sessions", rooms.sessions),
    ("/session", rooms.session),
    ("/sandboxes", rooms.sandboxes),
    ("/ledger", books.ledger),
    ("/ledger/{seq}", books.record),
    ("/grants", books.grants),
    ("/tokens", books.tokens),
    ("/live", live.stream),
)
"""What can be looked at, by who may read."""

BUTTONS: Final[tuple[tuple[str, Handler, tuple[str, ...]], ...]] = (
    ("/approvals/{ref}/answer", questions.answer, ("approve",)),
    ("/approvals/{ref}/grant", questions.grant, ("approve",)),
    ("/pending/ticked", questions.ticked, ("approve",)),
    ("/pending/decide", questions.decide, ("approve",)),
    ("/grants/{grant}/revoke", books.revoke_grant, ("approve",)),
    ("/stop", overview.stop_now, ("approve", "admin")),
    ("/agents/{agent}/contain", overview.contain, ("approve", "admin")),
    ("/agents/{agent}/release", overview.release, ("admin",)),
    ("/sandboxes/{agent}/probe", rooms.probe, ("admin",)),
    ("/tokens/{token}/revoke", books.revoke_token, ("admin",)),
)
"""What can be done, and the scopes of which one is needed."""

ELSEWHERE: Final = ("/api/", "/v1/", "/metrics", "/health")
"""Beginnings of paths that are not pages'; refusals there are JSON."""


def add(app: FastAPI, site: Site, passkeys: Passkeys | None = None) -> None:
    """Add the pages to an application; nothing where policy serves no dashboard.

    Args:
        app: what they are added to.
        site: what every surface is given.
        passkeys: those of browsers that sign in; None where this gateway keeps none.
    """
    if not site.policy.http.dashboard:
        return
    for path, handler in PAGES:
        app.add_route(path, opened(site, passkeys, handler, "read"), methods=["GET"], include_in_schema=False)
    for path, handler, scopes in (*BUTTONS, *(proving.BUTTONS if passkeys is not None else ())):
        app.add_route(path, opened(site, passkeys, handler, *scopes), methods=["POST"], include_in_schema=False)
    if passkeys is not None:
        page = opened(site, passkeys, proving.page, "approve")
        app.add_route("/passkeys", page, methods=["GET"], include_in_schema=False)
    app.add_route("/sign-in", signing.show, methods=["GET"], include_in_schema=False)
    app.add_route("/sign-in", signing.entering(site), methods=["POST"], include_in_schema=False)
    app.add_route("/sign-out", signing.leaving(site), methods=["POST"], include_in_schema=False)
    app.add_route("/static/{name}", asset, methods=["GET"], include_in_schema=False)
    site.faces.put("/", _face)


def _face(request: Request, error: BasculeError) -> Response:
    """Show what the doorway or the router refuses as a page, where pages are."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return as_json(request, error) if path.startswith(ELSEWHERE) else faced(request, error)
