"""Every open question to every approver who is on Signal, and the news of its answer to whoever saw it.

Stops: a question that only one surface shows, or that still looks open where it is not: what is watched is compared
with the desk's list again and again, so a restart, a lost event or a long outage only delays. Does not stop: an
approver from being somebody else's phone; Signal's safety numbers are for that.
"""

from __future__ import annotations

import asyncio

from bascule.channels.signal.cards import card, settled
from bascule.channels.signal.outbox import Asked, Post
from bascule.channels.signal.parts import Parts, addresses
from bascule.core.errors import Malformed
from bascule.service.port import Caller
from bascule.service.shapes import ApprovalDetail

WATCHER = Caller(-1, 0, "signal", "")
"""Who watches: nobody's person, so that nothing could ever be answered in this name."""


class Asking:
    """Keeps the questions that were sent in step with the desk."""

    def __init__(self, parts: Parts) -> None:
        self._to = parts

    async def watch(self) -> None:
        """Follow the desk until cancelled, or until it says no more."""
        async for event in self._to.channel.approvals_watch(WATCHER):
            if event["event"] == "approval":
                self.ask(event["approval"])
            elif event["event"] == "answered":
                known = {each.approval: each for each in self._to.outbox.open_questions()}
                if event["id"] in known:
                    self._settle(known[event["id"]], event["state"], event["answered_by"])

    async def compare(self) -> None:
        """Compare with the desk's list, now and then, until cancelled."""
        while True:
            await self.compare_once()
            self._to.inbox.forget()
            self._to.outbox.forget()
            await asyncio.sleep(self._to.pace.compare)

    async def compare_once(self) -> None:
        """Send what is open and was not sent; close what was sent and is not open."""
        known = {each.approval: each for each in self._to.outbox.open_questions()}
        pending = await self._to.channel.approvals_list(everything=False)
        for row in pending:
            if row["id"] not in known:
                detail = await self._found(row["id"])
                if detail is not None and detail["state"] == "pending":
                    self.ask(detail)
        still = {row["id"] for row in pending}
        for each in known.values():
            if each.approval not in still:
                detail = await self._found(each.approval)
                state, by = (detail["state"], detail["answered_by"]) if detail is not None else ("gone", "")
                if state != "pending":
                    self._settle(each, state, by)

    def ask(self, question: ApprovalDetail) -> None:
        """Put a question to every approver who can be reached; nothing if that was done."""
        drawn = card(question, self._to.signal.chunk)
        kind = "card" if drawn.whole else "pointer"
        posts = [
            Post(f"card {question['id']} {recipient}", recipient, kind, drawn.text, person.name, question["id"])
            for person in self._to.policy.people.values()
            if person.approves
            for recipient in addresses(person, self._to.signal)
        ]
        self._to.outbox.asked(question, posts)
        self._to.posted.set()

    def _settle(self, question: Asked, state: str, by: str) -> None:
        if state == "consumed":
            state = "approved"
        self._to.outbox.settle(question.approval, settled(question.agent, question.tool, question.code, state, by))
        self._to.posted.set()

    async def _found(self, approval: str) -> ApprovalDetail | None:
        try:
            return await self._to.channel.approvals_show(ref=approval)
        except Malformed:
            return None
