"""What a turn that was cut off may ask of the ledger.

Stops: recovery claiming that nothing happened when something may have.
"""

from __future__ import annotations

from bascule.ledger.store import Ledger
from bascule.runtime.history import PendingCall, Turn

LOOK_BACK = 1000
"""Records searched for the beginning of a call's effect; a crash is at most a few records ago."""


class LedgerWitness:
    """Implements :class:`bascule.runtime.turns.Witness`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def begun(self, turn: Turn, call: PendingCall) -> bool:
        """False only if no effect of this session began since the reply that asked for the call was recorded."""
        since = call.record or 0
        found = self._ledger.tail(LOOK_BACK, agent=turn.agent, kind="started", after=since)
        return any(record.session == turn.session for record in found) or len(found) == LOOK_BACK
