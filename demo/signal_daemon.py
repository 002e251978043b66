"""A stand-in for ``signal-cli daemon --http``: its documented endpoints and shapes, and its faults on demand.

It holds no account and reaches no server: what is "delivered" is what a test or the demonstration says. Start it inside
a process (:class:`SignalDaemon`), or as a process of its own with ``python -m demo.signal_daemon --account +…``; then
``POST /control`` takes ``{"do": "say"|"react"|"drop"|"sent"|"fault", …}``.

Follows the manual page signal-cli-jsonrpc(5): ``POST /api/v1/rpc``, ``GET /api/v1/events`` (chunked server-sent events,
resumed after ``Last-Event-ID``, a comment as a sign of life), ``GET /api/v1/check``; errors ``-1``, ``-4``, ``-5``.
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from demo.signal_http import serve

KEPT_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on Signal; ``number`` None for one who does not show it."""

    number: str | None
    uuid: str | None
    name: str = "Somebody"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that went out through the daemon: to a number, an id, or ``group:`` and a group."""

    to: str
    text: str
    at: int


@dataclass(slots=True)
class Faults:
    """What goes wrong from now on; a count goes down each time, True lasts.

    Attributes:
        status: answers with this HTTP status, so many times.
        limited: sends that Signal refuses for its rate limit, and the seconds it asks to wait.
        slow: seconds before each answer.
        untrusted: recipients whose identity changed.
        unregistered: recipients who are not on Signal.
        lost: sends that go out although the answer is lost.
        nonsense: answers that are no JSON-RPC.
    """

    status: tuple[int, int] = (0, 0)
    limited: tuple[int, int] = (0, 0)
    slow: float = 0.0
    untrusted: set[str] = field(default_factory=set)
    unregistered: set[str] = field(default_factory=set)
    lost: int = 0
    nonsense: int = 0


class SignalDaemon:
    """One daemon; everything may be called from any thread."""

    def __init__(self, account: Person, *, many: bool = False, resumes: bool = True, port: int = 0) -> None:
        """Make it, not yet listening.

        Args:
            account: whose it is.
            many: it was started without ``-a`` and serves every account by its name.
            resumes: it keeps events for ``Last-Event-ID``; older ones do not.
            port: where to listen, 0 for any.
        """
        self.account = account
        self.many = many
        self.resumes = resumes
        self.port = port
        self.faults = Faults()
        self.sent: list[Sent] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.groups: dict[str, str] = {}
        self.connected = 0
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._events: list[tuple[int, str]] = []
        self._streams: list[queue.Queue[bytes | None]] = []
        self._last = 0
        self._numbers = 0
        self._began = int(time.time() * 1000)
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> SignalDaemon:
        """Listen, at the port of last time if there was one."""
        self._server = serve(self, self.port)
        self.port = self._server.server_address[1]
        return self

    def stop(self) -> None:
        """Refuse connections and end every stream."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        self.drop()

    def restart(self) -> None:
        """End and begin again: what was kept is gone, and event ids begin anew."""
        self.stop()
        with self._lock:
            self._events.clear()
            self._began += 1
            self._numbers = 0
        self.start()

    def drop(self) -> None:
        """End every stream in the middle."""
        with self._lock:
            for stream in self._streams:
                stream.put(None)
            self._streams.clear()

    def stamp(self) -> int:
        """A time stamp in milliseconds that nothing had before."""
        with self._lock:
            self._last = max(self._last + 1, int(time.time() * 1000))
            return self._last

    def say(self, sender: Person, text: str | None, **more: Any) -> int:
        """Deliver a text message; ``group`` names its group, other keys go into ``dataMessage``. Returns its stamp."""
        at, group = more.pop("at", None) or self.stamp(), more.pop("group", None)
        data = {"timestamp": at, "message": text, "expiresInSeconds": 0, "viewOnce": False} | more
        if group is not None:
            data["groupInfo"] = {"groupId": group, "groupName": "G", "revision": 1, "type": "DELIVER"}
        self.deliver(sender, at, dataMessage=data)
        return at

    def react(self, sender: Person, emoji: str, target: int, author: Person | None = None, **more: Any) -> int:
        """Deliver a reaction to the message of that stamp; its author is the account unless one is given."""
        by = self.account if author is None else author
        reaction = {
            "emoji": emoji, "targetAuthor": by.number or by.uuid, "targetAuthorNumber": by.number,
            "targetAuthorUuid": by.uuid, "targetSentTimestamp": target, "isRemove": bool(more.pop("removed", False)),
        }  # fmt: skip
        return self.say(sender, None, reaction=reaction, **more)

    def quote(self, target: int, author: Person | None = None, text: str = "") -> dict[str, Any]:
        """What ``quote`` is in a reply to the message of that stamp."""
        by = self.account if author is None else author
        return {
            "id": target, "author": by.number or by.uuid, "authorNumber": by.number, "authorUuid": by.uuid,
            "text": text, "attachments": [],
        }  # fmt: skip

    def deliver(self, sender: Person, at: int, **content: Any) -> str:
        """Deliver an envelope with this content (``dataMessage``, ``syncMessage``, …); return its JSON."""
        envelope = {
            "source": sender.number or sender.uuid, "sourceNumber": sender.number, "sourceUuid": sender.uuid,
            "sourceName": sender.name, "sourceDevice": 1, "timestamp": at, "serverReceivedTimestamp": at + 3,
            "serverDeliveredTimestamp": at + 5,
        } | content  # fmt: skip
        text = json.dumps({"envelope": envelope, "account": self.account.number or self.account.uuid})
        self.emit(text)
        return text

    def emit(self, data: str) -> None:
        """Send one event as it is, to every stream, and keep it."""
        with self._lock:
            self._numbers += 1
            self._events = [*self._events, (self._numbers, data)][-KEPT_EVENTS:]
            for stream in self._streams:
                stream.put(self._framed(self._numbers, data))

    def raw(self, content: bytes) -> None:
        """Send bytes into every stream, whatever they are."""
        with self._lock:
            for stream in self._streams:
                stream.put(content)

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Sent]:
        """Return what was sent once it is at least so many messages, or when the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.sent) >= count, seconds)
            return list(self.sent)

    def wait_connected(self, seconds: float = 10.0) -> bool:
        """True once somebody listens to the stream."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._streams), seconds)

    def open_stream(self, after: str | None) -> queue.Queue[bytes | None]:
        """Begin a stream; the events kept since that id come first."""
        stream: queue.Queue[bytes | None] = queue.Queue()
        with self._changed:
            if after is not None and self.resumes:
                began, _, number = after.partition("-")
                last = int(number) if began == str(self._began) and number.isdigit() else 0
                for each, data in self._events:
                    if each > last:
                        stream.put(self._framed(each, data))
            self._streams.append(stream)
            self.connected += 1
            self._changed.notify_all()
        return stream

    def close_stream(self, stream: queue.Queue[bytes | None]) -> None:
        """End a stream nobody reads any more."""
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)

    def _framed(self, number: int, data: str) -> bytes:
        name = f"id:{self._began}-{number}\n" if self.resumes else ""
        return f"{name}event:receive\ndata:{data}\n\n".encode()

    def answer(self, request: Any) -> dict[str, Any]:
        """Answer one JSON-RPC request."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, -32600, "method field must be set")
        number, params = request.get("id"), dict(request.get("params") or {})
        with self._lock:
            self.calls.append((request["method"], dict(params)))
        named = params.pop("account", None)
        if self.many and request["method"] not in {"listAccounts", "version"}:
            if named is None:
                return _error(number, -32602, "Method requires valid account parameter")
            if named not in {self.account.number, self.account.uuid}:
                return _error(number, -32602, "Specified account does not exist")
        return self._method(request["method"], params, number)

    def _method(self, method: str, params: Mapping[str, Any], number: Any) -> dict[str, Any]:
        if method == "send":
            return self._send(params, number)
        if method == "listAccounts" and self.many:
            return _result(number, [{"number": self.account.number, "aci": self.account.uuid}])
        if method == "version":
            return _result(number, {"version": "0.14.5"})
        if method in {"sendReaction", "sendReceipt"}:
            return _result(number, {"timestamp": self.stamp(), "results": []})
        if method == "sendTyping":
            return _result(number, {})
        return _error(number, -32601, "Method not implemented")

    def _send(self, params: Mapping[str, Any], number: Any) -> dict[str, Any]:
        recipients = params.get("recipient", [])
        recipients = [recipients] if isinstance(recipients, str) else list(recipients)
        group = params.get("groupId")
        if not isinstance(params.get("message"), str) or bool(recipients) == (group is not None):
            return _error(number, -1, "No recipients given")
        to = f"group:{group}" if group is not None else recipients[0]
        at = self.stamp()
        count, wait = self.faults.limited
        if count:
            self.faults.limited = (count - 1, wait)
            return _failed(
                number, -5, "Failed to send message due to rate limiting", at, _fate(to, "RATE_LIMIT_FAILURE", wait)
            )
        if to in self.faults.untrusted:
            return _failed(number, -4, "Failed to send message", at, _fate(to, "IDENTITY_FAILURE"))
        if to in self.faults.unregistered:
            return _failed(number, -1, "Failed to send message", at, _fate(to, "UNREGISTERED_FAILURE"))
        with self._changed:
            self.sent.append(Sent(to, params["message"], at))
            self._changed.notify_all()
        return _result(number, {"timestamp": at, "results": [_fate(to, "SUCCESS")]})

    def control(self, order: Mapping[str, Any]) -> Any:
        """Do what ``POST /control`` says."""
        match order.get("do"):
            case "say":
                quoted = order.get("quote")
                more = {} if quoted is None else {"quote": self.quote(int(quoted))}
                return self.say(Person(order.get("number"), order.get("uuid")), str(order["text"]), **more)
            case "react":
                return self.react(Person(order.get("number"), order.get("uuid")), str(order["emoji"]), int(order["at"]))
            case "sent":
                found = self.wait_for(int(order.get("count", 0)), float(order.get("seconds", 0.0)))
                return [{"to": each.to, "text": each.text, "at": each.at} for each in found]
            case "drop":
                self.drop()
                return True
            case "fault":
                for name in {"status", "limited"} & order.keys():
                    setattr(self.faults, name, tuple(order[name]))
                return True
            case _:
                raise ValueError("say, react, sent, drop or fault")


def _fate(to: str, kind: str, wait: int = 0) -> dict[str, Any]:
    number = to if to.startswith("+") else None
    uuid = None if number or to.startswith("group:") else to
    found: dict[str, Any] = {"recipientAddress": {"uuid": uuid, "number": number}, "type": kind}
    return found | ({"token": "t", "retryAfterSeconds": wait} if wait else {})


def _result(number: Any, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": result, "id": number}


def _error(number: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": data}, "id": number}


def _failed(number: Any, code: int, message: str, at: int, fate: dict[str, Any]) -> dict[str, Any]:
    return _error(number, code, message, {"response": {"timestamp": at, "results": [fate]}})


def main() -> None:
    """Run one as a process until it is ended; its address is the one line it writes."""
    parser = argparse.ArgumentParser(prog="demo.signal_daemon", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--account", required=True)
    parser.add_argument("--uuid")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    daemon = SignalDaemon(Person(given.account, given.uuid), port=given.port).start()
    print(daemon.url, flush=True)  # noqa: T201 -- whoever started it reads the address here
    threading.Event().wait()


if __name__ == "__main__":
    main()
