"""The gateway's side of the control socket: who is it, what do they want, and stop when they go away.

Stops: a peer the kernel does not vouch for, more connections or requests than a person needs, a request that is not
exactly a method of :mod:`bascule.control.protocol`, and work going on for an asker who has left. Does not stop: the
operator's own processes from asking much; each connection has at most :data:`MAX_REQUESTS` under way.
"""

from __future__ import annotations

import asyncio
import logging
import pwd
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, cast

from bascule.control.access import Access
from bascule.control.members import is_member
from bascule.control.protocol import (
    MAX_ANSWER,
    MAX_REQUEST,
    PROTOCOL,
    Cancel,
    Decoder,
    Request,
    encode,
    error_body,
    error_frame,
    parse_request,
    request_id,
)
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.service.port import Caller, CallRequest, Minting, Service, Wider

LOG = logging.getLogger("bascule.control")

MAX_CONNECTIONS: Final = 64
"""Connections at once; a person and their scripts need a few."""

MAX_REQUESTS: Final = 16
"""Requests under way on one connection: a turn, and answers to its questions."""

MAX_WAIT: Final = 86_400
"""Seconds a call may wait for an answer: a day, longer than any question stays open by default."""

RETRY_SECONDS: Final = 0.2
"""Before the next verb is let in after one could not be."""

LAST_SECONDS: Final = 1.0
"""How long the last words of a connection may take to be taken; a stopped reader would take for ever."""

SIGNED: Final = frozenset(
    {
        "call", "approvals_approve", "approvals_deny", "approvals_grant", "approvals_decide", "approvals_watch",
        "grants_revoke", "tokens_create", "tokens_revoke", "pairing_approve", "dashboard_link", "sessions_reset",
        "contain", "release", "send", "shutdown",
    }
)  # fmt: skip
"""Methods that are told who asks, because what they do is recorded with a name."""

STREAMED: Final = frozenset({"send", "approvals_watch"})
"""Methods that answer with events, as they happen."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a gateway says of itself first: version, pid and start time in ticks, and whether it lives for one verb."""

    version: str
    pid: int
    started: int
    ephemeral: bool


def peer_of(connection: socket.socket) -> Caller:
    """Return who is at the other end, from ``SO_PEERCRED``: who connected, or who made the socket pair."""
    size = struct.calcsize("iII")
    pid, uid, _gid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Caller(uid, pid, name)


class _Sender(Protocol):
    async def __call__(self, frame: Mapping[str, object]) -> None: ...


