"""How a room writes to the ledger inside its own transaction, without knowing the ledger.

Stops: a change of state and its record coming apart. Whoever changes something that an auditor will ask about takes a
:class:`Journal` and writes both in one transaction; after ``kill -9`` either both are there or neither is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bascule.core.canonical import Json
from bascule.state.connection import Transaction


class Journal(Protocol):
    """The ledger, seen from inside a transaction."""

    def record(self, change: Transaction, kind: str, body: Mapping[str, Json]) -> int:
        """Write one record as part of ``change`` and return its sequence number.

        Raises:
            Malformed: ``body`` cannot be written canonically.
            Unavailable: it could not be written; ``change`` will not commit.
        """
