"""Grants: a yes for more than one call, bounded in what, whose, how long, how often and how trusted; and revocable.

Stops: a grant covering another program, policy, session or a higher label than it was given for, being used once more
than it may, or after its time. Every use is counted in the transaction that lets the call go, with its record, so two
callers cannot spend the same one. Does not stop a call inside the extent from doing harm; the operator was shown it.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from bascule.core.answer import Approval, Grant, Standing
from bascule.core.call import Call
from bascule.core.canonical import Json
from bascule.core.errors import Malformed, NotPermitted
from bascule.core.paths import Layout
from bascule.core.policy import Policy
from bascule.desk.extent import covers, extent_of, from_json, refusal, to_json
from bascule.desk.hours import Hours
from bascule.desk.question import ID_BYTES, Mark, make_id, within
from bascule.desk.rows import GRANT_COLUMNS, grant
from bascule.desk.widening import Pattern, by_hand
from bascule.layers.l6_exec_allowlist import action_of
from bascule.state.connection import Database, Row, Transaction
from bascule.state.journal import Journal

MAX_SECONDS = 24 * 3600
"""How long a grant may last: a working day and its night. Longer wants are a line of policy."""

MAX_USES = 1000
"""How many calls a counted grant may cover."""

_INSERT = f"INSERT INTO desk_grants ({GRANT_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 -- only constants of these two files
_SELECT = f"SELECT {GRANT_COLUMNS} FROM desk_grants"  # noqa: S608 -- only constants of these two files
_LIVE = f"{_SELECT} WHERE state = 'active' AND agent = ? AND tool = ? AND due > ? ORDER BY created"
_DUE = f"{_SELECT} WHERE state = 'active' AND due <= ?"
_SPEND = """UPDATE desk_grants SET used = used + 1, uses_left = uses_left - 1, state = ?
WHERE id = ? AND state = 'active' AND used = ?"""
_END = "UPDATE desk_grants SET state = ? WHERE id = ? AND state = 'active'"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operator grants; see ``service/port.py``, class ``Wider``, for the words.

    ``layout`` is that of the agent's files, by which a pattern's directory is understood.
    """

    extent: str
    layout: Layout
    this_session: bool = False
    minutes: int | None = None
    uses: int | None = None
    pattern: Pattern | None = None


