"""The warden's loop: requests in, boxes made, exits out. One thread, one socket, no policy.

Stops: boxes outliving the gateway (its end of the socket closes, everything is killed) or the warden (it is the first
process of its process namespace: the kernel kills the rest). A request that does not parse costs the sender nothing
but an answer; it never stops the loop.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from dataclasses import replace

from bascule.core.canonical import Json
from bascule.core.errors import BasculeError, Malformed, Unavailable
from bascule.core.ids import AgentId
from bascule.sandboxes.bubblewrap.argv import Descriptors, box_argv
from bascule.sandboxes.resident.closure import Closures, configured_directories
from bascule.sandboxes.seccomp import box_filter
from bascule.sandboxes.warden import contents
from bascule.sandboxes.warden.accounts import SINGLE, IdMap, measure, told_apart
from bascule.sandboxes.warden.box import Box, Waiting, Wanted, mount_namespace
from bascule.sandboxes.warden.cgroups import Cgroups, detect
from bascule.sandboxes.warden.channel import Channel, id_of
from bascule.sandboxes.warden.config import WardenConfig, read_config
from bascule.sandboxes.warden.container_requests import CheckTools, Contain, ContainerRequest
from bascule.sandboxes.warden.containers import Containers
from bascule.sandboxes.warden.errands import Errands, refusal
from bascule.sandboxes.warden.launch import BLOCK_FD, SECCOMP_FD, STATUS_FD, Filters
from bascule.sandboxes.warden.messages import (
    FILES_OF_RUN,
    FILES_OF_START,
    Kill,
    Request,
    RunProgram,
    StartWorker,
    Status,
    Stop,
    parse,
)
from bascule.sandboxes.warden.order import MOST_MOUNTS, Order, give_order
from bascule.sandboxes.warden.report import has_started, read_report, why_not
from bascule.sandboxes.warden.sources import Hashes, OpenMount, check_tools, close_all, open_stage
from bascule.sandboxes.warden.spares import Spares
from bascule.sandboxes.warden.stage import BOX_CODE, Agent
from bascule.sandboxes.worker.argv import start_argv

_MOST_BOXES = 512
_LONGEST_STATUS = 8192
_LONGEST_WAIT = 3600.0
"""The kernel takes no time-out as long as a limit may be."""
_QUIET_SECONDS = 0.001
"""How long nothing must happen before a spare is made, so that making it delays no box."""
_BRIEF_SECONDS = 0.05
"""How old a running box must be before a spare is made beside it: most programs are done by then, and both take the
kernel's one lock for mounts."""
_OWN_PROCESSES = 4
"""Processes of a box besides the program's."""
_BACKSTOP_PROCESSES = 4096


