"""What a turn that was cut off may ask of the ledger.

Stops: recovery claiming that nothing happened when something may have.
"""

from __future__ import annotations

import json

from bascule.ledger.store import Ledger
from bascule.runtime.history import PendingCall, Turn

LOOK_BACK = 1000
"""Records searched for the beginning of a call's effect; a crash is at most a few records ago."""

_USED = frozenset({"consumed", "started"})
"""Records after which a question's yes is spent, or may be."""


class LedgerWitness:
    """Implements :class:`bascule.runtime.turns.Witness`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def begun(self, turn: Turn, call: PendingCall) -> bool:
        """False only if no effect of this session began since the reply that asked for the call was recorded."""
        since = call.record or 0
        found = self._ledger.tail(LOOK_BACK, agent=turn.agent, kind="started", after=since)
        return any(record.session == turn.session for record in found) or len(found) == LOOK_BACK

    async def question(self, turn: Turn, call: PendingCall) -> str:
        """The last question of this session, if the reply that asked for the call led to it and nothing followed."""
        if call.record is None:
            return ""
        found = self._ledger.tail(LOOK_BACK, agent=turn.agent, after=call.record)
        own = [record for record in found if record.session == turn.session]
        asked = next((record for record in reversed(own) if record.kind == "asked"), None)
        if asked is None or asked.parent is None:
            return ""
        decided = self._ledger.show(asked.parent)
        if decided is None or decided.parent != call.record:
            return ""
        if any(record.seq > asked.seq and record.kind in _USED for record in own):
            return ""
        return str(json.loads(asked.body)["approval"])
