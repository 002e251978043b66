"""A small gateway that needs no machine: real server, real socket, answers that can be counted."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.control.simulated_desk import SimulatedDesk
from tests.control.simulated_doors import SimulatedDoors

from bascule.control import place
from bascule.control.access import Access
from bascule.control.client import Client
from bascule.control.server import Hello, Server
from bascule.core.canonical import read_arguments
from bascule.core.errors import Malformed, Unavailable
from bascule.service.port import Caller, CallRequest

LABEL = {"integrity": "untrusted", "confidentiality": "private", "sources": ["cli"]}


def verdict(effect: str, code: str = "ok") -> dict[str, str]:
    return {"judge": "simulated", "effect": effect, "code": code, "reason": f"it is {effect}", "remedy": ""}


def outcome(text: str, *, ok: bool = True, exit_status: int | None = None) -> dict[str, Any]:
    return {"ok": ok, "content": text, "encoding": "utf-8", "exit": exit_status, "truncated": False, "label": LABEL}


def record(seq: int) -> dict[str, Any]:
    return {
        "id": str(seq), "seq": seq, "at": "t", "kind": "decided", "agent": "a", "summary": "s", "hash": "h",
        "body": {"why": "a\x1bb"},
    }  # fmt: skip


class SimulatedService(SimulatedDesk, SimulatedDoors):
    """The tool's name says what becomes of a call: ``fine``, ``fails``, ``asks``, ``denied``, anything else unknown.

    ``new_question`` and ``many_questions`` put questions on the desk, as another agent's turn would.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[CallRequest] = []
        self.callers: list[Caller] = []
        self.turns_ended = 0
        self.stopped = asyncio.Event()
        self.config = "{}"

    async def call(self, caller: Caller, request: CallRequest) -> Any:
        self.callers.append(caller)
        self.calls.append(request)
        if request.agent == "nobody":
            raise Malformed("agent_unknown", "there is no agent 'nobody'")
        if request.tool == "broken":
            raise ZeroDivisionError("secret detail")
        if request.tool == "huge":
            return "x" * (17 << 20)
        if request.tool == "slow":
            await asyncio.sleep(3600)
        if request.tool == "new_question":
            self.ask(**json.loads(request.args_text))
        if request.tool == "many_questions":
            for number in range(int(json.loads(request.args_text)["count"])):
                self.ask(f"apr_many_{number}")
        try:
            args: Any = read_arguments(request.args_text)
            effect = {"fine": "allow", "fails": "allow", "asks": "ask"}.get(request.tool, "deny")
        except Malformed:
            args, effect = None, "deny"
        pending = {"id": "apr_1", "code": "ABC", "state": "pending", "expires": "2030-01-01T00:00:00Z"}
        ran = {"fine": outcome("hello\n"), "fails": outcome("no\n", ok=False, exit_status=7)}.get(request.tool)
        return {
            "call": {
                "agent": request.agent,
                "tool": request.tool,
                "args": args,
                "session": request.session or f"agent:{request.agent}:cli",
                "digest": "d" * 64,
            },
            "decision": {"effect": effect, "verdicts": [verdict(effect)]},
            "approval": pending if effect == "ask" and not request.dry_run else None,
            "outcome": None if request.dry_run or effect != "allow" else ran,
            "ledger": {"seq": None if request.dry_run else len(self.calls)},
        }

    async def agents_list(self) -> Any:
        return [
            {
                "id": "bruba-main",
                "name": "Main",
                "model": "m",
                "notice": "",
                "tools": ["read", "write"],
                "contained": "",
                "problems": [],
            }
        ]

    async def agents_show(self, *, agent: str) -> Any:
        if agent != "bruba-main":
            raise Malformed("agent_unknown", "there is no such agent")
        rest = {"directory": "d", "prompts": [], "exec": {}, "sandbox": {}, "quota": {}, "sessions": []}
        standing = {"id": "read", "action": "read", "standing": "allowed", "why": ""}
        return (await self.agents_list())[0] | rest | {"standings": [standing]}

    async def sessions_list(self, *, agent: str | None) -> Any:
        row = {"id": "agent:bruba-main:main", "agent": "bruba-main", "messages": 2, "updated": "t", "label": LABEL}
        return [row] if agent in {None, "bruba-main"} else []

    async def sessions_show(self, *, session: str) -> Any:
        transcript = [{"at": "t", "role": "agent", "text": "a\n\x1b[2Jb"}]
        return (await self.sessions_list(agent=None))[0] | {"transcript": transcript}

    async def contain(self, caller: Caller, *, agent: str | None, reason: str) -> Any:
        return [{**row, "contained": reason} for row in await self.agents_list()]

    async def release(self, caller: Caller, *, agent: str) -> Any:
        return (await self.agents_list())[0]

    async def sessions_reset(self, caller: Caller, *, session: str) -> Any:
        return (await self.sessions_list(agent=None))[0]

    async def ledger_tail(self, *, count: int, agent: str | None) -> Any:
        return [await self.ledger_show(seq=number) for number in range(1, min(count, 3) + 1)]

    async def ledger_show(self, *, seq: int) -> Any:
        return record(seq)

    async def ledger_after(self, *, seq: int, count: int, agent: str | None) -> Any:
        return [record(number) for number in range(seq + 1, seq + 1 + min(count, 3))]

    async def ledger_lineage(self, *, seq: int) -> Any:
        return [record(number) for number in (seq - 1, seq, seq + 1)]

    async def sandbox_explain(self, *, agent: str) -> Any:
        key = {"scope": "sandbox ceiling", "key": "tools.sandbox.tools.allow", "where": "bascule.json5:3:1"}
        return {
            "agent": agent, "backend": "bubblewrap", "network": "none", "workspace_access": "rw",
            "mounts": [{"source": "/h/agents/a", "target": "/workspace", "access": "ro"}],
            "facts": [{"id": "mode", "value": "all", "key": "agents.list[0].sandbox.mode", "where": "bascule.json5:2:1"}],
            "tools": [{"id": "message", "state": "missing", "reason": "why", "keys": [key], "remedy": "add it"}],
            "limits": {}, "lines": ["a box"],
        }  # fmt: skip

    async def sandbox_list(self) -> Any:
        return [
            {
                "id": "worker-1", "agent": "bruba-main", "backend": "bubblewrap", "state": "running",
                "since": "", "image": "", "orphan": False, "session": "", "age": 61, "idle": None,
            }
        ]  # fmt: skip

    async def sandbox_stop(self, *, agent: str | None, session: str | None) -> Any:
        return ["bruba-main"] if agent is None else [agent]

    async def sandbox_probe(self, *, agent: str, session: str | None) -> Any:
        good = agent == "bruba-main"
        check = {"id": "seccomp", "ok": good, "detail": "2", "remedy": ""}
        return {"agent": agent, "backend": "bubblewrap", "ok": good, "checks": [check]}

    async def status(self) -> Any:
        problem = {"code": "limits", "message": "no cgroups", "remedy": "delegate some"}
        return {
            "home": "/home/x", "version": "0", "pid": 1, "started": "t", "ephemeral": True, "mode": "root",
            "policy_version": "v", "agents": 1, "sessions": 1, "pending_approvals": 0, "ledger_seq": 9,
            "problems": [problem],
        }  # fmt: skip

    async def send(self, caller: Caller, *, agent: str, text: str, session: str | None) -> AsyncIterator[Any]:
        try:
            if text == "down":
                raise Unavailable("model_down", "the model cannot be reached")
            yield {"event": "text", "text": "you said \x1b"}
            yield {"event": "text", "text": f"[1m{text}"}
            if "ask" in text:
                yield {"event": "approval", "approval": self.found("apr_1")}
                yield await self.answer_to("apr_1")
            if "wait" in text:
                await asyncio.sleep(3600)
            yield {"event": "done", "session": "agent:bruba-main:main", "text": "all", "seq": 5}
        finally:
            self.turns_ended += 1

    async def policy_files(self) -> Any:
        return {"version": "v", "config": self.config, "approvals": None, "profiles": {}}

    async def shutdown(self, caller: Caller) -> None:
        self.stopped.set()