class Warden:
    """Serves one gateway."""

    def __init__(self, config: WardenConfig, gateway: socket.socket, groups: Cgroups, proc: int) -> None:
        self._config = config
        self._poll = select.epoll()
        self._channel = Channel(gateway, self._poll)
        self._groups = groups
        self._ids = IdMap.of_this_process()
        self._agent_uids = told_apart(config, self._ids)
        self._closures = Closures(configured_directories())
        self._hashes = Hashes()
        machine = os.uname().machine
        self._spares = Spares(groups, Filters(box_filter(machine), box_filter(machine, connects=True)))
        self._containers = Containers(config, proc, self._ids)
        self._errands = Errands(self._poll, self._channel.send, (proc,) if proc >= 0 else ())
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._boxes: dict[int, Box] = {}
        self._by_descriptor: dict[int, Box] = {}
        self._waiting: list[Waiting] = []
        self._made = 0

    def serve(self) -> None:
        """Answer until the gateway is gone, or no longer reads."""
        while not self._channel.stuck:
            ready = self._poll.poll(self._patience())
            if not ready and self._spares.lacking and self._spare_due() <= time.monotonic():
                self._spares.keep_one()
            for descriptor, events in ready:
                if descriptor == self._channel.descriptor:
                    if not self._on_gateway(events):
                        return
                elif (box := self._by_descriptor.get(descriptor)) is not None:
                    self._on_box(box, descriptor)
                else:
                    self._errands.take(descriptor)
            self._expire()

    def _patience(self) -> float:
        now = time.monotonic()
        nearest = min((box.deadline for box in self._boxes.values()), default=float("inf"))
        if self._spares.lacking:
            nearest = min(nearest, max(now + _QUIET_SECONDS, self._spare_due()))
        return min(_LONGEST_WAIT, max(0.0, nearest - now))

    def _spare_due(self) -> float:
        """When the youngest box will no longer be in its first moments; the past if none is."""
        return max((box.made for box in self._boxes.values()), default=0.0) + _BRIEF_SECONDS

    def _expire(self) -> None:
        now = time.monotonic()
        for box in [box for box in self._boxes.values() if box.deadline <= now]:
            box.timed_out = True
            box.deadline = float("inf")
            self._kill(box)

    def _on_gateway(self, events: int) -> bool:
        """Return False when the gateway is gone."""
        if events & select.EPOLLOUT:
            self._channel.flush()
        received = self._channel.receive()
        if received is None:
            return True
        if not received.untrusted_message:
            return False
        try:
            if received.cut:
                raise Malformed("warden_message", "a message came cut")
            self._carry_out(parse(received.untrusted_message), list(received.files))
        except (BasculeError, OSError) as error:
            problem = error if isinstance(error, BasculeError) else Unavailable("warden_error", str(error))
            number = id_of(received.untrusted_message)
            self._channel.send({"id": number, **refusal(problem)})
        finally:
            for descriptor in received.files:
                os.close(descriptor)
        return True

    def _carry_out(self, request: Request, files: list[int]) -> None:
        if isinstance(request, StartWorker):
            self._start(request, files)
        elif isinstance(request, RunProgram):
            self._run(request, files)
        elif len(files) != (isinstance(request, Contain) and request.proxy):
            raise Malformed("warden_files", "this operation takes no descriptor, but for a container's way out")
        elif isinstance(request, Kill):
            if request.box in self._boxes:
                self._kill(self._boxes[request.box])
            self._channel.send({"id": request.id, "ok": True})
        elif isinstance(request, Stop):
            self._stop(request)
        elif not isinstance(request, Status):
            self._errand(request, files)
        else:
            self._channel.send({"id": request.id, "ok": True, **self._measure(request)})

    def _errand(self, request: ContainerRequest, files: list[int]) -> None:
        if isinstance(request, CheckTools):
            tools = check_tools(self._config.territory.agent_root(request.agent), self._agent_uids)
            self._channel.send({"id": request.id, "ok": True, "tools": tools[:300]})
            return
        job = self._containers.job(request, self._agent, files[0] if files else None)
        self._errands.begin(request.id, job, lambda said: self._containers.heard(request, said), tuple(files))

    def _agent(self, name: AgentId) -> Agent:
        uid = self._config.agents.get(name)
        if uid is None:
            raise Malformed("agent_unknown", f"no account is known for agent {name}")
        inner = SINGLE if self._config.single else self._ids.inner(uid)
        root = self._config.territory.agent_root(name)
        return Agent(root, inner, tools_safe=not check_tools(root, self._agent_uids))

    def _start(self, request: StartWorker, files: list[int]) -> None:
        if len(files) != FILES_OF_START:
            raise Malformed("warden_files", "a worker's start takes one descriptor")
        agent = replace(self._agent(request.agent), bare=request.bare)
        stage = contents.of_worker(request, agent, self._config, self._closures)
        command = box_argv(
            start_argv(self._config.python, BOX_CODE, 0),
            Descriptors(SECCOMP_FD, STATUS_FD),
            directory="/",
            environment={},
        )
        self._make(request, Wanted(agent, stage, command, (files[0], self._null, self._null)))

    def _run(self, request: RunProgram, files: list[int]) -> None:
        if len(files) - request.proxy not in FILES_OF_RUN:
            raise Malformed("warden_files", "a program takes three descriptors, one to wait for, one for its way out")
        way = files.pop() if request.proxy else None
        agent = replace(self._agent(request.agent), bare=request.bare)
        stage = contents.of_program(request, agent, self._config, self._closures)
        block = files[3] if len(files) > FILES_OF_RUN[0] else None
        command = box_argv(
            contents.program_command(request, agent.root),
            Descriptors(SECCOMP_FD, STATUS_FD, None if block is None else BLOCK_FD),
            environment=contents.program_environment(stage, request),
        )
        self._make(request, Wanted(agent, stage, command, (files[0], files[1], files[2]), block, way))

    def _make(self, request: StartWorker | RunProgram, wanted: Wanted) -> None:
        if len(self._boxes) >= _MOST_BOXES:
            raise Unavailable("box_too_many", f"{_MOST_BOXES} boxes are running")
        expected = {request.program: request.sha256} if isinstance(request, RunProgram) else {}
        try:
            mounts = open_stage(wanted.stage, expected, self._hashes, self._agent_uids)
        except Unavailable:
            self._closures.forget()  # a library was replaced since it was looked up: the next try finds the new one
            raise
        try:
            if len(mounts) > MOST_MOUNTS:
                raise Unavailable("box_too_many", f"a box would need more than {MOST_MOUNTS} mounts")
            self._order(request, wanted, mounts)
        finally:
            close_all(mounts)

    def _order(self, request: StartWorker | RunProgram, wanted: Wanted, mounts: list[OpenMount]) -> None:
        spare = self._spares.take()
        held = self._groups.limit(spare.group, request.limits)
        pids_limit = held.pids
        processes = _BACKSTOP_PROCESSES
        if not pids_limit:
            sharing = [box for box in self._boxes.values() if self._config.single or box.agent == request.agent]
            processes = _OWN_PROCESSES * (1 + len(sharing) + self._config.single)
            pids_limit = request.limits.pids + processes
        # The order comes last: whatever fails before it ends a process that has not begun.
        with contextlib.ExitStack() as undo:
            undo.callback(self._spares.discard, spare)
            try:
                status, report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                undo.callback(os.close, status)
                with os.fdopen(report, "wb", 0):
                    pidfd = os.pidfd_open(spare.pid)
                    undo.callback(os.close, pidfd)
                    for descriptor in (pidfd, status):
                        self._poll.register(descriptor, select.EPOLLIN)
                    give_order(spare, self._ordered(request, wanted, mounts, processes, report))
            except OSError as error:
                why = os.strerror(error.errno or 0)
                raise Unavailable("box_order", f"a box cannot get its order: {why}") from None
            undo.pop_all()
        self._made += 1
        now = time.monotonic()
        box = Box(
            number=self._made,
            request=request.id,
            agent=request.agent,
            pid=spare.pid,
            pidfd=pidfd,
            status=status,
            view=mount_namespace(spare.pid),
            group=spare.group,
            memory_limit=held.memory,
            pids_limit=pids_limit,
            cpus_limit=held.cpus,
            made=now,
            deadline=now + request.limits.wall_seconds if isinstance(request, RunProgram) else float("inf"),
        )
        self._boxes[box.number] = self._by_descriptor[pidfd] = self._by_descriptor[status] = box

    def _ordered(
        self, request: StartWorker | RunProgram, wanted: Wanted, mounts: list[OpenMount], processes: int, report: int
    ) -> Order:
        config = self._config
        return Order(
            wanted.stage, mounts, wanted.command, config.bubblewrap, wanted.agent.uid, config.single, request.limits,
            processes, wanted.streams, wanted.block, wanted.way, report,
        )  # fmt: skip

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
        if not box.started and has_started(box.text):
            box.started = True
            if box.status >= 0:  # what follows is read when the box is gone; until then nothing of it matters
                self._poll.unregister(box.status)
                del self._by_descriptor[box.status]
            self._channel.send(
                {
                    "id": box.request,
                    "ok": True,
                    "box": box.number,
                    "memory_limit": box.memory_limit,
                    "pids_limit": box.pids_limit,
                }
            )

    def _forget_status(self, box: Box) -> None:
        if self._by_descriptor.pop(box.status, None) is not None:
            self._poll.unregister(box.status)
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
        said = read_report(box.text, code, killed=box.killed)
        if box.started:
            done: dict[str, Json] = {"event": "exit", "box": box.number, "exit": said.status, "problem": said.problem}
            self._channel.send({**done, "timed_out": box.timed_out})
        else:
            problem, message = said.problem or "box_failed", said.message or "no box came up"
            self._channel.send({"id": box.request, "ok": False, "code": problem, "message": message + why_not(problem)})
        if box.view >= 0:
            os.close(box.view)
        for waiting in list(self._waiting):
            waiting.boxes.discard(box.number)
            if not waiting.boxes:
                self._waiting.remove(waiting)
                self._channel.send({"id": waiting.request, "ok": True})

    def _kill(self, box: Box) -> None:
        box.killed = True
        box.group.kill()
        signal.pidfd_send_signal(box.pidfd, signal.SIGKILL)

    def _stop(self, request: Stop) -> None:
        chosen = [box for box in self._boxes.values() if request.agent in (None, box.agent)]
        for box in chosen:
            self._kill(box)
        if chosen:
            self._waiting.append(Waiting(request.id, {box.number for box in chosen}))
        else:
            self._channel.send({"id": request.id, "ok": True})

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
            "cpus_limit": box.cpus_limit,
            "tools": tools[:300],
            "on_host": box.agent in self._config.on_host,
        }

    def end(self) -> None:
        """Kill every box and leave nothing behind."""
        for box in self._boxes.values():
            self._kill(box)
        self._errands.finish()
        self._containers.leave_nothing(self._errands)
        for box in self._boxes.values():
            os.waitpid(box.pid, 0)
        self._errands.finish()
        self._spares.end()
        self._groups.close()


def main(descriptor: int, config_text: str, proc: int) -> None:
    """Run a warden on an inherited socket until the gateway is gone."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    gateway = socket.socket(fileno=descriptor)
    for inherited in (descriptor, proc):
        if inherited >= 0:
            os.set_inheritable(inherited, False)  # noqa: FBT003 -- the standard library's signature
    warden = Warden(read_config(config_text), gateway, detect(), proc)
    try:
        warden.serve()
    finally:
        warden.end()
