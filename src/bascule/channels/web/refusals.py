"""From one of the four exceptions to an HTTP status and a body, for every surface alike.

Stops: a refusal whose status lets a client believe that something happened, and an error that tells a stranger more
than its code. Does not decide anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.responses import Response

from bascule.channels.web.answers import AsciiResponse
from bascule.core.errors import BasculeError, Malformed, NotPermitted, Unavailable
from bascule.service.shapes import ErrorBody

STATUSES: Final[Mapping[str, int]] = {
    "token_missing": 401,
    "token_refused": 401,
    "link_refused": 401,
    "session_refused": 401,
    "host_unknown": 421,
    "approval_settled": 409,
    "digest_differs": 409,
    "grant_ended": 409,
    "internal_error": 500,
    "request_path": 404,
    "request_method": 405,
    "body_slow": 408,
    "session_busy": 409,
    "body_too_large": 413,
    "head_too_large": 431,
    "too_many_failures": 429,
    "too_many_requests": 429,
}
"""Statuses of codes whose exception alone does not say it."""


def status_of(error: BasculeError) -> int:
    """Return the HTTP status of a refusal."""
    if error.code in STATUSES:
        return STATUSES[error.code]
    if isinstance(error, Malformed):
        return 404 if error.code.endswith("_unknown") else 400
    return 403 if isinstance(error, NotPermitted) else 503


def body_of(error: BasculeError) -> dict[str, ErrorBody]:
    """Return the body of a refusal."""
    return {"error": ErrorBody(code=error.code, message=error.message, remedy=error.remedy)}


Face: TypeAlias = Callable[[Request, BasculeError], Response]
"""How a surface shows a refusal."""


class Faces:
    """How refusals look, by the beginning of the path; JSON where nobody says otherwise."""

    def __init__(self) -> None:
        self._faces: dict[str, Face] = {}

    def put(self, prefix: str, face: Face) -> None:
        """Let refusals at paths that begin so look so; the longest beginning counts."""
        self._faces[prefix] = face

    def answer(self, request: Request, error: BasculeError) -> Response:
        """Return a refusal as an answer."""
        path = get_route_path(request.scope)
        prefix = max((each for each in self._faces if path.startswith(each)), key=len, default=None)
        return as_json(request, error) if prefix is None else self._faces[prefix](request, error)

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Answer for whatever a handler raised."""
        return self.answer(request, error if isinstance(error, BasculeError) else internal())


def as_json(request: Request, error: BasculeError) -> Response:
    """Return a refusal as JSON."""
    status = status_of(error)
    return AsciiResponse(body_of(error), status, headers_of(request, status))


def headers_of(request: Request, status: int) -> dict[str, str]:
    """Return what must stand beside a refusal: how to sign in, when to come back (``request.state.retry_after``)."""
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="bascule"'}
    return {"Retry-After": str(getattr(request.state, "retry_after", 1))} if status == 429 else {}


def internal() -> BasculeError:
    """Return what stands for an error of our own, whose text is for the log only."""
    return Unavailable("internal_error", "the gateway failed while answering", "see logs/gateway.log")
