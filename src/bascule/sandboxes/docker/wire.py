"""HTTP to an engine over its unix socket, bounded as a whole: by a deadline, and by the size of what comes back.

Stops: an engine that says a byte now and then, headers without end or a body without end holding anybody up. Does not
understand what is said.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from typing import Any, BinaryIO

LARGEST_ANSWER = 4 << 20
_LONGEST_LINE = 1 << 16


class _Socket(socket.socket):
    """A socket all of whose waits together end at a deadline."""

    deadline = float("inf")
    longest = 0.0

    def _hurry(self) -> None:
        left = min(self.deadline - time.monotonic(), self.longest)
        if left <= 0:
            raise TimeoutError("its time is up")
        self.settimeout(left)

    def recv_into(self, *arguments: Any) -> int:
        """As a socket's own."""
        self._hurry()
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """As a socket's own."""
        self._hurry()
        super().sendall(*arguments)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float, longest: float) -> None:
        super().__init__("localhost")
        self._path, self._longest = path, longest
        self._deadline = time.monotonic() + seconds

    def connect(self) -> None:
        made = _Socket(socket.AF_UNIX)
        made.deadline, made.longest = self._deadline, self._longest
        made.settimeout(self._longest)
        self.sock = made
        made.connect(self._path)


def exchange(
    target: tuple[str, float, float], method: str, path: str, body: bytes | BinaryIO | None, *, lines: bool = False
) -> tuple[int, Mapping[str, str], bytes]:
    """Make one request and return status, headers and body of the answer.

    Args:
        target: path of the socket, seconds for all of it, and seconds for each wait.
        method: of HTTP.
        path: with its query.
        body: JSON, or an archive that is read as it goes.
        lines: the answer is a report line by line, as long as it takes; its last lines are returned.

    Raises:
        OSError: no engine, or not in time.
        http.client.HTTPException: no HTTP.
        ValueError: the answer is too long.
    """
    connection = _Connection(*target)
    headers = {"Host": "docker", "Content-Type": "application/json", "Connection": "close"}
    if body is not None and not isinstance(body, bytes):
        headers |= {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
    try:
        connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        with connection.getresponse() as answer:  # it keeps the socket of an answer that was not read to its end
            read = _last_lines(answer) if lines else answer.read(LARGEST_ANSWER + 1)
            named = {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
    if len(read) > LARGEST_ANSWER:
        raise ValueError("the answer is too long")
    return answer.status, named, read


def _last_lines(answer: http.client.HTTPResponse) -> bytes:
    kept = b""
    while line := answer.readline(_LONGEST_LINE):
        kept = (kept + line)[-_LONGEST_LINE:]
    return kept
