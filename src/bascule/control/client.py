"""The asker's side of the control socket: blocking, small, quick to import.

Stops: a verb waiting for ever on a gateway that has died, and an answer being taken for another request's. Does not
stop: a gateway from lying; what it sends is shown as untrusted text. A verb's one connection carries its requests, a
turn's events, and the answers to that turn's questions.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from bascule.control.protocol import MAX_ANSWER, MAX_REQUEST, PROTOCOL, Decoder, Wire, encode, read_error
from bascule.core.errors import Malformed, Unavailable

HELLO_SECONDS: Final = 60.0
"""How long a gateway may take to say hello; an ephemeral one starts its warden first."""


class Client:
    """One connection to a gateway; use it as a context manager.

    Attributes:
        hello: what the gateway said of itself.
    """

    def __init__(self, connection: socket.socket, on_close: Callable[[], None]) -> None:
        """Take over a connected socket and wait for the gateway's hello; ``on_close`` runs after the socket is closed.

        Raises:
            BasculeError: whatever the gateway refused the connection with, or ``gateway_gone``, ``gateway_slow``.
        """
        self._socket = connection
        self._on_close = on_close
        self._decoder = Decoder(MAX_ANSWER)
        self._waiting: list[dict[str, Wire]] = []
        self._number = 0
        self._unwanted: set[int] = set()
        try:
            self._socket.settimeout(HELLO_SECONDS)
            self.hello = self._read_hello()
            self._socket.settimeout(None)
        except BaseException:
            self.close()
            raise

    def _read_hello(self) -> Mapping[str, Any]:
        frame = self._next(lambda _frame: True, None)
        if frame is None or "refused" in frame:
            raise read_error({"error": (frame or {}).get("refused"), "kind": (frame or {}).get("kind")})
        hello = frame.get("hello")
        if not isinstance(hello, dict) or hello.get("protocol") != PROTOCOL:
            raise Unavailable("protocol_differs", "the gateway speaks another version", "restart the gateway")
        return hello

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, which cancels what is under way; safe to call twice."""
        self._socket.close()
        on_close, self._on_close = self._on_close, lambda: None
        on_close()

    def request(self, method: str, **params: Wire) -> Any:
        """Ask and wait for the answer; events of a stream that arrive meanwhile are kept for it.

        Raises:
            BasculeError: the gateway's own error, or ``gateway_gone``.
        """
        number = self._ask(method, params)
        frame = self._next(lambda found: found.get("id") in {number, -1} and "event" not in found, None)
        return self.result(frame or {})

    def stream(self, method: str, interrupt: int | None, **params: Wire) -> Stream:
        """Ask for a stream and return its events.

        Args:
            method: a streaming method.
            interrupt: a descriptor; when it becomes readable the stream is cancelled, once.
            params: its parameters.

        Raises:
            BasculeError: ``gateway_gone``.
        """
        return Stream(self, self._ask(method, params), interrupt)

    def fileno(self) -> int:
        """Return the socket's descriptor, for whoever waits on several things at once."""
        return self._socket.fileno()

    def cancel(self, number: int) -> None:
        """Say that request ``number`` is no longer wanted; its answer will say ``cancelled``."""
        self._send({"id": number, "cancel": True})

    def forget(self, number: int) -> None:
        """Cancel request ``number`` and throw away whatever of it has come or still comes."""
        self._unwanted.add(number)
        self._waiting = [frame for frame in self._waiting if self._is_wanted(frame)]
        if number in self._unwanted:
            self.cancel(number)

    def next_of(self, number: int, interrupt: int | None) -> dict[str, Wire] | None:
        """Return the next frame of request ``number``; None if ``interrupt`` became readable first."""
        return self._next(lambda found: found.get("id") in {number, -1}, interrupt)

    def come_of(self, number: int) -> list[dict[str, Wire]]:
        """Return every frame of request ``number`` that has come by now, in order, without waiting.

        Raises:
            BasculeError: ``gateway_gone``, or a frame that cannot be read.
        """
        if select.select([self._socket], [], [], 0)[0]:
            self._receive()
        found = [frame for frame in self._waiting if frame.get("id") in {number, -1}]
        self._waiting = [frame for frame in self._waiting if frame.get("id") not in {number, -1}]
        return found

    def _ask(self, method: str, params: Mapping[str, Wire]) -> int:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": dict(params)})
        return self._number

    def _send(self, frame: Mapping[str, object]) -> None:
        data = encode(frame, MAX_REQUEST)
        try:
            self._socket.sendall(data)
        except OSError:
            raise _gone() from None

    def result(self, frame: Mapping[str, Wire]) -> Wire:
        """Return what an answer's frame holds, or raise what it says."""
        if "error" in frame:
            raise read_error(frame)
        if "result" not in frame:
            raise Malformed("answer_invalid", "the gateway sent an answer that cannot be read")
        return frame["result"]

    def _next(self, wanted: Callable[[Mapping[str, Wire]], bool], interrupt: int | None) -> dict[str, Wire] | None:
        """Return the first frame that is wanted, others kept in order; None if the interrupt came first."""
        while True:
            for place, frame in enumerate(self._waiting):
                if wanted(frame):
                    return self._waiting.pop(place)
            if interrupt is not None and interrupt in select.select([self._socket.fileno(), interrupt], [], [])[0]:
                return None
            self._receive()

    def _receive(self) -> None:
        try:
            chunk = self._socket.recv(1 << 16)
        except TimeoutError:
            raise Unavailable("gateway_slow", "the gateway did not answer in time", "see logs/gateway.log") from None
        except OSError:
            raise _gone() from None
        if not chunk:
            raise _gone()
        self._waiting += filter(self._is_wanted, self._decoder.feed(chunk))

    def _is_wanted(self, frame: Mapping[str, Wire]) -> bool:
        number = frame.get("id")
        if not isinstance(number, int) or number not in self._unwanted:
            return True
        if "event" not in frame:
            self._unwanted.discard(number)
        return False


class Stream:
    """The events of one request, in order; while one waits for something else, :meth:`arrived` says what has come."""

    def __init__(self, client: Client, number: int, interrupt: int | None) -> None:
        self._client = client
        self._number = number
        self._interrupt = interrupt
        self._last: Mapping[str, Wire] | None = None
        self._over = False

    @property
    def ended(self) -> bool:
        """True if no further event comes; the next step of the iteration says why."""
        return self._over or self._last is not None

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when more may have come."""
        return self._client.fileno()

    def arrived(self) -> list[Any]:
        """Return the events that have come by now, without waiting; they will not come again.

        Raises:
            BasculeError: ``gateway_gone``.
        """
        events = []
        for frame in [] if self.ended else self._client.come_of(self._number):
            if "event" in frame:
                events.append(frame["event"])
            else:
                self._last = frame
        return events

    def close(self) -> None:
        """Cancel what is not over, and hear no more of it."""
        if not self.ended:
            self._client.forget(self._number)
        self._over = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """Wait for the next event.

        Raises:
            BasculeError: the gateway's own error (``cancelled`` after a cancellation), or ``gateway_gone``.
        """
        while not self._over:
            frame = self._last if self._last is not None else self._client.next_of(self._number, self._interrupt)
            if frame is None:
                self._interrupt = None
                self._client.cancel(self._number)
            elif "event" in frame:
                return frame["event"]
            else:
                self._over = True
                self._client.result(frame)
        raise StopIteration


def _gone() -> Unavailable:
    return Unavailable("gateway_gone", "the gateway ended before it answered", "see logs/gateway.log")