class Grants:
    """The table ``desk_grants``; whoever holds the transaction and the desk's time decides when it moves."""

    def __init__(self, database: Database, hours: Hours, journal: Journal, entropy: Callable[[int], bytes]) -> None:
        self._database = database
        self._hours = hours
        self._journal = journal
        self._entropy = entropy

    def make(self, change: Transaction, mark: Mark, question: Approval, terms: Terms, by: str) -> Grant:
        """Write a grant for calls like the one ``question`` is about.

        Raises:
            Malformed: ``grant_terms``.
            NotPermitted: ``grant_never``, ``grant_misses``.
        """
        if question.ungrantable:
            raise NotPermitted("grant_never", question.ungrantable, "approve it once: leave the options out")
        seconds = _within(terms.minutes, 60, MAX_SECONDS, "minutes")
        if terms.uses is not None:
            _within(terms.uses, 1, MAX_USES, "uses")
        now = mark.latest - mark.offset
        row: Row = (
            make_id(self._entropy(ID_BYTES), "gra"),
            question.agent,
            question.session if terms.this_session else "",
            question.tool,
            Standing.ACTIVE.value,
            now,
            now + seconds,
            terms.uses,
            0,
            by,
            question.id,
            question.policy_version,
            question.label_rank,
            _reach(question, terms),
            mark.latest + seconds,
        )
        change.execute(_INSERT, row)
        made = grant(row, mark.offset)
        self._journal.record(change, "granted", {**_body(made, by), "extent": made.extent, "parent": question.seq})
        return made

    def take(self, change: Transaction, mark: Mark, call: Call, policy: Policy) -> Grant | None:
        """Count one use of the first grant that covers this very call, or return None.

        Raises:
            Unavailable: it could not be written; do nothing.
        """
        rows = change.execute(_LIVE, (call.agent, call.tool, mark.latest))
        if not rows or refusal(call, action_of(call, policy.agents[call.agent])):
            return None
        exact = extent_of(call)
        for row in rows:
            found = grant(row, mark.offset)
            if _covers(found, call, policy) and covers(from_json(found.extent), exact):
                return self._spend(change, found, call)
        return None

    def _spend(self, change: Transaction, found: Grant, call: Call) -> Grant | None:
        left = None if found.uses_left is None else found.uses_left - 1
        state = Standing.USED_UP if left == 0 else Standing.ACTIVE
        change.execute(_SPEND, (state.value, found.id, found.used))
        if change.changes() != 1:
            return None
        spent = replace(found, used=found.used + 1, uses_left=left, state=state)
        self._journal.record(change, "grant_used", {**_body(spent, found.granted_by), "digest": call.digest})
        return spent

    def expire(self, change: Transaction, mark: Mark) -> None:
        """End what has run out."""
        for row in change.execute(_DUE, (mark.latest,)):
            self._end(change, grant(row, mark.offset), Standing.EXPIRED, "clock")

    def any_due(self, mark: Mark) -> bool:
        """True if something has run out and is not ended yet."""
        return bool(self._database.read(f"{_DUE} LIMIT 1", (mark.latest,)))

    def end_where(self, change: Transaction, mark: Mark, why: str, agent: str | None, session: str | None) -> int:
        """Revoke the grants of an agent, or those for one session only, or all; return how many."""
        where = f"{_SELECT} WHERE state = 'active' AND (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR session = ?2)"
        rows = change.execute(where, (agent, session))
        for row in rows:
            self._end(change, grant(row, mark.offset), Standing.REVOKED, why)
        return len(rows)

    async def begin(self, policy: Policy) -> int:
        """End what was granted under every other policy, for it covers nothing any more; return how many there were.

        Raises:
            Unavailable: it could not be written.
        """
        with self._database.transaction() as change:
            mark = self._hours.keep(change)
            rows = change.execute(f"{_SELECT} WHERE state = 'active' AND policy_version != ?", (policy.version,))
            for row in rows:
                self._end(change, grant(row, mark.offset), Standing.REVOKED, "the policy changed")
        return len(rows)

    def _end(self, change: Transaction, found: Grant, state: Standing, by: str) -> Grant:
        change.execute(_END, (state.value, found.id))
        ended = replace(found, state=state)
        self._journal.record(change, f"grant_{state.value}", _body(ended, by))
        return ended

    async def list(self, *, everything: bool = False) -> builtins.list[Grant]:
        """Return active grants, oldest first, or all there ever were."""
        mark = self._hours.now()
        where = "" if everything else "WHERE state = 'active' AND due > ?"
        rows = self._database.read(f"{_SELECT} {where} ORDER BY rowid", () if everything else (mark.latest,))
        found = [grant(row, mark.offset) for row in rows]
        late = {row[0] for row in rows if row[14] <= mark.latest}
        return [
            replace(one, state=Standing.EXPIRED) if one.state is Standing.ACTIVE and one.id in late else one
            for one in found
        ]

    async def revoke(self, untrusted_id: str, *, by: str, approvers: Collection[str]) -> Grant:
        """End a grant.

        Raises:
            NotPermitted: ``not_an_approver``, or it has ended (``grant_ended``).
            Malformed: ``grant_unknown``.
            Unavailable: it could not be written; it goes on.
        """
        if by not in approvers:
            raise NotPermitted("not_an_approver", f"{by[:64]!r} may not answer questions", "name them in `operators`")
        with self._database.transaction() as change:
            mark = self._hours.keep(change)
            self.expire(change, mark)
            rows = change.execute(f"{_SELECT} WHERE id = ?", (untrusted_id.strip().lower(),))
            if not rows:
                raise Malformed("grant_unknown", f"there is no grant {untrusted_id[:40]!r}", "see: bascule grants list")
            found = grant(rows[0], mark.offset)
            if found.state is not Standing.ACTIVE:
                raise NotPermitted("grant_ended", f"{found.id} is already {found.state.value}")
            ended = self._end(change, found, Standing.REVOKED, by)
        await self._database.sync()
        return ended


def _covers(found: Grant, call: Call, policy: Policy) -> bool:
    return (
        found.policy_version == policy.version
        and found.session in {"", call.session}
        and found.uses_left != 0
        and within(found.label_rank, call.label)
    )


def _reach(question: Approval, terms: Terms) -> str:
    match terms.extent:
        case "exact":
            return question.extent
        case "similar":
            return question.proposal if question.proposal else question.extent
        case "pattern" if terms.pattern is not None:
            return to_json(by_hand(from_json(question.extent), terms.pattern, terms.layout))
        case _:
            raise Malformed("grant_terms", "a yes reaches exact, similar or as a pattern says")


def _within(number: int | None, unit: int, most: int, name: str) -> int:
    """Return ``number`` in units of one, or the most there is for None."""
    if number is None:
        return most
    if not 1 <= number <= most // unit:
        raise Malformed("grant_terms", f"{name} must be from 1 to {most // unit}")
    return number * unit


def _body(found: Grant, by: str) -> dict[str, Json]:
    return {
        "agent": found.agent,
        "session": found.session,
        "tool": found.tool,
        "grant": found.id,
        "approval": found.approval,
        "used": found.used,
        "left": found.uses_left,
        "by": by,
        "policy": found.policy_version,
        "label": found.label_rank,
    }
