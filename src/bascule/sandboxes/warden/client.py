"""The gateway's side of the warden's socket.

Stops: waiting forever: when the warden is gone, every answer and exit that was waited for becomes a failure at once;
and a box running that nobody waits for: it is killed as soon as it has a number.
Does not check the warden's answers for malice; the warden is trusted more than the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.sandboxes.warden.container_requests import CheckTools, Contain, Discharge, ListContainers
from bascule.sandboxes.warden.messages import (
    LARGEST_MESSAGE,
    Kill,
    Request,
    RunProgram,
    StartWorker,
    Status,
    Stop,
    write,
)

_ANSWER_SECONDS = 30.0
"""Making a box takes milliseconds; a warden or a container that needs this long is stuck."""

_MOST_AT_ONCE = 64
"""Messages taken before others get their turn."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a box ended: exit status, a setup problem's code (empty for none), and whether its time was up."""

    status: int
    problem: str = ""
    timed_out: bool = False


@dataclass(slots=True)
class RunningBox:
    """A box that came up.

    Attributes:
        number: what the warden calls it.
        memory_limit: bytes in force, 0 for none.
        pids_limit: processes in force, 0 for none.
        exit: resolves when nothing of the box is left.
    """

    number: int
    memory_limit: int
    pids_limit: int
    exit: asyncio.Future[Exit]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A box as seen from outside; fields as in :class:`bascule.core.posture.Posture`.

    ``tools`` says why ``tools/`` is missing, ``on_host`` whether the agent's programs get the machine's own tree.
    """

    kernel_uid: int
    capabilities: int
    seccomp: int
    no_new_privs: bool
    groups: tuple[int, ...]
    memory_limit: int
    pids_limit: int
    cpus_limit: int
    tools: str
    on_host: bool


@dataclass(frozen=True, slots=True)
class Contained:
    """A container that stands: Docker's id, and what the kernel says of it."""

    container: str
    measured: Measurement


@dataclass(slots=True)
class _State:
    answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    exits: dict[int, asyncio.Future[Exit]] = field(default_factory=dict)
    closed: bool = False


