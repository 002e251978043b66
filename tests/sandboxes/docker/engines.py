"""A pretended engine on a real socket, that answers as a test wants."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def answer(body: bytes, status: int = 200) -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def version(text: str) -> bytes:
    """The answer to the first question: the newest language it speaks."""
    return b"HTTP/1.1 200 OK\r\nApi-Version: %s\r\nContent-Length: 2\r\n\r\nOK" % text.encode()


VERSION = version("1.47")


def whole(connection: socket.socket) -> bytes:
    """A request with its body, which may come by itself."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(1 << 16)
    length = re.search(rb"Content-Length: (\d+)", found)
    while length and len(found.partition(b"\r\n\r\n")[2]) < int(length[1]):
        found += connection.recv(1 << 16)
    return found


@contextmanager
def pretended(folder: Path, answers: list[bytes | None]) -> Iterator[tuple[str, list[bytes]]]:
    """Serve each answer to one connection, None never; yield the socket's path and what was asked."""
    path = folder / "engine.sock"
    asked: list[bytes] = []
    held: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            for each in answers:
                with suppress(OSError):
                    connection, _ = listener.accept()
                    held.append(connection)
                    asked.append(whole(connection))
                    if each is not None:
                        connection.sendall(each)
                        connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield str(path), asked
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for connection in held:
        connection.close()
