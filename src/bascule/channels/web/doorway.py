"""What every request passes before a handler sees it, and every answer before it leaves.

Stops: what :mod:`bascule.channels.web.guard` refuses, a body larger or slower than it may be, and an answer without
the headers that keep a browser from running, framing, sniffing, storing or sharing it. Does not stop: one who is let
in; identity is looked at by the handlers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bascule.channels.web.guard import Guard, grouped
from bascule.channels.web.refusals import Faces
from bascule.core.errors import BasculeError, Malformed, Unavailable

LOG = logging.getLogger("bascule.web")

HEAD_LIMIT: Final = 16 << 10
"""Bytes of a request's target and headers together."""

BODY_LIMIT: Final = 64 << 10
"""Bytes of a request's body: forms and answers."""

CHAT_LIMIT: Final = (1 << 20) + (64 << 10)
"""Bytes of a chat request's body: a message of 1 MiB, and room for what else clients send and we ignore."""

BODY_SECONDS: Final = 20
"""Seconds in which a body must be here."""

BODIES_LIMIT: Final = 16 << 20
"""Bytes of unread bodies held for all requests together, so that senders cannot fill the memory between them."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

SECURITY: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""On every answer; one that sets a header of these names itself keeps its own."""

UNCACHED: Final = (b"cache-control", b"no-store")


@dataclass(slots=True)
class _Held:
    """Bytes of bodies held at this moment."""

    size: int = 0


class Doorway:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp, guard: Guard, base_path: str, faces: Faces) -> None:
        self._app = app
        self._guard = guard
        self._base = base_path
        self._faces = faces
        self._held = _Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request; anything but HTTP is closed at once."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        send = _dressed(send)
        request = Request(scope, receive)
        body: bytes | None = None
        try:
            self._check(scope, request)
            body = await self._body(scope, receive)
            if body is not None:
                await self._app(scope, _replaying(body, receive), send)
        except BasculeError as error:
            response = self._faces.answer(request, error)
            # What is left of the request is not read, so nothing more can follow on this connection.
            response.headers["connection"] = "close"
            await response(scope, receive, send)
        except Exception:
            # Whoever asked has been told that we failed; how stands in the log only.
            LOG.exception("%s %.200s failed", scope["method"], ascii(scope["path"]))
        finally:
            self._held.size -= len(body) if body is not None else 0

    def _check(self, scope: Scope, request: Request) -> None:
        headers = grouped(scope["headers"])
        # A target with a host in it ("GET http://…") would name two, and the star names none of our resources.
        raw = scope.get("raw_path") or scope["path"].encode()
        if not raw.startswith(b"/") or b"\0" in scope["path"].encode("utf-8", "replace"):
            raise Malformed("request_target", "the request's target must be a path")
        size = len(raw) + len(scope["query_string"]) + sum(len(name) + len(value) for name, value in scope["headers"])
        if size > HEAD_LIMIT:
            raise Malformed("head_too_large", f"the request's headers may have {HEAD_LIMIT} bytes")
        if b"transfer-encoding" in headers and b"content-length" in headers:
            # Two lengths are how one request is made to look like two to the next server (RFC 9112, section 6.1).
            raise Malformed("body_framing", "the request says twice how long its body is")
        peer = scope["client"][0] if scope.get("client") else ""
        request.state.arrival = arrival = self._guard.arrive(peer, headers)
        self._guard.check_page(scope["method"], arrival, headers, cookie=False)
        if self._base:
            _put_below(scope, self._base)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the whole body, None if the client has gone."""
        limit = CHAT_LIMIT if scope["path"].endswith("/v1/chat/completions") else BODY_LIMIT
        declared = grouped(scope["headers"]).get(b"content-length", (b"0",))
        if not declared[0].isdigit() or int(declared[0][:20]) > limit:
            raise _too_large(limit)
        body = bytearray()
        whole = False
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not whole:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    self._keep(body, message.get("body", b""), limit)
                    whole = not message.get("more_body", False)
        except TimeoutError:
            raise Unavailable("body_slow", f"the request's body did not come within {BODY_SECONDS} s") from None
        finally:
            if not whole:
                self._held.size -= len(body)
        return bytes(body)

    def _keep(self, body: bytearray, piece: bytes, limit: int) -> None:
        body += piece
        self._held.size += len(piece)
        if len(body) > limit:
            raise _too_large(limit)
        if self._held.size > BODIES_LIMIT:
            raise Unavailable("too_busy", "too many requests are being read", "try again")


def _too_large(limit: int) -> Malformed:
    return Malformed("body_too_large", f"the request's body may have {limit} bytes")


def _put_below(scope: MutableMapping[str, Any], base: str) -> None:
    """Let paths begin with the base whether or not the proxy took it away; routes see what follows it."""
    scope["root_path"] = base
    if scope["path"] != base and not scope["path"].startswith(base + "/"):
        scope["path"] = base + scope["path"]
        scope["raw_path"] = base.encode() + scope["raw_path"]


def _dressed(send: Send) -> Send:
    async def dress(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            names = {name.lower() for name, _ in headers}
            headers += [pair for pair in (*SECURITY, UNCACHED) if pair[0] not in names]
            message = {**message, "headers": headers}
        await send(message)

    return dress


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body that was read, then whatever comes: that the client has gone."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
