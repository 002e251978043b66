"""The client of ``signal-cli daemon --http``: JSON-RPC calls, the stream of events, and whether it is there.

Stops: a daemon that hangs, floods or answers nonsense taking the gateway with it (time limits, size limits, one shape),
and the gateway's environment sending Signal's plain text through a proxy (none is used). Does not stop: another program
on this machine that reaches the daemon's port; signal-cli asks nobody who they are.

Protocol: signal-cli-jsonrpc(5). Errors carry ``-1`` (user), ``-3`` (I/O), ``-4`` (untrusted key), ``-5`` (rate limit).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any

import httpx2

from bascule.channels.signal.sse import Frame, Frames
from bascule.core.errors import Unavailable
from bascule.core.visible import one_line

CALL_SECONDS = 60.0
"""Sending waits for Signal's server, for every device of the recipient."""

CONNECT_SECONDS = 5.0

SILENCE_SECONDS = 60.0
"""signal-cli writes something to the stream at least every 15 seconds; four times that is a dead connection."""

MAX_ANSWER = 1 << 20

MOST_SECONDS = 7 * 86_400
"""The longest pause that is believed; Signal asks for a day at most."""

RATE_LIMIT = -5
UNTRUSTED_KEY = -4
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


class Fate(StrEnum):
    """What became of a message."""

    SENT = "sent"
    LATER = "later"
    LIMITED = "limited"
    UNTRUSTED = "untrusted"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Sending:
    """The result of sending: ``at`` is the time stamp it went out under, ``wait`` seconds Signal asked to wait."""

    fate: Fate
    at: int = 0
    wait: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON-RPC answer: ``result``, or ``code`` and ``message`` of an error with its ``data``."""

    result: Any = None
    code: int = 0
    message: str = ""
    data: Any = None


class Daemon:
    """One daemon, for one account. Close it, or leave its ``async with``."""

    def __init__(self, url: str, account: str, *, call_seconds: float = CALL_SECONDS) -> None:
        """Prepare to speak to ``url``; nothing is connected yet."""
        self._url = url
        self._account = account
        self._numbers = count(1)
        limit = httpx2.Timeout(call_seconds, connect=CONNECT_SECONDS)
        self._client = httpx2.AsyncClient(base_url=url, trust_env=False, follow_redirects=False, timeout=limit)

    async def close(self) -> None:
        """End every connection."""
        await self._client.aclose()

    async def check(self) -> None:
        """Return if the daemon is there.

        Raises:
            Unavailable: ``signal_unreachable``, ``signal_answer``.
        """
        await self._fetch("GET", "/api/v1/check")

    async def call(self, method: str, **params: Any) -> Answer:
        """Call a method for our account.

        Raises:
            Unavailable: ``signal_unreachable``, ``signal_answer``: not there, too slow, or not JSON-RPC.
        """
        number = next(self._numbers)
        request = {"jsonrpc": "2.0", "method": method, "id": number, "params": {"account": self._account, **params}}
        content = await self._fetch("POST", "/api/v1/rpc", json.dumps(request).encode())
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise _odd("it is not JSON") from None
        if not isinstance(answer, dict) or answer.get("id") not in {number, None}:
            raise _odd("it is none to this question")
        error = answer.get("error")
        if error is None and "result" in answer:
            return Answer(answer["result"])
        if not isinstance(error, dict) or not isinstance(error.get("code"), int):
            raise _odd("it has neither result nor error")
        return Answer(code=error["code"], message=one_line(str(error.get("message", "")))[:300], data=error.get("data"))

    async def send(self, recipient: str, text: str) -> Sending:
        """Send a text to a number, an id, or ``group:`` and a group's id; never raises for what Signal says.

        Raises:
            Unavailable: as :meth:`call`; nobody knows whether it was sent.
        """
        to = {"groupId": recipient[6:]} if recipient.startswith("group:") else {"recipient": [recipient]}
        return _sending(await self.call("send", message=text, **to), to_group="groupId" in to)

    async def events(self, after: str) -> AsyncGenerator[Frame, None]:
        """Yield events until the connection ends; with ``after`` those kept since that event come first.

        Raises:
            Unavailable: ``signal_unreachable``, ``signal_answer``, or ``signal_not_linked``: it has no such account.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        limit = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        frames = Frames()
        try:
            async with self._client.stream(
                "GET", "/api/v1/events", params={"account": self._account}, headers=headers, timeout=limit
            ) as response:
                self._refuse_status(response.status_code, events=True)
                # An empty frame first: from here on nothing is missed.
                yield Frame("", "", "")
                async with aclosing(response.aiter_bytes()) as pieces:
                    async for piece in pieces:
                        for frame in frames.feed(piece):
                            yield frame
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise self._unreachable(error) from None

    async def _fetch(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {} if body is None else {"Content-Type": "application/json"}
        content = bytearray()
        try:
            async with self._client.stream(method, path, content=body, headers=headers) as response:
                self._refuse_status(response.status_code, events=False)
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > MAX_ANSWER:
                        raise _odd("it is too long")
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise self._unreachable(error) from None
        return bytes(content)

    def _refuse_status(self, status: int, *, events: bool) -> None:
        if events and status == 400:
            raise Unavailable(
                "signal_not_linked",
                f"signal-cli at {self._url} has no account {self._account}",
                "register or link it: signal-cli link",
            )
        if not 200 <= status < 300:
            raise _odd(f"its status is {status}")

    def _unreachable(self, error: Exception) -> Unavailable:
        return Unavailable(
            "signal_unreachable",
            f"signal-cli at {self._url} does not answer ({type(error).__name__})",
            "start it: signal-cli daemon --http, and compare channels.signal.httpUrl",
        )


def _odd(why: str) -> Unavailable:
    return Unavailable(
        "signal_answer", f"signal-cli's answer cannot be used: {why}", "is it signal-cli that listens there?"
    )


def _sending(answer: Answer, *, to_group: bool) -> Sending:
    if answer.code:
        response = answer.data.get("response") if isinstance(answer.data, dict) else None
        found = _results(response)
        wait = max((_seconds(each.get("retryAfterSeconds")) for each in found), default=0)
        kinds = {str(each.get("type")) for each in found}
        if answer.code == RATE_LIMIT or "RATE_LIMIT_FAILURE" in kinds or "RateLimitException" in answer.message:
            return Sending(Fate.LIMITED, wait=float(wait), why="Signal limits how much this account may send")
        if answer.code == UNTRUSTED_KEY or "IDENTITY_FAILURE" in kinds:
            return Sending(Fate.UNTRUSTED, why="the recipient's safety number changed")
        if "UNREGISTERED_FAILURE" in kinds:
            return Sending(Fate.NEVER, why="the recipient is not on Signal")
        if answer.code == INVALID_PARAMS:
            return Sending(Fate.LATER, why=f"signal-cli refuses the account: {answer.message}")
        return Sending(Fate.LATER, why=answer.message or "signal-cli reported an error")
    at = answer.result.get("timestamp") if isinstance(answer.result, dict) else None
    if not isinstance(at, int) or isinstance(at, bool) or at <= 0:
        return Sending(Fate.LATER, why="signal-cli gave no time stamp")
    return _per_recipient(_results(answer.result), at, to_group=to_group)


def _per_recipient(found: list[dict[str, Any]], at: int, *, to_group: bool) -> Sending:
    """A success as a whole may hold failures one by one; of a group, one member's is not ours to mend."""
    kinds = {str(each.get("type")) for each in found}
    if to_group or not found or kinds == {"SUCCESS"}:
        return Sending(Fate.SENT, at)
    return _sending(
        Answer(code=-3, message=", ".join(sorted(kinds)), data={"response": {"results": found}}), to_group=False
    )


def _seconds(untrusted_value: object) -> int:
    whole = isinstance(untrusted_value, int) and not isinstance(untrusted_value, bool)
    return min(max(untrusted_value, 0), MOST_SECONDS) if whole and isinstance(untrusted_value, int) else 0


def _results(response: Any) -> list[dict[str, Any]]:
    results = response.get("results") if isinstance(response, dict) else None
    return [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []
