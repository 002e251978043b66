"""``peers``: who may write to whom, one direction a row.

Stops: a row for an agent that does not exist, and two rows for one direction. Absent rights are not given. Carried out
so far: that agents who have a written directory in common must be named here; see ``lending.py``.
"""

from __future__ import annotations

from collections.abc import Collection

from bascule.core.errors import Malformed
from bascule.core.ids import AgentId
from bascule.core.policy import PeerRow
from bascule.policy.json5 import Document
from bascule.policy.schema.root import Config


def peer_rows(config: Config, document: Document, agents: Collection[AgentId]) -> tuple[PeerRow, ...]:
    """Return the rows of ``peers``.

    Raises:
        Malformed: ``policy_schema``: an unknown agent, an agent and itself, or a direction named twice.
    """
    rows: dict[tuple[str, str], PeerRow] = {}
    for index, row in enumerate(config.peers or ()):
        where = f"{document.where(('peers', index))}: peers[{index}]"
        for name in (row.from_, row.to):
            if name not in agents:
                raise Malformed("policy_schema", f"{where}: there is no agent {name[:60]!r}", "correct the name")
        if row.from_ == row.to:
            raise Malformed("policy_schema", f"{where}: {row.to} needs no row to itself", "remove it")
        if (row.from_, row.to) in rows:
            raise Malformed("policy_schema", f"{where}: {row.from_} to {row.to} has a row already", "join the two rows")
        send = row.send if row.send is not None else ""
        rows[row.from_, row.to] = PeerRow(AgentId(row.from_), AgentId(row.to), send, f"peers[{index}]")
    return tuple(rows.values())
