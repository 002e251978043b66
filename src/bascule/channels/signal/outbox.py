"""What goes out: on disk before it is sent, in order for each recipient, tried again until it is out or out of time.

Stops: an answer, a notice or a question lost in a restart, sent twice because a surface asked twice, or overtaken by an
agent that talks a lot (what is Bascule's own goes first). Stops an answer to one message counting for another: the time
stamp under which each question went out is kept with the person it went to. Does not stop: a message arriving twice if
the gateway, or signal-cli, ends between sending and noting it; signal-cli takes no key that would tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bascule.channels.signal.intent import SentCard
from bascule.channels.signal.tables import KEPT_SECONDS
from bascule.core.ports import Clock
from bascule.service.shapes import ApprovalRow
from bascule.state.connection import Database, Row, Transaction

GIVE_UP_SECONDS = 86_400.0
"""How long a message is tried; after a day it would confuse rather than tell."""

_COLUMNS = "seq, recipient, kind, approval, body, made, tries"
_NEXT = f"""SELECT {_COLUMNS} FROM signal_outbox AS one WHERE state = 'waiting' AND due <= ?1
AND NOT EXISTS (SELECT 1 FROM signal_outbox AS other WHERE other.state = 'waiting' AND other.recipient = one.recipient
    AND (other.kind = 'words') = (one.kind = 'words') AND other.seq < one.seq)
