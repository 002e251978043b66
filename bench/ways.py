"""Group ``proxy``: what an agent's way out costs: a tunnel and a plain request, beside the same without a proxy.

The proxy answers in a gateway of its own, as for a box: judged, resolved, checked, and on disk in the ledger before
anything is connected. The client and the server it wants are here, on loopback, which policy names. A proxy takes a
hundred connections a second of one box; between two of them the client waits that long, and the wait is not measured.
The last row is a program that asks by the way out of its bubblewrap box; group ``docker`` has the same of a container.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bascule.core.canonical import Json
from bascule.core.ids import AgentId
from bascule.egress.proxy import PACE_SECONDS
from bench import outward
from bench.house import AGENT, Line, a_home, a_house, started
from bench.keeping import BUILD
from bench.measure import MILLISECONDS, CannotRun, Effort, Figures, Rival, Row, figures

_HOST = "127.0.0.1"
_SECONDS = 10.0
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\nConnection: close\r\n\r\n" + b"x" * 4096
_ESTABLISHED = b"HTTP/1.1 200 "
_ANSWER = b"\x16"
"""What the server says first in a tunnel; the hello before it is real, the rest of TLS is not."""


def rows(effort: Effort) -> Iterator[Row]:
    """Yield the rows of the proxy.

    Raises:
        CannotRun: the gateway cannot start, or an answer is wrong.
    """
    n = effort.n(200)
    with serving() as (port, hello):
        rules: Json = {
            "allowPrivate": [f"localhost:{port}"],
            "requestsPerMinute": 1_000_000,
            "maxResponseBytes": 1 << 30,
        }
        with a_home(BUILD, {"network": "proxy"}, egress={"defaults": rules}) as home, started(home, _body) as (line, _):
            heard = line.hear()
            if heard is None or "port" not in heard:
                raise CannotRun(str(heard))
            proxy = int(heard["port"])
            tunnel = f"CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode()
            plain = f"GET http://localhost:{port}/ HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode()
            direct = f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode()
            opened = _best(lambda: _tunnel(proxy, tunnel, hello), n)
            fetched = _best(lambda: _get(proxy, plain), n)
            line.say(done=True)
            rivals = (Rival("the same without a proxy", _best(lambda: _greet(port, hello), n)),)
            yield Row("proxy: a tunnel, until the other side's first byte", "ms", opened, rivals=rivals)
            rivals = (Rival("the same without a proxy", _best(lambda: _get(port, direct), n)),)
            yield Row("proxy: GET of 4 KB through it", "ms", fetched, rivals=rivals)
        yield from outward.row("bubblewrap", port, effort)


def _body(home: Path, warden: socket.socket, line: Line) -> None:
    asyncio.run(_answering(home, warden, line))


async def _answering(home: Path, warden: socket.socket, line: Line) -> None:
    async with a_house(home, warden) as (_, ways):
        with socket.create_server((_HOST, 0)) as listener:
            port = listener.getsockname()[1]
            ways.attend(AgentId(AGENT), listener.detach())
        line.say(port=port)
        await asyncio.to_thread(line.hear)


def _best(timed: Callable[[], int], n: int) -> Figures:
    rounds = []
    for _ in range(3):
        times = []
        for _ in range(n):
            time.sleep(1.5 * PACE_SECONDS)
            times.append(float(timed()))
        rounds.append(figures(times, MILLISECONDS))
    return min(rounds, key=lambda each: each.p50)


def _tunnel(port: int, asked: bytes, hello: bytes) -> int:
    began = time.perf_counter_ns()
    with socket.create_connection((_HOST, port), _SECONDS) as connection:
        connection.sendall(asked)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += _some(connection)
        if not answer.startswith(_ESTABLISHED):
            raise CannotRun(f"the proxy said {answer[:200]!r}")
        connection.sendall(hello)
        first = _some(connection)
        took = time.perf_counter_ns() - began
    if first[:1] != _ANSWER:
        raise CannotRun(f"through the tunnel came {first[:200]!r}")
    return took


def _greet(port: int, hello: bytes) -> int:
    began = time.perf_counter_ns()
    with socket.create_connection((_HOST, port), _SECONDS) as connection:
        connection.sendall(hello)
        _some(connection)
        return time.perf_counter_ns() - began


def _get(port: int, asked: bytes) -> int:
    began = time.perf_counter_ns()
    with socket.create_connection((_HOST, port), _SECONDS) as connection:
        connection.sendall(asked)
        answer = b""
        while len(answer) < len(_PAGE):
            answer += _some(connection)
        took = time.perf_counter_ns() - began
    if answer != _PAGE:
        raise CannotRun(f"the answer was {answer[:200]!r}")
    return took


def _some(connection: socket.socket) -> bytes:
    found = connection.recv(1 << 16)
    if not found:
        raise CannotRun("the connection ended in the middle")
    return found


@contextmanager
def serving() -> Iterator[tuple[int, bytes]]:
    """Serve pages and beginnings of TLS on loopback; yields the port and a hello for it."""
    with socket.create_server((_HOST, 0), backlog=64) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], _hello()


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
            with connection:
                said = connection.recv(1 << 16)
                connection.sendall(_PAGE if said.startswith(b"GET ") else _ANSWER)
        except OSError:  # a client that went; or the end, when the listener is closed
            if listener.fileno() < 0:
                return


def _hello() -> bytes:
    """Return what a client says first in a tunnel to ``localhost``."""
    reading, writing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(reading, writing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return writing.read()
    raise CannotRun("TLS did not begin with a hello")
