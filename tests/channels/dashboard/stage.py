"""A dashboard on a real port, in a thread of its own, over the simulated gateway with rows as a real one has them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from fastapi import FastAPI
from tests.channels.simulated_channel import SimulatedChannel, SimulatedDoors, approval, simulated_policy

from bascule.channels import dashboard
from bascule.channels.web.serving import listen, serve
from bascule.channels.web.site import Site, build
from bascule.core.surfaces import HttpPolicy
from bascule.service.port import Caller, Wider

T = TypeVar("T")

CARD = [
    "bruba-main wants to use exec (compute: runs a program in a box of its own; reads only unless its entry says writes)",
    "session: agent:bruba-main:main",
    'parameters: {"command":"wc -l notes/2026-03.md"}',
    "asked by l6_exec_allowlist: /usr/bin/wc is not on the list of bruba-main",
    "what would change that: list it in exec-approvals.json",
    "its words are untrusted and private; they come from: operator, web:example.org",
    "command: wc -l notes/2026-03.md",
    "runs: wc -l notes/2026-03.md",
    "  program /usr/bin/wc (binary), sha256 5f2b0c4a9d1e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a",
    "digest of all this: 3b1f0c2d4e5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
]
EDIT = [
    "bruba-web wants to use edit (write: changes a file; the old content is not kept)",
    "session: agent:bruba-web:main",
    "asked by l2_sandbox: path: /home/pat/todo.txt lies outside the agent's directory and would be written",
    "its words are trusted and private; they come from: operator",
    "edit the file: /home/pat/todo.txt",
    "in the one place where this stands:",
    "- buy milk",
    "+ buy milk and bread",
]
MAIL = [
    "bruba-main wants to use message (external: leaves the machine; cannot be taken back)",
    "session: agent:bruba-main:main",
    "asked by flow: private data would leave",
    "to: +49 170 0000000",
    "text: The train is late, start without me.",
]


def instant(seconds: float = 0) -> str:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def question(number: int, card: list[str], **more: Any) -> dict[str, Any]:
    agent, _, rest = card[0].partition(" wants to use ")
    times = {"created": instant(-60 * (40 - number)), "expires": instant(60 * (5 + number))}
    row = approval(number, agent, tool=rest.split(" ", 1)[0], action=rest[rest.index("(") + 1 : rest.index(":")])
    row["bulk"] = row["action"] not in ("external", "admin")
    return row | times | {"card": card, "summary": card[0], "proposal": [], "seq": 1} | more


class StagedChannel(SimulatedChannel):
    """Three questions of three kinds, agents that have everything an agent can have, and a ledger with a lineage."""

    def __init__(self) -> None:
        super().__init__()
        asked = (
            question(1, CARD, proposal=["wc -l *.md below /workspace/notes", "also: any file there", "for an hour"]),
            question(2, EDIT, ungrantable=""),
            question(3, MAIL, ungrantable="external calls are asked about one by one"),
        )
        self.questions = {row["id"]: row for row in asked}
        self.keys: list[dict[str, Any]] = [
            {
                "id": "tok_1", "name": "phone", "state": "active", "scopes": ["approve", "read"], "agents": ["*"],
                "session": "", "trusted": False, "person": "pat", "created": instant(-9e5), "expires": instant(9e6),
                "last_used": instant(-4000),
            }
        ]  # fmt: skip
        self.widened: list[Wider] = []
        self.talk = [
            {"at": instant(-300), "role": "operator", "text": "How long are the notes of March?"},
            {"at": instant(-290), "role": "agent", "text": "Let me count the lines.\n\n    wc -l notes/2026-03.md"},
            {"at": instant(-280), "role": "tool", "text": "asked the operator"},
        ]
        for kind, body in (
            (
                "asked",
                {"label": {"integrity": "untrusted", "confidentiality": "private", "sources": ["web:example.org"]}},
            ),
            ("started", {}),
            ("finished", {"ok": True, "exit": 0}),
        ):
            self.record(kind, "bruba-main", {"tool": "exec", **body})
        for row in self.records:
            row["summary"] = f"exec {row['kind']}"
            row["at"] = instant(-600 + 20 * row["seq"])

    def settle(self, ref: str, by: str, state: str = "approved") -> None:
        """Answer a question on another surface."""
        self.questions[ref] |= {"state": state, "answered_by": by}
        self.record(state, self.questions[ref]["agent"])

    def put(self, row: dict[str, Any]) -> None:
        """Ask one more question."""
        self.questions[row["id"]] = row
        self.record("asked", row["agent"])

    async def approvals_grant(self, caller: Caller, *, ref: str, wider: Wider) -> Any:
        self.widened.append(wider)
        return await super().approvals_grant(caller, ref=ref, wider=wider)

    async def agents_show(self, *, agent: str) -> Any:
        found = await super().agents_show(agent=agent)
        entry = {
            "pattern": "/usr/bin/wc", "args": None, "writes": False, "needs": [], "class": "compute",
            "reason": "counts lines", "where": "exec-approvals.json:12",
        }  # fmt: skip
        found |= {
            "exec": {
                "security": "allowlist", "ask": "on-miss", "askFallback": "deny", "broken": "",
                "allowlist": [entry, entry | {"pattern": "tools/sum.sh", "args": "--all", "writes": True, "needs": ["/bin/sh"]}],
            },
            "quota": {"callsPerMinute": 600, "callsPerDay": 20_000, "pendingApprovals": 100},
            "directory": f"/home/pat/.bascule/agents/{agent}",
            "prompts": ["/home/pat/.bascule/prompts/AGENTS.md"],
            "standings": [
                {"id": "exec", "action": "compute", "standing": "given", "why": ""},
                {"id": "message", "action": "external", "standing": "denied", "why": "agents.defaults.tools.deny"},
                {"id": "web_fetch", "action": "web", "standing": "not given", "why": "tools.profile"},
            ],
        }  # fmt: skip
        return found

    async def sandbox_explain(self, *, agent: str) -> Any:
        found = await super().sandbox_explain(agent=agent)
        lines = [
            f"{agent} runs in bubblewrap boxes, under its own account",
            "network: none (none in policy; no box has a route)",
            f"in it: /home/pat/.bascule/agents/{agent} -> /workspace (read-only)",
            f"to change this: agents.list[0].sandbox of {agent}",
        ]
        return found | {"lines": lines, "limits": {"memoryBytes": 512 << 20, "pids": 64, "cpuSeconds": 60}}

    async def sessions_show(self, *, session: str) -> Any:
        return await super().sessions_show(session=session) | {"transcript": list(self.talk)}

    async def tokens_list(self) -> Any:
        return [dict(row) for row in self.keys]

    async def tokens_revoke(self, caller: Caller, *, token: str) -> Any:
        for row in self.keys:
            if row["id"] == token:
                row["state"] = "revoked"
                return dict(row)
        return await super().tokens_revoke(caller, token=token)


class Stage:
    """A running dashboard; :meth:`do` runs something on its own event loop and returns what it gives."""

    def __init__(
        self, port: int, loop: asyncio.AbstractEventLoop, channel: StagedChannel, doors: SimulatedDoors
    ) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.channel = channel
        self.doors = doors
        self._loop = loop

    def do(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return self.wait(run())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def link(self) -> str:
        """Return the address of a one-time link."""
        secret = f"link-{len(self.doors.tried)}-{len(self.doors.links)}"
        self.do(lambda: self.doors.links.add(secret))
        return f"{self.address}/sign-in?link={secret}"


@contextmanager
def staged(
    channel: StagedChannel | None = None, doors: Any = None, add: Callable[[FastAPI, Site], None] = dashboard.add
) -> Iterator[Stage]:
    """Serve a dashboard on a free port of this machine's loopback until the block ends."""
    channel = StagedChannel() if channel is None else channel
    doors = SimulatedDoors() if doors is None else doors
    loop = asyncio.new_event_loop()
    listener = listen(HttpPolicy(port=0))
    port = listener.port
    built = build(channel, doors, simulated_policy(HttpPolicy(port=port)), [add])
    serving = loop.create_task(serve(built, listener))

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.gather(serving, return_exceptions=True))

    thread = threading.Thread(target=run, name="dashboard")
    thread.start()
    try:
        yield Stage(port, loop, channel, doors)
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(20)
        loop.close()