class WardenClient:
    """Speaks to one warden from one event loop. Build with :meth:`attach`."""

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._state = _State()
        self._next = 1
        self._sending = asyncio.Lock()
        self._mourners: list[Callable[[], None]] = []
        self._killing: set[asyncio.Task[None]] = set()

    @staticmethod
    def attach(connection: socket.socket) -> WardenClient:
        """Take over the gateway's end of the pair, in a running event loop."""
        connection.settimeout(0)
        client = WardenClient(connection, asyncio.get_running_loop())
        client.listen()
        return client

    def listen(self) -> None:
        """Begin to take what the other side says."""
        self._loop.add_reader(self._connection.fileno(), self.hear)

    def awaits(self, number: int) -> bool:
        """True if an answer with this number is waited for."""
        return number in self._state.answers

    def runs(self, box: int) -> bool:
        """True if a box with this number came up and its exit has not been heard of."""
        return box in self._state.exits

    @property
    def alive(self) -> bool:
        """False once the warden is gone."""
        return not self._state.closed

    def close(self) -> None:
        """Let go of the warden, which then kills every box and ends."""
        if not self._state.closed:
            self._lost()

    def when_gone(self, then: Callable[[], None]) -> None:
        """Have ``then`` called once the warden is gone, in the loop."""
        self._mourners.append(then)

    async def start(self, request: StartWorker, stream: int) -> RunningBox:
        """Start a file worker whose socket is ``stream``; the descriptor stays the caller's.

        Raises:
            Unavailable: refused, or the warden is gone; ``code`` tells.
        """
        return await self._box(request, [stream])

    async def run(self, request: RunProgram, streams: Sequence[int]) -> RunningBox:
        """Run a program on ``streams`` (input, output, error, and optionally one to wait for), which stay the caller's.

        Raises:
            Unavailable: refused, or the warden is gone; ``code`` tells.
        """
        return await self._box(request, list(streams))

    async def kill(self, box: int) -> None:
        """Kill one box; its exit follows.

        Raises:
            Unavailable: the warden is gone.
        """
        await self._ask(Kill(0, box), [])

    async def stop(self, agent: AgentId | None) -> None:
        """Kill every box of an agent, or all; returns when nothing of them is left.

        Raises:
            Unavailable: the warden is gone (and its boxes with it).
        """
        await self._ask(Stop(0, agent), [])

    async def measure(self, box: int) -> Measurement:
        """Return what the kernel says of a box.

        Raises:
            Unavailable: the box or the warden is gone.
        """
        body = await self._ask(Status(0, box), [])
        return Measurement(**{name: body[name] for name in Measurement.__slots__} | {"groups": tuple(body["groups"])})

    async def contain(self, request: Contain, way: int | None = None) -> Contained:
        """Make an agent's container; ``way`` takes the listener of one with a way out, and stays the caller's.

        Raises:
            Unavailable: it cannot be had; ``code`` tells.
        """
        body = await self._ask(request, [] if way is None else [way])
        said = {name: body[name] for name in Measurement.__slots__ if name not in {"tools", "on_host"}}
        measured = Measurement(**said | {"groups": tuple(body["groups"]), "tools": "", "on_host": False})
        return Contained(str(body["container"]), measured)

    async def discharge(self, agent: AgentId | None, place: str = "") -> None:
        """Remove containers of this home; returns when they are gone.

        Raises:
            Unavailable: Docker or the warden does not answer.
        """
        await self._ask(Discharge(0, agent, place), [])

    async def containers(self) -> list[dict[str, Any]]:
        """Return every container of this home.

        Raises:
            Unavailable: Docker or the warden does not answer.
        """
        return list((await self._ask(ListContainers(0), []))["containers"])

    async def tools(self, agent: AgentId) -> str:
        """Return why an agent's ``tools/`` may not be mounted, empty if it may.

        Raises:
            Unavailable: the warden is gone.
        """
        return str((await self._ask(CheckTools(0, agent), []))["tools"])

    @staticmethod
    def gone() -> Unavailable:
        """The other side is gone."""
        return Unavailable("warden_gone", "the warden is gone, and its boxes with it", "restart the gateway")

    def cut_short(self) -> Exit:
        """How a box ended whose other side is gone."""
        return Exit(128 + 9, self.gone().code)

    @staticmethod
    def silent() -> Unavailable:
        """The other side does not answer."""
        return Unavailable("warden_timeout", "the warden does not answer", "restart the gateway")

    async def _box(self, request: StartWorker | RunProgram, files: list[int]) -> RunningBox:
        body = await self._ask(request, files)
        return RunningBox(int(body["box"]), int(body["memory_limit"]), int(body["pids_limit"]), body["exit"])

    async def _ask(self, request: Request, files: list[int]) -> dict[str, Any]:
        return await self.exchange(lambda number: write(replace(request, id=number)), files)

    async def exchange(self, compose: Callable[[int], bytes], files: Sequence[int]) -> dict[str, Any]:
        """Send one message and return its answer.

        Args:
            compose: returns the message, given the number its answer will carry.
            files: descriptors that go with it, which stay the caller's.

        Raises:
            Unavailable: refused, or the other side is gone or does not answer.
        """
        if self._state.closed:
            raise self.gone()
        number, self._next = self._next, self._next + 1
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._state.answers[number] = answer
        try:
            await self._send(compose(number), files)
            async with asyncio.timeout(_ANSWER_SECONDS):
                body = await answer
        except TimeoutError:
            raise self.silent() from None
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._disown(answer.result())
            raise
        finally:
            self._state.answers.pop(number, None)
        if body.get("ok") is not True:
            raise Unavailable(str(body.get("code")), str(body.get("message")), str(body.get("remedy", "")))
        return body

    async def _send(self, message: bytes, files: Sequence[int]) -> None:
        async with self._sending:
            while not self._state.closed:
                try:
                    socket.send_fds(self._connection, [message], files, socket.MSG_NOSIGNAL)
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    self._lost()
                else:
                    return
        raise self.gone()

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._connection.fileno(), _resolve, ready)
        try:
            await ready
        finally:
            if not self._state.closed:
                self._loop.remove_writer(self._connection.fileno())

    def hear(self) -> None:
        """Take what has come, a part of it at a time: whoever never stops talking holds nobody else up."""
        for _ in range(_MOST_AT_ONCE):
            if self._state.closed:
                return
            try:
                message = self._connection.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._lost()
                return
            self.take(message)

    def take(self, message: bytes) -> None:
        """Understand one message."""
        self.understand(json.loads(message))

    def understand(self, body: dict[str, Any]) -> None:
        """Give an answer or an exit to whoever waits for it."""
        if body.get("event") == "exit":
            done = self._state.exits.pop(int(body["box"]), None)
            if done is not None and not done.done():
                done.set_result(Exit(int(body["exit"]), str(body["problem"]), bool(body["timed_out"])))
            return
        if body.get("ok") is True and "box" in body:
            # Made here, for the exit may be read before whoever asked for the box runs again.
            body["exit"] = self._state.exits[int(body["box"])] = self._loop.create_future()
        answer = self._state.answers.get(int(body["id"]))
        if answer is not None and not answer.done():
            answer.set_result(body)
        else:
            self._disown(body)

    def _disown(self, body: Mapping[str, Any]) -> None:
        """Kill the box an answer names, if it names one: whoever asked for it has gone away."""
        if "exit" in body:
            killing = asyncio.ensure_future(self._kill_unwanted(int(body["box"])))
            self._killing.add(killing)
            killing.add_done_callback(self._killing.discard)

    async def _kill_unwanted(self, box: int) -> None:
        with contextlib.suppress(Unavailable):  # a warden that is gone took it along
            await self.kill(box)

    def _lost(self) -> None:
        self._state.closed = True
        self._loop.remove_reader(self._connection.fileno())
        self._loop.remove_writer(self._connection.fileno())
        self._connection.close()
        for answer in self._state.answers.values():
            if not answer.done():
                answer.set_exception(self.gone())
        for done in self._state.exits.values():
            if not done.done():
                done.set_result(self.cut_short())
        self._state.exits.clear()
        for then in self._mourners:
            then()


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
