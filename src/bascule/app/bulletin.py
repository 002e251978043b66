"""What just happened, for every surface that stays open: the ledger's records, in order, as they are written.

Stops: a surface that missed something believing it did not: records are read from the ledger by number, so whoever was
slow, or away, goes on where they were. Does not push: readers are woken within a second and read at their own pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bascule.ledger.chain import Record
from bascule.ledger.store import Ledger

LOOK_SECONDS = 0.25
"""How often the end of the ledger is looked at while anybody follows it; an operator must see an answer in a second."""

BATCH = 200
"""Records read at once."""


class Bulletin:
    """Lets any number of readers follow one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def follow(self, seq: int) -> AsyncGenerator[Record, None]:
        """Yield every record after ``seq``, in order, without end."""
        while True:
            if self._ledger.end()[0] <= seq:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            for record in self._ledger.after(seq, BATCH):
                seq = record.seq
                yield record
