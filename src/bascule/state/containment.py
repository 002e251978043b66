"""Which agents are contained, and why: a flag that survives restarts.

Stops: a contained agent coming back to life with the gateway. Does not stop anything by itself: the containment guard
reads it at every judgement.
"""

from __future__ import annotations

from bascule.core.ids import AgentId
from bascule.core.ports import Clock
from bascule.state.connection import Database
from bascule.state.migrations import Schema

SCHEMA = Schema(
    "containment",
    (
        """
CREATE TABLE containment (
    agent  TEXT PRIMARY KEY,
    reason TEXT NOT NULL CHECK (reason != ''),
    since  REAL NOT NULL
) STRICT, WITHOUT ROWID;
""",
    ),
)


class Containment:
    """The table of contained agents, kept in memory as well, for it is read at every call."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._reasons = {str(agent): str(why) for agent, why in database.read("SELECT agent, reason FROM containment")}

    def reason(self, agent: AgentId) -> str:
        """Return why an agent is contained, or the empty string."""
        return self._reasons.get(agent, "")

    async def contain(self, agent: AgentId, reason: str) -> None:
        """Contain an agent from this moment; on disk when this returns. The first reason stays.

        Raises:
            Unavailable: it could not be written; the agent is contained all the same until the gateway ends.
        """
        self._reasons.setdefault(agent, reason)
        row = (agent, reason, self._clock.now())
        self._database.write("INSERT INTO containment VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
        await self._database.sync()

    async def release(self, agent: AgentId) -> None:
        """Let an agent go again; on disk before it takes effect.

        Raises:
            Unavailable: it could not be written; the agent stays contained.
        """
        self._database.write("DELETE FROM containment WHERE agent = ?", (agent,))
        await self._database.sync()
        self._reasons.pop(agent, None)
