"""What every request passes and every answer wears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from tests.channels.over_http import built, client
from tests.channels.simulated_channel import SimulatedChannel

from bascule.channels.web import doorway
from bascule.channels.web.doorway import BODY_LIMIT, CHAT_LIMIT, SECURITY
from bascule.channels.web.site import Site
from bascule.core.surfaces import HttpPolicy

SEEN: list[Any] = []


def part(app: FastAPI, site: Site) -> None:
    @app.api_route("/echo", methods=["GET", "POST"])
    async def echo(request: Request) -> dict[str, Any]:
        SEEN.append(request.url.path)
        return {"size": len(await request.body()), "root": request.scope["root_path"], "path": request.scope["path"]}

    @app.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError("secret detail")

    @app.get("/static")
    async def static() -> Any:
        return Response("x", headers={"cache-control": "max-age=60"})


def get(path: str, *, http: HttpPolicy | None = None, method: str = "GET", **more: Any) -> httpx2.Response:
    async def run() -> httpx2.Response:
        async with client(built(http=http, parts=[part])) as asked:
            return await asked.request(method, path, **more)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "method", "sent", "status"),
    [
        ("/echo", "GET", {}, 200),
        ("/none", "GET", {}, 404),
        ("/echo", "PUT", {}, 405),
        ("/boom", "GET", {}, 500),
        ("/echo", "GET", {"host": "evil.example"}, 421),
        ("/echo", "POST", {"origin": "https://evil.example"}, 403),
        ("/echo", "GET", {"host": "u@localhost"}, 400),
    ],
)
def test_every_answer_wears_the_headers_whatever_it_says(
    path: str, method: str, sent: dict[str, str], status: int
) -> None:
    answer = get(path, method=method, headers=sent)
    assert answer.status_code == status
    for name, value in SECURITY:
        assert answer.headers[name.decode()] == value.decode()
    assert answer.headers["cache-control"] == "no-store"
    assert "secret detail" not in answer.text
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "server"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    if status != 200:
        assert set(answer.json()["error"]) == {"code", "message", "remedy"}


def test_a_preflight_is_told_nothing() -> None:
    sent = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = get("/echo", method="OPTIONS", headers=sent)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_file_may_say_itself_how_long_it_is_kept() -> None:
    assert get("/static").headers["cache-control"] == "max-age=60"


@pytest.mark.parametrize(
    ("size", "path", "status"),
    [
        (BODY_LIMIT, "/echo", 200),
        (BODY_LIMIT + 1, "/echo", 413),
        (BODY_LIMIT + 1, "/v1/chat/completions", 404),
        (CHAT_LIMIT + 1, "/v1/chat/completions", 413),
    ],
)
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_has_its_size_whether_it_says_so_or_not(size: int, path: str, status: int, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 10_000):
            yield b"x" * min(10_000, size - start)

    answer = get(path, method="POST", content=pieces() if chunked else b"x" * size)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["size"] == size


@pytest.mark.parametrize("length", ["-1", "1e9", "0x10", "", "9" * 400, "1, 1"])
def test_a_length_that_is_none(length: str) -> None:
    async def run() -> list[Any]:
        return await call(built(parts=[part]).app, headers=[(b"content-length", length.encode())])

    assert asyncio.run(run())[0]["status"] in (400, 413)


async def call(app: Any, *, headers: list[tuple[bytes, bytes]] | None = None, **more: Any) -> list[Any]:
    """Ask below any client: with a scope of our own making."""
    sent: list[Any] = []
    messages = more.pop("messages", [{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/echo", "raw_path": b"/echo", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost:18789"), *(headers or [])], "client": ("127.0.0.1", 1), "scheme": "http",
        "http_version": "1.1", "server": ("127.0.0.1", 18789),
    } | more  # fmt: skip
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("http://evil.example/echo", b"http://evil.example/echo"),
        ("*", b"*"),
        ("echo", b"echo"),
        ("", b""),
        ("/a\0b", b"/a%00b"),
    ],
)
def test_a_target_is_a_path(path: str, raw: bytes) -> None:
    before = len(SEEN)
    sent = asyncio.run(call(built(parts=[part]).app, path=path, raw_path=raw))
    assert sent[0]["status"] == 400
    assert b"request_target" in sent[1]["body"]
    assert len(SEEN) == before


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "BODY_SECONDS", 0.02)
    start = [{"type": "http.request", "body": b"x", "more_body": True}]
    made = built(parts=[part])
    sent = asyncio.run(call(made.app, messages=start))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert made.app._held.size == 0  # type: ignore[attr-defined] # what is held while a body is read


def test_a_client_that_leaves_is_not_answered_and_holds_nothing() -> None:
    made = built(parts=[part])
    gone = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    assert asyncio.run(call(made.app, messages=gone)) == []
    assert made.app._held.size == 0  # type: ignore[attr-defined] # as above


def test_bodies_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "BODIES_LIMIT", 100)
    made = built(parts=[part])

    async def run() -> list[int]:
        waiting = [{"type": "http.request", "body": b"x" * 90, "more_body": True}]
        first = asyncio.ensure_future(call(made.app, messages=waiting))
        await asyncio.sleep(0.01)
        full = await call(made.app, messages=[{"type": "http.request", "body": b"x" * 20, "more_body": False}])
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        free = await call(made.app, messages=[{"type": "http.request", "body": b"x" * 20, "more_body": False}])
        return [full[0]["status"], free[0]["status"]]

    assert asyncio.run(run()) == [503, 200]
    assert made.app._held.size == 0  # type: ignore[attr-defined] # as above


@pytest.mark.parametrize("path", ["/echo", "/bascule/echo"])
def test_a_base_path_stands_before_every_path_whether_the_proxy_leaves_it_or_not(path: str) -> None:
    answer = get(path, http=HttpPolicy(base_path="/bascule"))
    assert answer.json() == {"size": 0, "root": "/bascule", "path": "/bascule/echo"}


def test_a_path_that_only_looks_like_the_base_is_not_below_it() -> None:
    assert get("/basculeecho", http=HttpPolicy(base_path="/bascule")).status_code == 404


def test_a_websocket_is_closed_and_a_lifespan_left_alone() -> None:
    assert asyncio.run(call(built(parts=[part]).app, type="websocket")) == [{"type": "websocket.close", "code": 1008}]
    assert asyncio.run(call(built(parts=[part]).app, type="lifespan")) == []


def test_an_error_of_ours_says_nothing_to_the_client_and_all_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    channel = SimulatedChannel()
    channel.fail = ZeroDivisionError("secret detail")

    async def run() -> httpx2.Response:
        async with client(built(channel)) as asked:
            return await asked.get("/api/v1/status")

    answer = asyncio.run(run())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text
