"""A desk that needs no database: questions, answers, grants, and everybody who watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from bascule.core.errors import Malformed, NotPermitted
from bascule.service.port import Caller, Wider


def question(ident: str, code: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": ident, "code": code, "agent": "bruba-main", "session": "agent:bruba-main:main", "tool": "write",
        "state": "pending", "created": "2026-01-01T00:00:00Z", "expires": "2030-01-01T00:00:00Z",
        "summary": "write \x1b[31m/etc/motd", "action": "write", "digest": f"{number:064x}", "bulk": True,
        "card": ["write a file", "path: /etc/motd\u202e", "two\nlines"], "answered_by": "", "policy_version": "v",
        "seq": number, "ungrantable": "", "proposal": ["write below /etc/motd.d", "with any content"],
    } | more  # fmt: skip


class SimulatedDesk:
    """One question stands from the start; ``ask`` puts another."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = {"apr_1": question("apr_1", "ABC", 3)}
        self.grants: dict[str, dict[str, Any]] = {}
        self.wider: list[Wider] = []
        self.watchers: list[asyncio.Queue[Any]] = []
        self.watches_ended = 0

    def ask(self, ident: str, **more: Any) -> None:
        number = len(self.questions) + 3
        self.questions[ident] = question(ident, f"C{number}", number, **more)
        self._tell({"event": "approval", "approval": self.questions[ident]})

    def found(self, ref: str) -> dict[str, Any]:
        for held in self.questions.values():
            if ref in {held["id"], held["code"]}:
                return dict(held)
        raise Malformed("approval_unknown", "there is no such question")

    def _tell(self, event: dict[str, Any]) -> None:
        for queue in self.watchers:
            queue.put_nowait(event)

    def settle(self, ref: str, state: str, by: str) -> dict[str, Any]:
        held = self.found(ref)
        if held["state"] != "pending":
            text = f"{held['id']} is already {held['state']} by {held['answered_by']}"
            raise NotPermitted("approval_settled", text)
        self.questions[held["id"]] |= {"state": state, "answered_by": by}
        self._tell({"event": "answered", "id": held["id"], "state": state, "answered_by": by})
        return self.found(ref)

    async def answer_to(self, ref: str) -> dict[str, Any]:
        async for event in self.approvals_watch(Caller(0, 0, "turn")):
            if event["event"] == "answered" and event["id"] == ref:
                return event
        raise AssertionError

    async def approvals_list(self, *, everything: bool) -> Any:
        return [held for held in self.questions.values() if everything or held["state"] == "pending"]

    async def approvals_show(self, *, ref: str) -> Any:
        return self.found(ref)

    async def approvals_approve(self, caller: Caller, *, ref: str) -> Any:
        return self.settle(ref, "approved", caller.name)

    async def approvals_deny(self, caller: Caller, *, ref: str) -> Any:
        return self.settle(ref, "denied", caller.name)

    async def approvals_decide(self, caller: Caller, *, answer: str, items: str) -> Any:
        pairs = [item.partition("=") for item in items.split(",")]
        for ident, _, digest in pairs:
            held = self.found(ident)
            if held["digest"] != digest:
                raise NotPermitted("digest_differs", f"{ident} is another question than was shown")
            if not held["bulk"]:
                raise NotPermitted("bulk_never", f"{ident} is decided by itself")
        for ident, _, _ in pairs:
            if self.found(ident)["state"] == "pending":
                self.settle(ident, {"approve": "approved", "deny": "denied"}[answer], caller.name)
        return [self.found(ident) for ident, _, _ in pairs]

    async def approvals_grant(self, caller: Caller, *, ref: str, wider: Wider) -> Any:
        held = self.found(ref)
        self.wider.append(wider)
        if held["ungrantable"]:
            raise NotPermitted("grant_never", held["ungrantable"])
        self.settle(ref, "approved", caller.name)
        row = {
            "id": f"gr_{len(self.grants) + 1}", "agent": held["agent"], "tool": held["tool"], "state": "active",
            "session": held["session"] if wider.this_session else "", "created": "2026-01-01T00:00:00Z",
            "expires": "2026-01-01T08:00:00Z", "uses_left": wider.uses, "used": 0, "granted_by": caller.name,
            "approval": held["id"], "covers": [f"{wider.extent}: write below /etc"],
        }  # fmt: skip
        self.grants[row["id"]] = row
        return row

    async def approvals_watch(self, caller: Caller) -> AsyncIterator[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.watchers.append(queue)
        try:
            for held in list(self.questions.values()):
                if held["state"] == "pending":
                    yield {"event": "approval", "approval": held}
            while True:
                yield await queue.get()
        finally:
            self.watchers.remove(queue)
            self.watches_ended += 1

    async def grants_list(self, *, everything: bool) -> Any:
        return [row for row in self.grants.values() if everything or row["state"] == "active"]

    async def grants_revoke(self, caller: Caller, *, grant: str) -> Any:
        if grant not in self.grants:
            raise Malformed("grant_unknown", "there is no such grant")
        if self.grants[grant]["state"] != "active":
            raise NotPermitted("grant_ended", f"{grant} has ended")
        self.grants[grant] |= {"state": "revoked"}
        return self.grants[grant]
