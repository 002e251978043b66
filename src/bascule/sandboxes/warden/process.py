"""The warden's loop: requests in, boxes made, exits out. One thread, one socket, no policy.

Stops: boxes outliving the gateway (its end of the socket closes, everything is killed) or the warden (it is the first
process of its process namespace: the kernel kills the rest). A request that does not parse costs the sender nothing
but an answer; it never stops the loop.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from bascule.core.canonical import Json
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.ids import AgentId
from bascule.sandboxes.bubblewrap.argv import box_argv
from bascule.sandboxes.seccomp import box_filter
from bascule.sandboxes.warden import contents
from bascule.sandboxes.warden.accounts import IdMap, measure
from bascule.sandboxes.warden.cgroups import Cgroups, Group, detect
from bascule.sandboxes.warden.closure import Closures, configured_directories
from bascule.sandboxes.warden.config import WardenConfig, read_config
from bascule.sandboxes.warden.launch import (
    BLOCK_FD,
    MOST_MOUNTS,
    SECCOMP_FD,
    STATUS_FD,
    Order,
    Spare,
    give_order,
    make_spare,
)
from bascule.sandboxes.warden.messages import (
    FILES_OF_RUN,
    FILES_OF_START,
    LARGEST_MESSAGE,
    Kill,
    Request,
    RunProgram,
    StartWorker,
    Status,
    Stop,
    parse,
)
from bascule.sandboxes.warden.sources import Hashes, check_tools, close_all, open_stage
from bascule.sandboxes.warden.stage import BOX_CODE, Agent, Stage
from bascule.sandboxes.worker.argv import start_argv

_MOST_BOXES = 512
_MOST_UNSENT = 4096
_LONGEST_STATUS = 8192
_SPARES = 3
_QUIET_SECONDS = 0.004
"""How long nothing must happen before a spare is made, so that making it delays no box."""
_OWN_PROCESSES = 4
"""Processes of a box besides the program's."""
_BACKSTOP_PROCESSES = 4096


@dataclass(slots=True)
class Box:
    """One living box."""

    number: int
    request: int
    agent: AgentId
    pid: int
    pidfd: int
    status: int
    group: Group
    memory_limit: int
    pids_limit: int
    deadline: float
    text: bytes = b""
    started: bool = False
    killed: bool = False
    timed_out: bool = False


@dataclass(slots=True)
class _Waiting:
    request: int
    boxes: set[int] = field(default_factory=set)


