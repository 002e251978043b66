"""The server on real sockets: slow clients, odd clients, many clients, and the end."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.responses import Response
from tests.channels.over_http import ALL, ask, built, raw, served
from tests.channels.simulated_channel import SimulatedChannel

from bascule.channels.web import doorway, serving
from bascule.channels.web.doorway import SECURITY
from bascule.channels.web.serving import listen, serve
from bascule.channels.web.site import Site
from bascule.core.errors import Unavailable
from bascule.core.surfaces import HttpPolicy

HEALTH = "/api/v1/health"


def request(port: int, line: str = f"GET {HEALTH} HTTP/1.1", *headers: str, body: str = "") -> bytes:
    host = () if any(each.lower().startswith("host:") for each in headers) else (f"Host: 127.0.0.1:{port}",)
    return ("\r\n".join((line, *host, *headers)) + f"\r\n\r\n{body}").encode("latin-1")


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def answer_to(sent: Any, *, until_closed: bool = True) -> bytes:
    async def run() -> bytes:
        async with served() as (port, _):
            return await raw(port, sent(port), until_closed=until_closed)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "want"),
    [
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", "Connection: close"), 200),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.0"), 200),
        (lambda port: f"GET {HEALTH} HTTP/1.0\r\n\r\n".encode(), 400),  # no host
        (lambda port: f"GET {HEALTH} HTTP/1.1\r\n\r\n".encode(), 400),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Host: 127.0.0.1:{port}"), 400),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Host: evil.example"), 400),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", "Host: evil.example"), 421),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", f"Host: 127.0.0.1:{port + 1}"), 421),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", f"Host: localhost.evil:{port}"), 421),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", f"Host: u@127.0.0.1:{port}"), 400),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", "Host:"), 400),
        (lambda port: request(port, f"GET http://evil.example{HEALTH} HTTP/1.1", "Connection: close"), 400),
        (lambda port: request(port, f"GET http://127.0.0.1:{port}{HEALTH} HTTP/1.1", "Connection: close"), 400),
        (lambda port: request(port, f"GET //evil.example{HEALTH} HTTP/1.1", "Connection: close"), 404),
        (lambda port: request(port, "OPTIONS * HTTP/1.1", "Connection: close"), 400),
        (lambda port: request(port, "CONNECT evil.example:443 HTTP/1.1", "Connection: close"), 400),
        (lambda port: request(port, "TRACE / HTTP/1.1", "Connection: close"), 404),
        (lambda port: request(port, f"GET {HEALTH}%00 HTTP/1.1", "Connection: close"), 400),
        (lambda port: request(port, "GET /api/v1/../v1/health HTTP/1.1", "Connection: close"), 404),
        (lambda port: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50 + b"\r\n\r\n", 400),  # TLS
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", "A: " + "x" * 20_000, "Connection: close"), 431),
        (lambda port: request(port, "GET /" + "x" * 20_000 + " HTTP/1.1", "Connection: close"), 431),
        (lambda port: request(port, f"POST {HEALTH} HTTP/1.1", "Content-Length: 99999999"), 413),
        (lambda port: request(port, f"POST {HEALTH} HTTP/1.1", "Content-Length: 3", "Content-Length: 4", body="abcd"), 400),
        (lambda port: request(port, f"POST {HEALTH} HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked"), 400),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade, close"), 200),
        (lambda port: request(port, f"GET {HEALTH} HTTP/1.1", "Upgrade: h2c", "Connection: close"), 200),
    ],
)  # fmt: skip
def test_what_comes_over_the_wire(sent: Any, want: int) -> None:
    answer = answer_to(sent)
    assert status(answer) == want, answer[:300]
    for name, value in SECURITY:
        assert name + b": " + value in answer
    assert b"\r\nserver:" not in answer.lower()
    if want < 300:
        assert b"\r\ndate: " in answer.lower()


def test_a_smuggled_second_request_is_not_answered() -> None:
    inner = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: evil\r\n\r\n"
    sent = lambda port: request(port, f"POST {HEALTH} HTTP/1.1", f"Content-Length: {1 << 20}", body=inner)  # noqa: E731 -- as the table above
    answer = answer_to(sent)
    assert answer.count(b"HTTP/1.1") == 1
    assert status(answer) == 413


def test_one_connection_serves_many_requests_and_pipelined_ones_in_order() -> None:
    async def run() -> bytes:
        async with served() as (port, _):
            last = request(port, "GET /none HTTP/1.1", "Connection: close")
            return await raw(port, request(port) * 3 + last)

    answer = asyncio.run(run())
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [200, 200, 200, 404]


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("HEAD_SECONDS", b""),
        ("HEAD_SECONDS", b"GET / HT"),
        ("HEAD_SECONDS", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\r\n"),
    ],
)
def test_a_client_that_does_not_finish_its_head_is_hung_up_on(
    name: str, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, name, 0.1)

    async def run() -> bytes:
        async with served() as (port, _):
            with suppress(ConnectionResetError):
                return await raw(port, sent)
            return b""

    assert asyncio.run(run()) == b""


def test_one_byte_at_a_time_does_not_keep_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)

    async def run() -> int:
        async with served() as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            sent = 0
            try:
                for byte in request(port) * 20:
                    writer.write(bytes([byte]) if byte != 10 else b"\r")
                    await writer.drain()
                    sent += 1
                    await asyncio.sleep(0.01)
                    if reader.at_eof():
                        break
            except ConnectionError:
                pass
            writer.close()
            return sent

    assert asyncio.run(run()) < 100


def test_an_idle_connection_and_a_trickle_after_an_answer_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)

    async def run(trickle: bytes) -> bytes:
        async with served() as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port))
            first = await reader.read(1 << 16)
            writer.write(trickle)
            with suppress(ConnectionResetError):
                async with asyncio.timeout(10):
                    first += await reader.read()
            writer.close()
            return first

    assert asyncio.run(run(b"")).count(b"HTTP/1.1 200") == 1
    assert asyncio.run(run(b"GET / HTTP/1.1\r\nHo")).count(b"HTTP/1.1 200") == 1


def test_a_slow_body_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "BODY_SECONDS", 0.1)
    answer = answer_to(lambda port: request(port, f"POST {HEALTH} HTTP/1.1", "Content-Length: 50", body="x"))
    assert status(answer) == 408


def test_a_client_that_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STALLED_SECONDS", 0.1)

    def part(app: FastAPI, _site: Site) -> None:
        @app.get("/much")
        async def much() -> Response:
            return Response(b"x" * (32 << 20))

    async def run() -> int:
        async with served(parts=[part]) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
            writer.write(request(port, "GET /much HTTP/1.1"))
            await asyncio.sleep(0.4)
            received = 0
            with suppress(ConnectionResetError):
                async with asyncio.timeout(10):
                    while piece := await reader.read(1 << 16):
                        received += len(piece)
            writer.close()
            return received

    assert asyncio.run(run()) < 32 << 20


def test_connections_have_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS", 3)

    async def run() -> tuple[int, bytes, int]:
        async with served() as (port, _):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            await asyncio.sleep(0.05)
            extra = b"x"
            with suppress(ConnectionResetError):
                extra = await raw(port, b"")
            held[0][1].write(request(port))
            first = await held[0][0].read(1 << 16)
            for _, writer in held:
                writer.close()
            await asyncio.sleep(0.05)
            again = await raw(port, request(port, f"GET {HEALTH} HTTP/1.1", "Connection: close"))
            return status(first), extra.replace(b"x", b""), status(again)

    assert asyncio.run(run()) == (200, b"", 200)


def test_a_taken_port_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            listen(HttpPolicy(port=port))
    assert refused.value.code == "http_port"
    assert str(port) in refused.value.message
    found = listen(HttpPolicy(port=port))
    try:
        assert ("127.0.0.1", port) in [each.getsockname() for each in found.sockets]
        assert not any(each.get_inheritable() for each in found.sockets)
    finally:
        found.close()


def _has_six() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_six(), reason="this machine has no IPv6 loopback")
def test_all_that_localhost_means_is_ours_or_nothing_is() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as impostor:
        port = impostor.getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            listen(HttpPolicy(port=port))
        assert (refused.value.code, "::1" in refused.value.message) == ("http_port", True)
        with socket.create_server(("127.0.0.1", port)):
            pass  # and what was had already was given back

    async def run() -> tuple[int, int]:
        listener = listen(HttpPolicy(port=_free()))
        port = listener.port
        task = asyncio.ensure_future(serve(built(http=HttpPolicy(port=port)), listener))
        statuses = []
        for host in ("127.0.0.1", "[::1]"):
            async with ask(port) as client:
                statuses.append((await client.get(f"http://{host}:{port}{HEALTH}")).status_code)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return statuses[0], statuses[1]

    assert asyncio.run(run()) == (200, 200)


def test_a_machine_without_ipv6_is_served_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without(family: int = -1, *rest: Any, **more: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no")
        return real(family, *rest, **more)

    port = _free()
    monkeypatch.setattr(serving.socket, "socket", without)
    found = listen(HttpPolicy(port=port))
    assert [each.getsockname() for each in found.sockets] == [("127.0.0.1", port)]
    found.close()


def test_an_address_of_another_machine_is_said_so() -> None:
    with pytest.raises(Unavailable) as refused:
        listen(HttpPolicy(host="192.0.2.1"))
    assert refused.value.code == "http_address"


def test_the_end_is_soon_whoever_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE_SECONDS", 1)
    channel = SimulatedChannel()

    async def run() -> tuple[int, bool]:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        async with served(channel) as (port, _):
            assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
            _, idle = await asyncio.open_connection("127.0.0.1", port)
            reader, stream = await asyncio.open_connection("127.0.0.1", port)
            stream.write(request(port, "GET /api/v1/events HTTP/1.1", f"Authorization: Bearer {ALL}"))
            await reader.readuntil(b"retry")
            waiting = asyncio.ensure_future(
                ask(port).post(
                    "/v1/chat/completions",
                    json={"model": "bascule:bruba-main", "messages": [{"role": "user", "content": "hang"}]},
                )
            )
            while not channel.heard:
                await asyncio.sleep(0.01)
            assert channel.followers == 1
        with suppress(Exception):
            await waiting
        for writer in (idle, stream):
            writer.close()
        return channel.followers, channel.turns_ended == len(channel.heard) == 1

    assert asyncio.run(run()) == (0, True)


def test_the_end_leaves_no_listener_and_no_task() -> None:
    async def run() -> int:
        listener = listen(HttpPolicy(port=_free()))
        port = listener.port
        task = asyncio.ensure_future(serve(built(http=HttpPolicy(port=port)), listener))
        async with ask(port) as client:
            assert (await client.get(HEALTH)).json() == {"ok": True}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port
