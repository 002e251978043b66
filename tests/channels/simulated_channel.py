"""A gateway and its doors that need no machine: every verb works on rows in memory, and everything asked is counted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

from bascule.core.errors import Malformed, NotPermitted, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import Policy
from bascule.core.surfaces import HttpPolicy
from bascule.service.port import Caller, Heard, Minting, Principal, Wider

AGENTS = ("bruba-main", "bruba-web", "bruba-guest")
LABEL = {"integrity": "untrusted", "confidentiality": "private", "sources": ["cli"]}
NOW = "2026-01-01T00:00:00Z"
LATER = "2030-01-01T00:00:00Z"
NASTY = "<script>alert(1)</script> \x1b[31m\u202e"


def digest(number: int) -> str:
    return f"{number:064x}"


def approval(number: int, agent: str = "bruba-main", state: str = "pending", **more: Any) -> dict[str, Any]:
    """One question as the desk would show it; ``number`` makes its id, code and digest."""
    row = {
        "id": f"apr_{number:016x}", "code": f"CODE{number:04d}", "agent": agent, "session": f"agent:{agent}:main",
        "tool": "write", "state": state, "created": NOW, "expires": LATER, "summary": f"write {NASTY}",
        "action": "write", "digest": digest(number), "bulk": True, "card": ["write a file", f"path: {NASTY}"],
        "answered_by": "", "policy_version": "v", "seq": number, "ungrantable": "", "proposal": ["these files"],
    }  # fmt: skip
    return row | more


def grant(number: int, agent: str = "bruba-main", state: str = "active") -> dict[str, Any]:
    return {
        "id": f"gra_{number:016x}", "agent": agent, "session": "", "tool": "write", "state": state, "created": NOW,
        "expires": LATER, "uses_left": None, "used": 0, "granted_by": "pat", "approval": f"apr_{number:016x}",
        "covers": [f"write {NASTY}"],
    }  # fmt: skip


class SimulatedChannel:
    """Rows in memory. ``hearing`` says what a turn does: ``echo``, ``ask``, ``hang``, ``busy``, ``down`` or ``break``."""

    def __init__(self) -> None:
        self.questions = {row["id"]: row for row in (approval(1), approval(2, "bruba-web"), approval(3, "bruba-guest"))}
        self.given = {row["id"]: row for row in (grant(1), grant(2, "bruba-web"))}
        self.contained: dict[str, str] = {}
        self.records: list[dict[str, Any]] = []
        self.moved = asyncio.Event()
        self.callers: list[Caller] = []
        self.heard: list[Heard] = []
        self.resets: list[str] = []
        self.turns_ended = 0
        self.followers = 0
        self.problems: list[dict[str, str]] = []
        self.fail: Exception | None = None
        self._numbers = itertools.count(100)
        for agent in AGENTS:
            self.record("decided", agent, {"decision": {"effect": "allow"}})

    def record(self, kind: str, agent: str, body: dict[str, Any] | None = None) -> int:
        """Write one ledger record, which every follower hears of."""
        seq = len(self.records) + 1
        self.records.append({
            "id": str(seq), "seq": seq, "at": NOW, "kind": kind, "agent": agent, "summary": f"{kind} {NASTY}",
            "hash": digest(seq), "body": {} if body is None else body,
        })  # fmt: skip
        self.moved.set()
        self.moved = asyncio.Event()
        return seq

    def ask(self, agent: str = "bruba-main", **more: Any) -> dict[str, Any]:
        """Put one more question."""
        row = approval(next(self._numbers), agent, **more)
        self.questions[row["id"]] = row
        self.record("asked", agent, {"approval": {"id": row["id"]}})
        return row

    async def status(self) -> Any:
        if self.fail is not None:
            raise self.fail
        return {
            "home": "/home/pat/.bascule", "version": "0", "pid": 1, "started": NOW, "ephemeral": False, "mode": "root",
            "policy_version": "v", "agents": len(AGENTS), "sessions": len(AGENTS),
            "pending_approvals": len(await self.approvals_list(everything=False)), "ledger_seq": len(self.records),
            "problems": list(self.problems),
        }  # fmt: skip

    async def approvals_list(self, *, everything: bool) -> Any:
        found = [row for row in self.questions.values() if everything or row["state"] == "pending"]
        extra = {"card", "answered_by", "policy_version", "seq", "ungrantable", "proposal"}
        return [{key: value for key, value in row.items() if key not in extra} for row in found]

    async def approvals_show(self, *, ref: str) -> Any:
        for row in self.questions.values():
            if ref in (row["id"], row["code"]):
                return dict(row)
        raise Malformed("approval_unknown", f"there is no question {ref!r}")

    async def approvals_approve(self, caller: Caller, *, ref: str) -> Any:
        return await self._answer(caller, ref, "approved")

    async def approvals_deny(self, caller: Caller, *, ref: str) -> Any:
        return await self._answer(caller, ref, "denied")

    async def _answer(self, caller: Caller, ref: str, state: str) -> Any:
        self.callers.append(caller)
        row = self.questions[(await self.approvals_show(ref=ref))["id"]]
        if row["state"] != "pending":
            raise NotPermitted("approval_settled", f"{row['id']} is already {row['state']} by {row['answered_by']}")
        row |= {"state": state, "answered_by": caller.name}
        self.record("answered", row["agent"], {"state": state})
        return dict(row)

    async def approvals_grant(self, caller: Caller, *, ref: str, wider: Wider) -> Any:
        row = await self.approvals_show(ref=ref)
        if row["ungrantable"]:
            raise NotPermitted("grant_never", row["ungrantable"])
        await self._answer(caller, ref, "approved")
        made = grant(next(self._numbers), row["agent"])
        self.given[made["id"]] = made
        return made

    async def approvals_decide(self, caller: Caller, *, answer: str, items: str) -> Any:
        pairs = [item.split("=") for item in items.split(",")]
        for ref, shown in pairs:
            row = await self.approvals_show(ref=ref)
            if row["digest"] != shown:
                raise NotPermitted("digest_differs", f"{ref} differs")
            if not row["bulk"]:
                raise NotPermitted("bulk_never", f"{ref} is answered by itself")
        state = {"approve": "approved", "deny": "denied"}[answer]
        for ref, _ in pairs:
            if self.questions[ref]["state"] == "pending":
                await self._answer(caller, ref, state)
        return [dict(self.questions[ref]) for ref, _ in pairs]

    async def approvals_watch(self, caller: Caller) -> AsyncIterator[Any]:
        for row in list(self.questions.values()):
            if row["state"] == "pending":
                yield {"event": "approval", "approval": dict(row)}

    async def grants_list(self, *, everything: bool) -> Any:
        return [dict(row) for row in self.given.values() if everything or row["state"] == "active"]

    async def grants_revoke(self, caller: Caller, *, grant: str) -> Any:
        self.callers.append(caller)
        row = self.given.get(grant)
        if row is None:
            raise Malformed("grant_unknown", "there is no such grant")
        if row["state"] != "active":
            raise NotPermitted("grant_ended", f"the grant is {row['state']}")
        row["state"] = "revoked"
        return dict(row)

    async def agents_list(self) -> Any:
        return [self._agent(agent) for agent in sorted(AGENTS)]

    def _agent(self, agent: str) -> dict[str, Any]:
        reason = self.contained.get(agent, "")
        shared = {"name": agent.title(), "model": "m", "notice": "", "tools": ["read"], "problems": []}
        return {"id": agent, "contained": reason} | shared

    def _known(self, agent: str) -> str:
        if agent not in AGENTS:
            raise Malformed("agent_unknown", f"there is no agent {agent!r}")
        return agent

    async def agents_show(self, *, agent: str) -> Any:
        rest: dict[str, Any] = {
            "directory": "d",
            "prompts": [],
            "exec": {},
            "sandbox": {"backend": "bubblewrap"},
            "quota": {},
        }
        standing = {"id": "read", "action": "read", "standing": "allowed", "why": NASTY}
        return self._agent(self._known(agent)) | rest | {"standings": [standing], "sessions": [f"agent:{agent}:main"]}

    async def sessions_list(self, *, agent: str | None) -> Any:
        wanted = AGENTS if agent is None else (self._known(agent),)
        return [self._session(name) for name in wanted]

    def _session(self, agent: str) -> dict[str, Any]:
        return {"id": f"agent:{agent}:main", "agent": agent, "messages": 2, "updated": NOW, "label": dict(LABEL)}

    async def sessions_show(self, *, session: str) -> Any:
        for agent in AGENTS:
            if session == f"agent:{agent}:main":
                said = [{"at": NOW, "role": "operator", "text": "hello"}, {"at": NOW, "role": "agent", "text": NASTY}]
                return self._session(agent) | {"transcript": said}
        raise Malformed("session_unknown", f"there is no session {session!r}")

    async def sessions_reset(self, caller: Caller, *, session: str) -> Any:
        found = await self.sessions_show(session=session)
        self.resets.append(session)
        return self._session(found["agent"])

    async def contain(self, caller: Caller, *, agent: str | None, reason: str) -> Any:
        self.callers.append(caller)
        wanted = AGENTS if agent is None else (self._known(agent),)
        if not reason.strip():
            raise Malformed("reason_missing", "containing an agent needs a reason")
        self.contained |= dict.fromkeys(wanted, reason)
        for name in wanted:
            self.record("contained", name)
        return [self._agent(name) for name in wanted]

    async def release(self, caller: Caller, *, agent: str) -> Any:
        self.callers.append(caller)
        self.contained.pop(self._known(agent), None)
        self.record("released", agent)
        return self._agent(agent)

    async def ledger_tail(self, *, count: int, agent: str | None) -> Any:
        found = [row for row in self.records if agent in (None, row["agent"])]
        return found[-count:] if count else []

    async def ledger_show(self, *, seq: int) -> Any:
        if not 1 <= seq <= len(self.records):
            raise Malformed("record_unknown", f"there is no record {seq}")
        return self.records[seq - 1]

    async def ledger_after(self, *, seq: int, count: int, agent: str | None) -> Any:
        return [row for row in self.records if row["seq"] > seq and agent in (None, row["agent"])][:count]

    async def ledger_lineage(self, *, seq: int) -> Any:
        found = await self.ledger_show(seq=seq)
        return [self.records[0], *([found] if found["seq"] != 1 else [])]

    async def dashboard_link(self, caller: Caller) -> Any:
        return {"url": "http://127.0.0.1:18789/login?link=one-time", "expires": LATER}

    async def sandbox_explain(self, *, agent: str) -> Any:
        return {
            "agent": self._known(agent), "backend": "bubblewrap", "network": "none", "workspace_access": "rw",
            "mounts": [], "limits": {}, "lines": ["a box"], "facts": [], "tools": [],
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
        check = {"id": "seccomp", "ok": True, "detail": "2", "remedy": ""}
        return {"agent": self._known(agent), "backend": "bubblewrap", "ok": True, "checks": [check]}

    async def policy_files(self) -> Any:
        return {"version": "v", "config": "{}", "approvals": None, "profiles": {}}

    async def tokens_list(self) -> Any:
        return []

    async def tokens_create(self, caller: Caller, *, minting: Minting) -> Any:
        raise Unavailable("simulated", "tokens are not simulated")

    async def tokens_revoke(self, caller: Caller, *, token: str) -> Any:
        raise Malformed("token_unknown", "there is no such token")

    async def pairing_list(self) -> Any:
        return []

    async def pairing_approve(self, caller: Caller, *, code: str) -> Any:
        raise Malformed("pairing_unknown", "there is no such code")

    async def call(self, caller: Caller, request: Any) -> Any:
        raise Unavailable("simulated", "calls are not simulated")

    async def send(self, caller: Caller, *, agent: str, text: str, session: str | None) -> AsyncIterator[Any]:
        heard = Heard(agent, text, session, trusted=True, origin="operator", sources=frozenset())
        async for event in self.hear(caller, heard):
            yield event

    async def shutdown(self, caller: Caller) -> None:
        self.callers.append(caller)

    async def hear(self, caller: Caller, heard: Heard) -> AsyncIterator[Any]:
        """A turn: the text says what becomes of it."""
        self.callers.append(caller)
        self.heard.append(heard)
        try:
            self._known(heard.agent)
            if heard.text == "busy":
                raise Unavailable("session_busy", "the session is busy")
            if heard.text == "down":
                raise Unavailable("model_down", "the model cannot be reached")
            yield {"event": "text", "text": "you said "}
            if heard.text == "break":
                raise ZeroDivisionError("secret detail")
            if heard.text == "ask":
                row = self.ask(heard.agent)
                yield {"event": "approval", "approval": row}
                while row["state"] == "pending":
                    await self.moved.wait()
                yield {"event": "answered", "id": row["id"], "state": row["state"], "answered_by": row["answered_by"]}
            if heard.text == "hang":
                await asyncio.Event().wait()
            yield {"event": "text", "text": heard.text}
            yield {"event": "done", "session": "s", "text": f"you said {heard.text}", "seq": 5}
        finally:
            self.turns_ended += 1

    async def follow(self, seq: int) -> AsyncIterator[Any]:
        self.followers += 1
        try:
            while True:
                moved = self.moved
                while seq < len(self.records):
                    seq += 1
                    yield self.records[seq - 1]
                await moved.wait()
        finally:
            self.followers -= 1


class SimulatedDoors:
    """Tokens ``tok-<scopes>[.web]``, links and browser sessions, in memory; what was tried is counted."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.tokens: dict[str, Principal] = {}
        self.links: set[str] = set()
        self.sessions: dict[str, Principal] = {}
        for scopes in ("read", "approve", "chat", "admin", "read,approve,chat,admin"):
            for agents in (None, frozenset({"bruba-web"})):
                name = f"tok-{scopes.replace(',', '-')}" + ("" if agents is None else ".web")
                person = "pat" if "approve" in scopes else None
                self.tokens[name] = Principal(
                    name, f"tok_{len(self.tokens)}", person, frozenset(scopes.split(",")), agents
                )

    async def enter(self, untrusted_token: str) -> Principal:
        self.tried.append(untrusted_token)
        if untrusted_token not in self.tokens:
            raise NotPermitted("token_refused", "the token is unknown, expired or revoked")
        return self.tokens[untrusted_token]

    async def redeem(self, untrusted_link: str) -> str:
        self.tried.append(untrusted_link)
        if untrusted_link not in self.links:
            raise NotPermitted("link_refused", "the link is used up or unknown")
        self.links.discard(untrusted_link)
        return self._begin(Principal("browser", "", None, frozenset({"read", "approve", "chat", "admin"}), None))

    async def sign_in(self, untrusted_token: str) -> str:
        return self._begin(await self.enter(untrusted_token))

    def _begin(self, principal: Principal) -> str:
        secret = f"session-{len(self.sessions)}"
        self.sessions[secret] = principal
        return secret

    async def recognise(self, untrusted_session: str) -> Principal:
        self.tried.append(untrusted_session)
        if untrusted_session not in self.sessions:
            raise NotPermitted("session_refused", "the browser is not signed in")
        return self.sessions[untrusted_session]

    async def leave(self, untrusted_session: str) -> None:
        self.sessions.pop(untrusted_session, None)


def simulated_policy(http: HttpPolicy | None = None) -> Policy:
    """A policy that names the simulated gateway's surfaces and nothing else."""
    return Policy("v", {}, AgentId("bruba-main"), http=HttpPolicy() if http is None else http)