class Warden:
    """Serves one gateway."""

    def __init__(self, config: WardenConfig, gateway: socket.socket, groups: Cgroups) -> None:
        self._config = config
        self._gateway = gateway
        self._groups = groups
        self._ids = IdMap.of_this_process()
        self._agent_uids = frozenset(self._ids.inner(uid) for uid in config.agents.values())
        self._closures = Closures(configured_directories())
        self._hashes = Hashes()
        self._filter = box_filter(os.uname().machine)
        self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._boxes: dict[int, Box] = {}
        self._by_descriptor: dict[int, Box] = {}
        self._waiting: list[_Waiting] = []
        self._unsent: deque[bytes] = deque()
        self._spares: deque[Spare] = deque()
        self._made = 0
        self._poll = select.epoll()
        self._poll.register(gateway.fileno(), select.EPOLLIN)

    def serve(self) -> None:
        """Answer until the gateway is gone; then kill everything and return."""
        self._gateway.setblocking(False)
        while True:
            ready = self._poll.poll(self._patience())
            if not ready and len(self._spares) < _SPARES:
                self._keep_spare()
            for descriptor, events in ready:
                if descriptor == self._gateway.fileno():
                    if not self._on_gateway(events):
                        self._end()
                        return
                elif (box := self._by_descriptor.get(descriptor)) is not None:
                    self._on_box(box, descriptor)
            self._expire()
            if len(self._unsent) > _MOST_UNSENT:
                self._end()
                return

    def _patience(self) -> float:
        nearest = min((box.deadline for box in self._boxes.values()), default=float("inf"))
        if len(self._spares) < _SPARES:
            nearest = min(nearest, time.monotonic() + _QUIET_SECONDS)
        return -1.0 if nearest == float("inf") else max(0.0, nearest - time.monotonic())

    def _make_spare(self) -> Spare:
        group = self._groups.lend()
        try:
            return make_spare(self._pid_namespace, group, self._filter)
        except OSError as error:
            self._groups.take_back(group)
            raise Unavailable("box_fork", f"no process can be made: {os.strerror(error.errno or 0)}") from None

    def _keep_spare(self) -> None:
        """Make one ahead; where it cannot be made, the next request will find out and say so."""
        with contextlib.suppress(Unavailable):
            self._spares.append(self._make_spare())

    def _expire(self) -> None:
        now = time.monotonic()
        for box in [box for box in self._boxes.values() if box.deadline <= now]:
            box.timed_out = True
            box.deadline = float("inf")
            self._kill(box)

    def _on_gateway(self, events: int) -> bool:
        if events & select.EPOLLOUT:
            self._flush()
        if not events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return True
        size = array.array("i", [0]).itemsize
        try:
            untrusted, ancillary, flags, _ = self._gateway.recvmsg(
                LARGEST_MESSAGE + 1, socket.CMSG_SPACE(8 * size), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return True
        except OSError:
            return False
        files = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                files.frombytes(data[: len(data) - len(data) % size])
        if not untrusted:
            return False
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise Malformed("warden_message", "a message came cut")
            self._carry_out(parse(untrusted), list(files))
        except BasculeError as problem:
            self._send({"id": _id_of(untrusted), "ok": False, "code": problem.code, "message": problem.message[:300]})
        finally:
            for descriptor in files:
                os.close(descriptor)
        return True

    def _carry_out(self, request: Request, files: list[int]) -> None:
        if isinstance(request, StartWorker):
            self._start(request, files)
        elif isinstance(request, RunProgram):
            self._run(request, files)
        elif files:
            raise Malformed("warden_files", "this operation takes no descriptor")
        elif isinstance(request, Kill):
            if request.box in self._boxes:
                self._kill(self._boxes[request.box])
            self._send({"id": request.id, "ok": True})
        elif isinstance(request, Stop):
            self._stop(request)
        else:
            self._send({"id": request.id, "ok": True, **self._measure(request)})

    def _agent(self, name: AgentId) -> Agent:
        uid = self._config.agents.get(name)
        if uid is None:
            raise Malformed("agent_unknown", f"no account is known for agent {name}")
        inner = self._ids.inner(uid)
        root = self._config.territory.agent_root(name)
        return Agent(root, inner, tools_safe=not check_tools(root, self._agent_uids))

    def _start(self, request: StartWorker, files: list[int]) -> None:
        if len(files) != FILES_OF_START:
            raise Malformed("warden_files", "a worker's start takes one descriptor")
        agent = self._agent(request.agent)
        stage = contents.of_worker(request, agent, self._config, self._closures)
        command = box_argv(
            start_argv(self._config.python, BOX_CODE, 0),
            seccomp_fd=SECCOMP_FD,
            status_fd=STATUS_FD,
            directory="/",
            environment={},
        )
        self._make(request, agent, stage, command, (files[0], self._null, self._null), None)

    def _run(self, request: RunProgram, files: list[int]) -> None:
        if len(files) not in FILES_OF_RUN:
            raise Malformed("warden_files", "a program takes three descriptors, and one to wait for")
        agent = self._agent(request.agent)
        stage = contents.of_program(request, agent, self._config, self._closures)
        block = files[3] if len(files) > FILES_OF_RUN[0] else None
        command = box_argv(
            contents.program_command(request, agent.root),
            seccomp_fd=SECCOMP_FD,
            status_fd=STATUS_FD,
            block_fd=None if block is None else BLOCK_FD,
        )
        self._make(request, agent, stage, command, (files[0], files[1], files[2]), block)

    def _make(
        self,
        request: StartWorker | RunProgram,
        agent: Agent,
        stage: Stage,
        command: tuple[str, ...],
        streams: tuple[int, int, int],
        block: int | None,
    ) -> None:
        if len(self._boxes) >= _MOST_BOXES:
            raise Unavailable("box_too_many", f"{_MOST_BOXES} boxes are running")
        expected = {request.program: request.sha256} if isinstance(request, RunProgram) else {}
        mounts = open_stage(stage, expected, self._hashes, self._agent_uids)
        if len(mounts) > MOST_MOUNTS:
            close_all(mounts)
            raise Unavailable("box_too_many", f"a box would need more than {MOST_MOUNTS} mounts")
        spare = self._spares.popleft() if self._spares else self._make_spare()
        memory_limit, pids_limit = self._groups.limit(spare.group, request.limits)
        processes = _OWN_PROCESSES * (1 + sum(box.agent == request.agent for box in self._boxes.values()))
        if pids_limit:
            processes = _BACKSTOP_PROCESSES
        else:
            pids_limit = request.limits.pids + processes
        status, report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            order = Order(
                stage,
                mounts,
                command,
                self._config.bubblewrap,
                agent.uid,
                request.limits,
                processes,
                streams,
                block,
                report,
            )
            give_order(spare, order)
        except OSError as error:
            os.close(status)
            os.kill(spare.pid, signal.SIGKILL)
            os.waitpid(spare.pid, 0)
            self._groups.take_back(spare.group)
            raise Unavailable("box_order", f"a box cannot be given its order: {os.strerror(error.errno or 0)}") from None
        finally:
            os.close(report)
            close_all(mounts)
        self._made += 1
        runs = isinstance(request, RunProgram)
        box = Box(
            number=self._made,
            request=request.id,
            agent=request.agent,
            pid=spare.pid,
            pidfd=os.pidfd_open(spare.pid),
            status=status,
            group=spare.group,
            memory_limit=memory_limit,
            pids_limit=pids_limit,
            deadline=time.monotonic() + request.limits.wall_seconds if runs else float("inf"),
        )
        self._boxes[box.number] = box
        for descriptor in (box.pidfd, box.status):
            self._by_descriptor[descriptor] = box
            self._poll.register(descriptor, select.EPOLLIN)

    def _on_box(self, box: Box, descriptor: int) -> None:
        if descriptor == box.status:
            self._read_status(box)
            return
        pid, status = os.waitpid(box.pid, 0)
        self._read_status(box)
        self._gone(box, os.waitstatus_to_exitcode(status) if pid else 0)

    def _read_status(self, box: Box) -> None:
        if box.status < 0:
            return
        while True:
            try:
                chunk = os.read(box.status, 4096)
            except BlockingIOError:
                break
            if not chunk or len(box.text) > _LONGEST_STATUS:
                self._forget_status(box)
                break
            box.text += chunk
        if not box.started and b'"child-pid"' in box.text:
            box.started = True
            self._send(
                {
                    "id": box.request,
                    "ok": True,
                    "box": box.number,
                    "memory_limit": box.memory_limit,
                    "pids_limit": box.pids_limit,
                }
            )

    def _forget_status(self, box: Box) -> None:
        self._poll.unregister(box.status)
        del self._by_descriptor[box.status]
        os.close(box.status)
        box.status = -1

    def _gone(self, box: Box, code: int) -> None:
        """The first process of the box's namespace is reaped: nothing of it is left."""
        if box.status >= 0:
            self._forget_status(box)
        self._poll.unregister(box.pidfd)
        del self._by_descriptor[box.pidfd]
        os.close(box.pidfd)
        del self._boxes[box.number]
        self._groups.take_back(box.group)
        problem, message, exit_code = read_report(box.text, code, killed=box.killed)
        if not box.started:
            self._send(
                {"id": box.request, "ok": False, "code": problem or "box_failed", "message": message or "no box came up"}
            )
        else:
            self._send(
                {
                    "event": "exit",
                    "box": box.number,
                    "exit": exit_code,
                    "problem": problem,
                    "timed_out": box.timed_out,
                }
            )
        for waiting in list(self._waiting):
            waiting.boxes.discard(box.number)
            if not waiting.boxes:
                self._waiting.remove(waiting)
                self._send({"id": waiting.request, "ok": True})

    def _kill(self, box: Box) -> None:
        box.killed = True
        box.group.kill()
        signal.pidfd_send_signal(box.pidfd, signal.SIGKILL)

    def _stop(self, request: Stop) -> None:
        chosen = [box for box in self._boxes.values() if request.agent in (None, box.agent)]
        for box in chosen:
            self._kill(box)
        if chosen:
            self._waiting.append(_Waiting(request.id, {box.number for box in chosen}))
        else:
            self._send({"id": request.id, "ok": True})

    def _measure(self, request: Status) -> dict[str, Json]:
        box = self._boxes.get(request.box)
        if box is None:
            raise Unavailable("box_gone", "the box is no longer there")
        measured = measure(box.pid, self._ids)
        tools = check_tools(self._config.territory.agent_root(box.agent), self._agent_uids)
        return {
            "kernel_uid": measured.uid,
            "capabilities": measured.capabilities,
            "seccomp": measured.seccomp,
            "no_new_privs": measured.no_new_privs,
            "groups": list(measured.groups),
            "memory_limit": box.memory_limit,
            "pids_limit": box.pids_limit,
            "tools": tools[:300],
        }

    def _send(self, body: Mapping[str, Json]) -> None:
        self._unsent.append(json.dumps(body).encode())
        self._flush()

    def _flush(self) -> None:
        while self._unsent:
            try:
                self._gateway.send(self._unsent[0], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._poll.modify(self._gateway.fileno(), select.EPOLLIN | select.EPOLLOUT)
                return
            except OSError:
                self._unsent.clear()
                return
            self._unsent.popleft()
        self._poll.modify(self._gateway.fileno(), select.EPOLLIN)

    def _end(self) -> None:
        for box in self._boxes.values():
            self._kill(box)
        for spare in self._spares:
            spare.orders.close()
            os.kill(spare.pid, signal.SIGKILL)
        for pid in [*(box.pid for box in self._boxes.values()), *(spare.pid for spare in self._spares)]:
            os.waitpid(pid, 0)
        self._groups.close()


def read_report(text: bytes, code: int, *, killed: bool) -> tuple[str, str, int]:
    """Return a problem's code and message (empty for none) and the exit status, from bubblewrap's report.

    Args:
        text: lines of JSON; ours says ``error``, bubblewrap's ``child-pid`` and at the end ``exit-code``.
        code: exit status of bubblewrap itself, negative for a signal.
        killed: the warden killed it.
    """
    exit_code: int | None = None
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and isinstance(said.get("error"), dict):
            return str(said["error"].get("code")), str(said["error"].get("message")), 125
        if isinstance(said, dict) and isinstance(said.get("exit-code"), int):
            exit_code = said["exit-code"]
    if exit_code is not None:
        return "", "", exit_code
    if killed or code < 0:
        return "", "", 128 + (-code if code < 0 else signal.SIGKILL)
    return "box_failed", "the box could not be set up", code


def _id_of(untrusted_message: bytes) -> int:
    """Return the id of a request that was refused, 0 if it has none, so that its sender can match the answer."""
    try:
        body = json.loads(untrusted_message)
    except (ValueError, RecursionError):
        return 0
    number = body.get("id") if isinstance(body, dict) else 0
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 53 else 0


def main(descriptor: int, config_text: str) -> None:
    """Run a warden on an inherited socket until the gateway is gone."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    gateway = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    Warden(read_config(config_text), gateway, detect()).serve()
