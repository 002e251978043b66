"""A model service on the loopback that speaks the chat completions protocol as a list of answers says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Canned:
    """One answer: a status with a body, or streamed chunks; ``cut`` drops the connection, ``hang`` keeps it silent."""

    status: int = 200
    chunks: Sequence[dict[str, Any]] = ()
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False


def delta(finish: str | None = None, **content: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": content, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def call(index: int, name: str | None, arguments: str, ident: str | None = None) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments} | ({"name": name} if name is not None else {})
    return {"index": index, "function": function} | ({"id": ident, "type": "function"} if ident else {})


@dataclass
class Service:
    """What the service was asked, and where it is."""

    answers: list[Canned]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(*answers: Canned) -> Iterator[Service]:
    """Run the service for the block."""
    service = Service(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            return

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            service.requests.append(json.loads(body))
            service.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = service.answers.pop(0)
            if answer.status != 200:
                self._whole(answer)
            else:
                self._stream(answer)

        def _whole(self, answer: Canned) -> None:
            content = answer.body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, answer: Canned) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for chunk in answer.chunks:
                self._piece(f"data: {json.dumps(chunk)}\n\n")
            if answer.hang:
                service.released.wait(30)
            if answer.cut or answer.hang:
                self.close_connection = True
                return
            self._piece("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

        def _piece(self, text: str) -> None:
            data = text.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