def simulated_server(
    service: SimulatedService, access: Access | None = None, agents: frozenset[int] = frozenset()
) -> Server:
    found = place.process(1)
    hello = Hello("0", 1, found.started if found else 0, ephemeral=True)
    return Server(service, access or Access(0, 0), lambda: agents, hello)


@contextmanager
def connected(service: SimulatedService | None = None) -> Iterator[tuple[Client, SimulatedService]]:
    """A client whose gateway lives in a thread."""
    held = service or SimulatedService()
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=lambda: asyncio.run(simulated_server(held).attend(theirs)))
    thread.start()
    try:
        with Client(ours, lambda: None) as client:
            yield client, held
    finally:
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def listening(
    home: Path, service: SimulatedService | None = None
) -> Iterator[Callable[[Callable[[SimulatedService], Any]], Any]]:
    """A lasting gateway of this home, in a thread; yields how to do something in its midst."""
    held = service or SimulatedService()
    listener = place.listen(home)
    loop = asyncio.new_event_loop()
    found = place.process(os.getpid())
    hello = Hello("0", os.getpid(), found.started if found else 0, ephemeral=False)
    server = Server(held, Access(os.getuid(), os.getuid()), frozenset, hello)
    serving = loop.create_task(server.serve(listener))

    def body() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)
        loop.close()

    def do(work: Callable[[SimulatedService], Any]) -> Any:
        async def inside() -> Any:
            return work(held)

        return asyncio.run_coroutine_threadsafe(inside(), loop).result(10)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield do
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(10)
        listener.close()
        place.withdraw(home)
        assert not thread.is_alive()


def rehearse(home: Path) -> None:
    """A simulated home can always be started."""


def serve(home: Path, *, listener: socket.socket | None, connection: socket.socket | None) -> None:
    """What ``bascule.app.serve`` is, simulated: for programs that put this module in its place."""
    if (home / "refuse").exists():
        (listener or connection).close()
        raise Unavailable("simulated_refusal", "this home does not start", "remove the file refuse")
    if (home / "crash").exists():
        raise ZeroDivisionError

    async def body() -> None:
        service = SimulatedService()
        if (home / "bascule.json5").exists():
            service.config = (home / "bascule.json5").read_text()
        found = place.process(os.getpid())
        hello = Hello("0", os.getpid(), found.started if found else 0, ephemeral=listener is None)
        server = Server(service, Access(home.stat().st_uid, os.getuid()), frozenset, hello)
        if connection is not None:
            await server.attend(connection)
        elif listener is not None:
            serving = asyncio.ensure_future(server.serve(listener))
            await service.stopped.wait()
            await asyncio.sleep(0.05)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(body())
