"""The backend that does not sign the contract: file work in the usual box, programs with the machine's own tree.

Stops: existing for an agent whose policy does not name it, or that has no account of its own, which would then be the
only wall there is; and going on where the warden was told something else at its start, which alone decides what a box
holds. Does not stop what boxes are for: its programs see what their account may read and can start every other program.
What is left of the walls stands in ``docs/sandbox.md``.
"""

from __future__ import annotations

from bascule.core.errors import NotPermitted, Unavailable
from bascule.core.ids import AgentId
from bascule.core.policy import AgentPolicy, Backend
from bascule.sandboxes.bubblewrap.backend import BubblewrapBoxes
from bascule.sandboxes.footing import Footing


class UnsafeNoneBoxes(BubblewrapBoxes):
    """Boxes of agents that policy puts on the bare host, and of no other."""

    BACKEND = Backend.UNSAFE_NONE

    def __init__(self, footing: Footing) -> None:
        """See :class:`BubblewrapBoxes`.

        Raises:
            NotPermitted: ``unsafe_none_unnamed``: the policy of one of the agents does not name this, or there is none.
        """
        for rules in footing.agents.values():
            _must_be_named(rules)
        if not footing.agents:
            raise NotPermitted("unsafe_none_unnamed", "no agent's policy says sandbox.backend unsafe_none")
        super().__init__(footing)

    def _policy(self, agent: AgentId) -> AgentPolicy:
        """Return the agent's rules, which must still name this.

        Raises:
            NotPermitted: they do not.
            Unavailable: it has no account of its own.
        """
        rules = super()._policy(agent)
        _must_be_named(rules)
        if self._on.uids[agent] == self._on.gateway_uid:
            raise Unavailable(
                "unsafe_none_single",
                f"{agent} has no account of its own, and on the bare host nothing else would hold it",
                "give this account a range in /etc/subuid and /etc/subgid, or set sandbox.backend to bubblewrap",
            )
        return rules


def _must_be_named(rules: AgentPolicy) -> None:
    if rules.sandbox.backend is not Backend.UNSAFE_NONE:
        raise NotPermitted(
            "unsafe_none_unnamed",
            f"policy gives {rules.id} the {rules.sandbox.backend.value} backend, not the bare host",
            f"set sandbox.backend for {rules.id} in {rules.where}, if that is meant",
        )