ORDER BY kind = 'words', seq LIMIT 1"""  # noqa: S608 -- only constants of this file
_POST = """INSERT INTO signal_outbox
(once, recipient, person, kind, approval, body, made, due, tries, state, sent_at, fault)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 'waiting', 0, '') ON CONFLICT DO NOTHING"""
_CARD = """SELECT o.approval, q.code, o.kind FROM signal_outbox AS o JOIN signal_question AS q USING (approval)
WHERE o.person = ? AND o.sent_at = ? AND o.sent_at > 0 AND o.kind IN ('card', 'pointer')"""
_UNTOLD = """SELECT DISTINCT recipient, person FROM signal_outbox
WHERE approval = ? AND kind IN ('card', 'pointer') AND (state = 'sent' OR tries > 0)"""


@dataclass(frozen=True, slots=True)
class Post:
    """A message to send.

    Attributes:
        once: what makes it the same message if it is posted again.
        recipient: a number, an id, or ``group:`` and a group's id.
        kind: ``card``, ``pointer`` (a question that is decided elsewhere), ``notice`` or ``words`` (an agent's).
        body: the text.
        person: the operator it is for, if it is a question.
        approval: the question's id, likewise.
    """

    once: str
    recipient: str
    kind: str
    body: str
    person: str = ""
    approval: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is due."""

    seq: int
    recipient: str
    kind: str
    approval: str
    body: str
    made: float
    tries: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the outbox remembers it."""

    approval: str
    code: str
    agent: str
    tool: str


class Outbox:
    """The tables of what goes out and of the questions it is about."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        rows = database.read("SELECT code FROM signal_question")
        self._codes = {str(row[0]) for row in rows}

    @property
    def codes(self) -> frozenset[str]:
        """Every code that is remembered, of open and settled questions."""
        return frozenset(self._codes)

    def post(self, posts: Iterable[Post], change: Transaction) -> None:
        """Put messages at the end, as part of a change; what was posted before is not posted again."""
        now = self._clock.now()
        for each in posts:
            row = (each.once, each.recipient, each.person, each.kind, each.approval, each.body, now, now)
            change.execute(_POST, row)

    def asked(self, question: ApprovalRow, posts: Iterable[Post]) -> None:
        """Remember an open question and put its messages at the end; nothing new if it is known."""
        row = (question["id"], question["code"], question["agent"], question["tool"], self._clock.now())
        with self._database.transaction() as change:
            change.execute(
                "INSERT INTO signal_question VALUES (?, ?, ?, ?, ?, 'open') ON CONFLICT DO NOTHING",
                row,
            )
            self.post(posts, change)
        self._codes.add(question["code"])

    def settle(self, approval: str, body: str) -> None:
        """Close a question: drop what was not sent of it, tell everyone who may have seen it; once."""
        with self._database.transaction() as change:
            change.execute(
                "UPDATE signal_question SET state = 'settled' WHERE approval = ?1 AND state = 'open'", (approval,)
            )
            if change.changes() != 1:
                return
            told = change.execute(_UNTOLD, (approval,))
            change.execute(
                "UPDATE signal_outbox SET state = 'dropped', body = '' WHERE approval = ? AND state = 'waiting'",
                (approval,),
            )
            self.post(
                (
                    Post(f"settled {approval} {recipient}", recipient, "notice", body, person)
                    for recipient, person in told
                ),
                change,
            )

    def open_questions(self) -> list[Asked]:
        """Return the questions that are remembered as open."""
        rows = self._database.read("SELECT approval, code, agent, tool FROM signal_question WHERE state = 'open'")
        return [Asked(*row) for row in rows]

    def card_at(self, person: str, at: int) -> SentCard | None:
        """Return the question that went to a person in the message of this time stamp."""
        rows = self._database.read(_CARD, (person, at))
        return SentCard(rows[0][0], rows[0][1], rows[0][2] == "card") if len(rows) == 1 else None

    def waits_for(self, person: str) -> bool:
        """True if a question sent to this person is open."""
        query = """SELECT 1 FROM signal_outbox JOIN signal_question AS q USING (approval)
        WHERE person = ? AND q.state = 'open' LIMIT 1"""
        return bool(self._database.read(query, (person,)))

    def next(self) -> Waiting | None:
        """Return the message that is due, Bascule's own before agents' words; each recipient's in order."""
        rows = self._database.read(_NEXT, (self._clock.now(),))
        return _waiting(rows[0]) if rows else None

    def soonest(self) -> float | None:
        """Return when the next message is due, in seconds since the epoch; None if none waits."""
        rows = self._database.read("SELECT min(due) FROM signal_outbox WHERE state = 'waiting'")
        return float(rows[0][0]) if rows[0][0] is not None else None

    def trying(self, seq: int) -> None:
        """Note, before it is sent, that it may have been: should the gateway end here, nobody knows."""
        self._database.write("UPDATE signal_outbox SET tries = tries + 1 WHERE seq = ?", (seq,))

    async def sent(self, seq: int, at: int) -> None:
        """Note the time stamp it went out under; only questions keep their text's place, none its words."""
        self._database.write(
            "UPDATE signal_outbox SET state = 'sent', sent_at = ?, body = '', fault = '' WHERE seq = ?", (at, seq)
        )
        await self._database.sync()

    def later(self, seq: int, due: float, fault: str) -> None:
        """Note that it did not go out and when to try again."""
        self._database.write("UPDATE signal_outbox SET due = ?, fault = ? WHERE seq = ?", (due, fault, seq))

    def failed(self, seq: int, fault: str) -> None:
        """Note that it never will."""
        self._database.write(
            "UPDATE signal_outbox SET state = 'failed', body = '', fault = ? WHERE seq = ?", (fault, seq)
        )

    def troubles(self) -> list[tuple[str, str]]:
        """Return recipients whose messages do not go out now, or lately never did, with why."""
        query = """SELECT DISTINCT recipient, fault FROM signal_outbox
        WHERE fault != '' AND state IN ('waiting', 'failed') AND made > ? ORDER BY seq LIMIT 20"""
        return [(str(who), str(why)) for who, why in self._database.read(query, (self._clock.now() - GIVE_UP_SECONDS,))]

    def forget(self) -> None:
        """Remove what has been over for long."""
        before = self._clock.now() - KEPT_SECONDS
        with self._database.transaction() as change:
            change.execute("DELETE FROM signal_outbox WHERE state != 'waiting' AND made < ?", (before,))
            change.execute("DELETE FROM signal_question WHERE state = 'settled' AND seen < ?", (before,))
        self._codes = {str(row[0]) for row in self._database.read("SELECT code FROM signal_question")}


def _waiting(row: Row) -> Waiting:
    return Waiting(int(row[0]), str(row[1]), str(row[2]), str(row[3]), str(row[4]), float(row[5]), int(row[6]))
