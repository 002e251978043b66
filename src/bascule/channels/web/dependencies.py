"""What handlers are given: the site they belong to, and the reach of whoever asks.

Stops: a handler without a principal. Does not decide: see :mod:`bascule.channels.web.identity`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.requests import Request

from bascule.channels.web.identity import check_scope
from bascule.channels.web.reach import Reach
from bascule.channels.web.site import Site


def site_of(request: Request) -> Site:
    """Return the site a request came to."""
    return cast("Site", request.app.state.site)


def reaching(surface: str, *scopes: str) -> Callable[[Request], Awaitable[Reach]]:
    """Return a dependency that gives the reach of who asks, if they hold one of the scopes; no scope: anyone known.

    Args:
        surface: what the record calls the way they came.
        scopes: of ``read``, ``approve``, ``chat``, ``admin``.

    The dependency raises as :meth:`bascule.channels.web.identity.Entrance.identify`, and ``scope_missing``.
    """

    async def find(request: Request) -> Reach:
        site = site_of(request)
        principal = await site.entrance.identify(request)
        check_scope(principal, *scopes)
        return Reach(site.channel, principal, surface)

    return find
