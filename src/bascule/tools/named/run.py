"""Hands that never move: whatever reaches them is refused, though the judges have already said so."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.box import BoxKey
from bascule.core.call import Bound, Call, Intent
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement
from bascule.core.errors import NotPermitted
from bascule.core.outcome import Outcome
from bascule.core.policy import AgentPolicy
from bascule.core.toolspec import ToolSpec


class Named:
    """See :class:`bascule.core.ports.Tool`; one instance a spec."""

    def __init__(self, spec: ToolSpec) -> None:
        self.spec = spec

    def intend(self, _args: Mapping[str, Json], _policy: AgentPolicy) -> Intent:
        """It touches nothing."""
        return Intent()

    async def bind(self, _args: Mapping[str, Json], intent: Intent, _policy: AgentPolicy, _key: BoxKey) -> Bound:
        """Nothing to look up."""
        return Bound(intent, {})

    async def run(self, call: Call, _confinement: Confinement) -> Outcome:
        """Refuse.

        Raises:
            NotPermitted: always.
        """
        raise NotPermitted("not_in_force", f"{call.tool} is not carried by this version")

    def card(self, _call: Call, _policy: AgentPolicy) -> tuple[str, ...]:
        """It is never asked about."""
        return ()
