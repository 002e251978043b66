"""The part of the office where questions are shown and answered, and grants are given and taken back.

Stops: an answer by somebody policy does not name at that moment, on any surface; an answer to another question than the
one that was shown; many answers at once where each needs a look of its own. The desk itself decides who was first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bascule.app import reports
from bascule.app.staff import Staff
from bascule.core.answer import Approval, Grant, State
from bascule.core.errors import Malformed, NotPermitted
from bascule.desk.grants import Terms
from bascule.desk.pending import Answered
from bascule.desk.widening import Pattern
from bascule.service.passkeys import Yes
from bascule.service.port import Caller, Wider
from bascule.service.shapes import (
    AnsweredEvent,
    ApprovalDetail,
    ApprovalEvent,
    ApprovalRow,
    GrantRow,
    WatchEvent,
)

HISTORY = 10_000
"""Questions a list with the settled ones goes back; whoever wants older ones asks the ledger."""

MAX_ITEMS = 500
"""Questions one bulk answer may name: more than anybody has looked at."""

_ANSWERS = {"approve": State.APPROVED, "deny": State.DENIED}


class Answering:
    """Implements the approvals and grants of :class:`bascule.service.port.Service`."""

    def __init__(self, staff: Staff) -> None:
        self._to = staff

    async def approvals_list(self, *, everything: bool) -> list[ApprovalRow]:
        """See the protocol."""
        if everything:
            found = await self._to.desk.summaries(tuple(State), last=HISTORY)
        else:
            found = await self._to.desk.summaries((State.PENDING,))
        return [reports.approval_row(each) for each in found]

    async def approvals_show(self, *, ref: str) -> ApprovalDetail:
        """See the protocol."""
        return reports.approval_detail(await self._to.desk.show(ref))

    async def approvals_approve(self, caller: Caller, *, ref: str) -> ApprovalDetail:
        """See the protocol."""
        question = await self._to.desk.show(ref)
        self._spend(caller, question)
        return reports.approval_detail(_won(await self._answer(caller, question.id, State.APPROVED)).approval)

    async def approvals_deny(self, caller: Caller, *, ref: str) -> ApprovalDetail:
        """See the protocol."""
        return reports.approval_detail(_won(await self._answer(caller, ref, State.DENIED)).approval)

    async def approvals_grant(self, caller: Caller, *, ref: str, wider: Wider) -> GrantRow:
        """See the protocol."""
        question = await self._to.desk.show(ref)
        layout = self._to.rules(question.agent).layout
        pattern = Pattern(wider.args, wider.under) if wider.extent == "pattern" else None
        terms = Terms(wider.extent, layout, wider.this_session, wider.minutes, wider.uses, pattern)
        self._spend(caller, question, wider)
        granted = _won(await self._answer(caller, question.id, State.APPROVED, terms)).grant
        if granted is None:
            raise NotPermitted("grant_never", "no grant came of it", "approve it once")
        return reports.grant(granted)

    async def approvals_decide(self, caller: Caller, *, answer: str, items: str) -> list[ApprovalDetail]:
        """See the protocol."""
        if answer not in _ANSWERS:
            raise Malformed("approval_answer", "the answer is approve or deny")
        shown = [await self._shown(item) for item in _items(items)]
        if len(shown) > 1 and any(question.action in reports.ONE_BY_ONE for question in shown):
            raise NotPermitted("bulk_never", "external and admin calls are answered one by one", "answer those alone")
        self._approvers(caller)
        if answer == "approve":
            for question in shown:
                self._spend(caller, question)
        answered = [await self._answer(caller, question.id, _ANSWERS[answer]) for question in shown]
        return [reports.approval_detail(one.approval) for one in answered]

    async def _shown(self, item: tuple[str, str]) -> Approval:
        """Return the question an item names, if it is the one that was shown."""
        ref, digest = item
        found = await self._to.desk.show(ref)
        if found.digest != digest:
            raise NotPermitted("digest_differs", f"{found.id} is not about what was shown", "look at it again")
        return found

    async def approvals_watch(self, caller: Caller) -> AsyncIterator[WatchEvent]:
        """See the protocol."""
        del caller
        moved: asyncio.Queue[Approval] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def hear(found: Approval) -> None:
            loop.call_soon_threadsafe(moved.put_nowait, found)

        stop = self._to.desk.listen(hear)
        told: set[str] = set()
        try:
            for found in await self._to.desk.list((State.PENDING,)):
                told.add(found.id)
                yield _asked(found)
            while True:
                found = await moved.get()
                if found.state is not State.PENDING:
                    told.discard(found.id)
                    yield AnsweredEvent(
                        event="answered", id=found.id, state=found.state.value, answered_by=found.answered_by
                    )
                elif found.id not in told:
                    told.add(found.id)
                    yield _asked(found)
        finally:
            stop()

    async def grants_list(self, *, everything: bool) -> list[GrantRow]:
        """See the protocol."""
        return [reports.grant(found) for found in await self._to.desk.grants.list(everything=everything)]

    async def grants_revoke(self, caller: Caller, *, grant: str) -> GrantRow:
        """See the protocol."""
        by, approvers = self._approvers(caller)
        ended: Grant = await self._to.desk.grants.revoke(grant, by=by, approvers=approvers)
        return reports.grant(ended)

    def _spend(self, caller: Caller, question: Approval, wider: Wider | None = None) -> None:
        """Use up the passkey's proof for a yes over HTTP that needs one; a settled question needs none to say so.

        Raises:
            NotPermitted: ``passkey_needed``.
        """
        if question.state is State.PENDING:
            yes = Yes(question.id, question.digest, wider)
            self._to.keys.passkeys.spend(caller.principal, yes, action=question.action)

    async def _answer(self, caller: Caller, ref: str, answer: State, wider: Terms | None = None) -> Answered:
        by, approvers = self._approvers(caller)
        found = await self._to.desk.show(ref)
        if (
            answer is State.APPROVED
            and found.state is State.PENDING
            and found.policy_version != self._to.policy.version
        ):
            told = f"{found.id} was asked under another policy, and a yes to it would count for nothing"
            raise NotPermitted("approval_outdated", told, "deny it; the call is asked about anew when it is made again")
        return await self._to.desk.answer(found.id, answer, by=by, approvers=approvers, wider=wider)

    def _approvers(self, caller: Caller) -> tuple[str, tuple[str, ...]]:
        """Return the caller's name for the record, and itself as an approver if it is one at this moment.

        Whom the kernel vouches for is root or the home's owner: the machine's operator.

        Raises:
            NotPermitted: ``not_an_approver``.
        """
        if caller.person is not None and caller.person not in self._to.policy.operators:
            who = caller.person[:64]
            raise NotPermitted("not_an_approver", f"{who!r} may not answer questions", "name them in `operators`")
        return caller.name, (caller.name,)


def _won(answered: Answered) -> Answered:
    """Return the answer if it was the first.

    Raises:
        NotPermitted: ``approval_settled``: who was first, and what they said.
    """
    if not answered.won:
        state, by = answered.approval.state.value, answered.approval.answered_by
        raise NotPermitted("approval_settled", f"{answered.approval.id} is already {state}{f' by {by}' if by else ''}")
    return answered


def _items(untrusted_items: str) -> list[tuple[str, str]]:
    """Read ``id=digest`` by commas.

    Raises:
        Malformed: ``approval_items``.
    """
    found = [part.partition("=") for part in untrusted_items.split(",")]
    del untrusted_items
    if not all(ref and equals and digest for ref, equals, digest in found) or len(found) > MAX_ITEMS:
        raise Malformed("approval_items", f"name 1 to {MAX_ITEMS} questions, each as id=digest, by commas")
    return [(ref.strip(), digest.strip()) for ref, _, digest in found]


def _asked(found: Approval) -> ApprovalEvent:
    return ApprovalEvent(event="approval", approval=reports.approval_detail(found))
