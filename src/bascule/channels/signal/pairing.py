"""Letting an unknown sender in: they get a code once, the operator approves it at the machine, they may chat.

Stops: a stranger talking to an agent without the operator's yes, flooding the operator with requests (few wait at
once) or being made use of to send messages (one reply an hour each, few an hour in all). Does not stop: a stranger who
was let in from lying; their words stay a stranger's, they approve nothing, and they are told nothing about the agents.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

from bascule.core.errors import Malformed
from bascule.core.ports import Clock
from bascule.desk.question import CODE_BYTES, make_code, parse_reference
from bascule.policy.senders import Sender
from bascule.service.shapes import PairingRow
from bascule.state.connection import Database, Row

CODE_SECONDS = 3_600.0
"""How long a code holds, as OpenClaw has it; also the time before the same sender gets another reply."""

MOST_WAITING = 3
"""Senders that may wait at once; the next ones are not answered until one is approved or expires."""

MOST_AN_HOUR = 10
"""Replies to unknown senders in an hour, whoever they are."""

_COLUMNS = "id, code, number, uuid, state, created, expires"


class Pairing:
    """The table of senders who asked, and of those who were let in."""

    def __init__(self, database: Database, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    def ask(self, sender: Sender) -> str | None:
        """Return the code to send an unknown sender, None to stay silent."""
        now = self._clock.now()
        with self._database.transaction() as change:
            change.execute(
                "DELETE FROM signal_pairing WHERE state = 'waiting' AND (expires <= ? OR created > ?)", (now, now)
            )
            rows = change.execute(f"SELECT {_COLUMNS} FROM signal_pairing")  # noqa: S608 -- only constants of this file
            asked = [row for row in rows if row[4] == "waiting"]
            lately = [row for row in rows if now - CODE_SECONDS < row[5]]
            if any(_same(row, sender) for row in rows) or len(asked) >= MOST_WAITING or len(lately) >= MOST_AN_HOUR:
                return None
            code = make_code(self._entropy(CODE_BYTES))
            row = (f"pair_{self._entropy(4).hex()}", code, sender.number, sender.uuid, now, now + CODE_SECONDS)
            change.execute("INSERT INTO signal_pairing VALUES (?, ?, ?, ?, 'waiting', ?, ?, '')", row)
        return code

    def admitted(self, sender: Sender) -> bool:
        """True if this sender was let in."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM signal_pairing WHERE state = 'approved'")  # noqa: S608 -- only constants of this file
        return any(_same(row, sender) for row in rows)

    def list(self) -> list[PairingRow]:
        """Return who waits, whose code ran out within the last reading, and who was let in; oldest first."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM signal_pairing ORDER BY created")  # noqa: S608 -- only constants of this file
        now = self._clock.now()
        return [_shown(row, now) for row in rows]

    async def approve(self, untrusted_code: str, by: str) -> PairingRow:
        """Let the sender of a code chat as a stranger, on disk before this returns.

        Raises:
            Malformed: ``pairing_unknown``: no such code waits, or it ran out.
        """
        try:
            code = parse_reference(untrusted_code).code
        except Malformed:
            code = ""
        now = self._clock.now()
        with self._database.transaction() as change:
            change.execute(
                """UPDATE signal_pairing SET state = 'approved', by = ?
                WHERE code = ? AND code != '' AND state = 'waiting' AND created <= ? AND expires > ?""",
                (by, code, now, now),
            )
            if change.changes() != 1:
                raise Malformed("pairing_unknown", "no sender waits with this code", "see: bascule pairing list")
            rows = change.execute(f"SELECT {_COLUMNS} FROM signal_pairing WHERE code = ?", (code,))  # noqa: S608 -- only constants of this file
        await self._database.sync()
        return _shown(rows[0], now)


def _same(row: Row, sender: Sender) -> bool:
    """True if a row is of this sender: by id where both have one, for a number may be given to somebody else."""
    _, _, number, uuid, *_ = row
    if uuid and sender.uuid:
        return bool(uuid == sender.uuid)
    return bool(number) and bool(number == sender.number)


def _shown(row: Row, now: float) -> PairingRow:
    name, code, number, uuid, state, created, expires = row
    return PairingRow(
        id=name,
        code=code,
        sender=" ".join(part for part in (number, f"uuid:{uuid}" if uuid else "") if part),
        state="expired" if state == "waiting" and not created <= now < expires else state,
        created=_instant(created),
        expires=_instant(expires),
    )


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
