"""The HTTP side of the stand-in for signal-cli: its three endpoints, and orders to the stand-in itself."""

from __future__ import annotations

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from demo.signal_daemon import SignalDaemon

ALIVE_SECONDS = 15.0
"""Between two signs of life on a stream, as signal-cli has it."""


def serve(daemon: SignalDaemon, port: int) -> ThreadingHTTPServer:
    """Serve from a thread of its own until the server is shut down; port 0 is any."""
    server = Server(("127.0.0.1", port), type("OwnHandler", (Handler,), {"daemon": daemon}))
    threading.Thread(target=server.serve_forever, args=(0.02,), name="signal-daemon", daemon=True).start()
    return server


class Server(ThreadingHTTPServer):
    """Ends with its process, and says nothing of clients that go away."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_where: object) -> None:
        """Say nothing of clients that go away."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    daemon: ClassVar[SignalDaemon]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_what: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Serve the sign of life and the stream."""
        parts = urlsplit(self.path)
        if self._faulty():
            return
        if parts.path == "/api/v1/check":
            self._answer(200, b"")
        elif parts.path == "/api/v1/events":
            named = parse_qs(parts.query).get("account", [""])[0]
            account = self.daemon.account
            if self.daemon.many and named and named not in {account.number, account.uuid}:
                self._answer(400, b"")
            else:
                self._stream()
        else:
            self._answer(404, b"")

    def do_POST(self) -> None:
        """Serve JSON-RPC, and orders to the stand-in itself."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/control":
            self._answer(200, json.dumps(self.daemon.control(json.loads(body))).encode())
            return
        if self._faulty():
            return
        if self.path != "/api/v1/rpc":
            self._answer(404, b"")
            return
        if not self.headers.get("Content-Type", "").startswith("application/json"):
            self._answer(415, b"")
            return
        answer = json.dumps(self.daemon.answer(json.loads(body))).encode()
        if b'"send"' in body and self.daemon.faults.lost:
            self.daemon.faults.lost -= 1
            self.close_connection = True
            return
        self._answer(200, answer)

    def _faulty(self) -> bool:
        faults = self.daemon.faults
        time.sleep(faults.slow)
        if faults.nonsense:
            faults.nonsense -= 1
            self._answer(200, b"<html>not here</html>")
            return True
        count, status = faults.status
        if count:
            faults.status = (count - 1, status)
            self._answer(status, b"")
        return bool(count)

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        stream = self.daemon.open_stream(self.headers.get("Last-Event-ID"))
        try:
            while True:
                try:
                    content = stream.get(timeout=ALIVE_SECONDS)
                except queue.Empty:
                    content = b":\n"
                if content is None:
                    return
                self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
                self.wfile.flush()
        except OSError:
            return
        finally:
            self.daemon.close_stream(stream)