class Server:
    """Serves one service on a listening socket, or on one inherited connection."""

    def __init__(
        self, service: Service, access: Access, agent_uids: Callable[[], AbstractSet[int]], hello: Hello
    ) -> None:
        self._service = service
        self._access = access
        self._agent_uids = agent_uids
        self._hello = hello
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accept connections until cancelled; then end every one of them."""
        loop = asyncio.get_running_loop()
        listener.settimeout(0)
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as error:
                    # No descriptor or memory is left, or the caller has gone: it is no reason to end the gateway.
                    LOG.warning("a verb could not be let in: %s", error.strerror)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                task = loop.create_task(self._attend(connection, crowded=len(self._open) >= MAX_CONNECTIONS))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
        finally:
            await _end(self._open)

    async def attend(self, connection: socket.socket) -> None:
        """Serve one connection until the other end closes it; its unfinished requests are cancelled then."""
        await self._attend(connection, crowded=False)

    async def _attend(self, connection: socket.socket, *, crowded: bool) -> None:
        connection.settimeout(0)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        lock = asyncio.Lock()

        async def send(frame: Mapping[str, object]) -> None:
            async with lock:
                writer.write(encode(frame, MAX_ANSWER))
                await writer.drain()

        try:
            caller = await self._greet(connection, send, crowded=crowded)
            if caller is not None:
                await _Conversation(self._service, caller, send).run(reader)
        except (ConnectionError, TimeoutError):
            LOG.debug("a control connection broke")
        finally:
            await _hang_up(writer)

    async def _greet(self, connection: socket.socket, send: _Sender, *, crowded: bool) -> Caller | None:
        caller = peer_of(connection)
        try:
            member = is_member(caller.uid, self._access.operators)
            self._access.check(caller.uid, self._agent_uids(), member=member)
            if crowded:
                raise Unavailable("too_many_connections", "too many verbs speak to the gateway at once", "try again")
        except BasculeError as error:
            LOG.warning("control connection refused: %s", error.message)
            await send({"refused": error_body(error), "kind": type(error).__name__})
            return None
        await send({"hello": asdict(self._hello) | {"protocol": PROTOCOL}})
        return caller


class _Conversation:
    """The requests of one connection."""

    def __init__(self, service: Service, caller: Caller, send: _Sender) -> None:
        self._service = service
        self._caller = caller
        self._send = send
        self._gone = False
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self, reader: asyncio.StreamReader) -> None:
        decoder = Decoder(MAX_REQUEST)
        try:
            while chunk := await reader.read(1 << 16):
                for frame in decoder.feed(chunk):
                    await self._take(frame)
        except Malformed as error:
            # After a broken frame nobody knows where the next one starts, so the connection ends here.
            await self._reply(error_frame(-1, error))
        finally:
            self._gone = True
            await _end(set(self._tasks.values()))

    async def _reply(self, frame: Mapping[str, object]) -> None:
        if not self._gone:
            with suppress(ConnectionError):
                await self._send(frame)

    async def _take(self, frame: Mapping[str, Any]) -> None:
        try:
            request = parse_request(frame)
            if isinstance(request, Cancel):
                if (task := self._tasks.get(request.id)) is not None:
                    task.cancel()
                return
        except Malformed as error:
            await self._reply(error_frame(request_id(frame), error))
            return
        if request.id in self._tasks or len(self._tasks) >= MAX_REQUESTS:
            busy = Malformed("request_invalid", "this request's id is in use, or too many are under way")
            await self._reply(error_frame(request.id, busy))
            return
        task = asyncio.get_running_loop().create_task(self._answer(request))
        self._tasks[request.id] = task
        task.add_done_callback(lambda _done: self._tasks.pop(request.id, None))

    async def _answer(self, request: Request) -> None:
        try:
            await self._reply({"id": request.id, "result": await self._ask(request)})
        except asyncio.CancelledError:
            await self._reply(error_frame(request.id, Unavailable("cancelled", "the request was cancelled")))
            raise
        except BasculeError as error:
            await self._reply(error_frame(request.id, error))
        except Exception:
            LOG.exception("control request %s failed", request.method)
            message = f"the gateway failed while answering {request.method}"
            await self._reply(error_frame(request.id, Unavailable("internal_error", message, "see logs/gateway.log")))

    async def _ask(self, request: Request) -> object:
        params: Mapping[str, Any] = request.params
        if request.method in STREAMED:
            await self._stream(request)
            return None
        if request.method == "approvals_grant":
            terms = {name: value for name, value in params.items() if name != "ref"}
            return await self._service.approvals_grant(self._caller, ref=params["ref"], wider=Wider(**terms))
        if request.method == "tokens_create":
            return await self._service.tokens_create(self._caller, minting=Minting(**params))
        if request.method == "call":
            wanted = CallRequest(**params)
            if not 0 <= wanted.wait <= MAX_WAIT:
                raise Malformed("request_invalid", f"wait must be from 0 to {MAX_WAIT} seconds")
            return await self._service.call(self._caller, wanted)
        # METHODS is the list of what may be asked, and a test holds it against Service's own signatures.
        method = getattr(self._service, request.method)
        signed = (self._caller,) if request.method in SIGNED else ()
        return cast("object", await method(*signed, **params))

    async def _stream(self, request: Request) -> None:
        params: Mapping[str, Any] = request.params
        method = getattr(self._service, request.method)
        async with aclosing(cast("AsyncGenerator[object, None]", method(self._caller, **params))) as events:
            async for event in events:
                try:
                    await self._send({"id": request.id, "event": event})
                except ConnectionError:
                    # Nobody is left to be told; the reader notices too, and ends the rest.
                    return


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection; what its other end does not take in time is thrown away, so that it delays nobody's end."""
    writer.close()
    try:
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), LAST_SECONDS)
    finally:
        writer.transport.abort()


async def _end(tasks: AbstractSet[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
