"""However an engine drags out its answer, waiting for it ends; and what it says is bounded."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.sandboxes.docker.engines import VERSION, answer, whole

from bascule.core.errors import Unavailable
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.wire import LARGEST_ANSWER, exchange


@contextmanager
def dragging(folder: Path, *answers: Callable[[], Iterable[bytes]]) -> Iterator[str]:
    """Serve pieces of an answer to one connection each, for as long as anybody listens."""
    path = folder / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            for pieces in answers:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    whole(connection)
                    for piece in pieces():
                        connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield str(path)
        thread.join(5)
        assert not thread.is_alive()


def slowly(piece: bytes) -> Iterable[bytes]:
    """The same over and over, each within any patience, all together beyond it."""
    for _ in itertools.count():
        time.sleep(0.05)
        yield piece


def drip_body() -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    yield from slowly(b" ")


def drip_head() -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX: "
    yield from slowly(b"x")


def continues() -> Iterable[bytes]:
    yield from slowly(b"HTTP/1.1 100 Continue\r\n\r\n")


def endless() -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\n\r\n["
    yield from itertools.repeat(b"1," * (1 << 16))


def heads() -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from itertools.repeat(b"X: y\r\n" * 1000)


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        (drip_body, "docker_silent"),
        (drip_head, "docker_silent"),
        (continues, "docker_silent"),
        (endless, "docker_answer"),
        (heads, "docker_unreachable"),
    ],
)
def test_an_answer_without_end(tmp_path: Path, pieces: Callable[[], Iterable[bytes]], code: str) -> None:
    with dragging(tmp_path, lambda: [VERSION], pieces) as path, pytest.raises(Unavailable) as refused:
        Engine(path, 0.5).containers({})
    assert refused.value.code == code


@pytest.mark.parametrize(
    "body", [b"{}", b'"x"', b"[1]", b'[{"Id": 3}]', b'[{"Id": "../../x"}]', b"[{}]", b"null", b"9" * 5000]
)
def test_a_list_that_makes_no_sense(tmp_path: Path, body: bytes) -> None:
    with dragging(tmp_path, lambda: [VERSION], lambda: [answer(body)]) as path, pytest.raises(Unavailable) as refused:
        Engine(path).containers({})
    assert refused.value.code == "docker_answer"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"Id": "x"}', b'{"Id": null}', b"3"])
def test_a_container_that_makes_no_sense(tmp_path: Path, body: bytes) -> None:
    with (
        dragging(tmp_path, lambda: [VERSION], lambda: [answer(body, 201)]) as path,
        pytest.raises(Unavailable) as refused,
    ):
        Engine(path).create("x", {})
    assert refused.value.code == "docker_answer"


def test_a_report_may_be_long_and_its_end_is_kept(tmp_path: Path) -> None:
    line = b'{"status":"Downloading","id":"%d"}\n'

    def report() -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        for number in range(20):
            yield (line % number) * (LARGEST_ANSWER // 400)
        yield b'{"error":"no space"}\n'

    with dragging(tmp_path, report) as path:
        status, _, read = exchange((path, 20.0, 20.0), "POST", "/", None, lines=True)
    assert (status, read.splitlines()[-1]) == (200, b'{"error":"no space"}')
    assert len(read) <= 1 << 16


def test_a_silence_may_be_shorter_than_the_whole(tmp_path: Path) -> None:
    heard = threading.Event()

    def silence() -> Iterable[bytes]:
        heard.wait(5)
        return ()

    with dragging(tmp_path, silence) as path:
        with pytest.raises(TimeoutError):
            exchange((path, 30.0, 0.1), "GET", "/", None)
        heard.set()
