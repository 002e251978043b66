"""The hands of ``read``: one request to the session's file worker.

Stops: the gateway opening an agent's file itself. A path outside is opened by a worker started for this call alone,
with that one path mounted read-only.
"""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.box import BoxKey
from bascule.core.call import Bound, Call, Intent
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement
from bascule.core.label import Confidentiality, Integrity, Label
from bascule.core.outcome import Outcome
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Boxes
from bascule.core.toolspec import ToolSpec
from bascule.tools.read.card import card
from bascule.tools.read.spec import SPEC, intend


class Read:
    """See :class:`bascule.core.ports.Tool`."""

    spec: ToolSpec = SPEC

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    def intend(self, args: Mapping[str, Json], policy: AgentPolicy) -> Intent:
        """The one file."""
        return intend(args, policy.layout)

    async def bind(self, _args: Mapping[str, Json], intent: Intent, _policy: AgentPolicy, _key: BoxKey) -> Bound:
        """Nothing to look up: what is read is told by the outcome."""
        return Bound(intent, {})

    async def run(self, call: Call, confinement: Confinement) -> Outcome:
        """Read up to the smaller of ``limit`` and the confinement's output limit."""
        files = await self._boxes.files(BoxKey(call.agent, call.session), tuple(confinement.mounts or ()))
        most = confinement.limits.output_bytes
        asked = call.args.get("limit")
        limit = min(most, asked) if isinstance(asked, int) else most
        offset = call.args.get("offset", 0)
        path = call.paths[0].place.box
        found = await files.read(path, offset=offset if isinstance(offset, int) else 0, limit=limit)
        label = Label(Integrity.UNTRUSTED, Confidentiality.PRIVATE, frozenset({f"file:{call.paths[0].place.host}"}))
        return Outcome(ok=True, content=found.content, truncated=found.truncated, label=label)

    def card(self, call: Call, _policy: AgentPolicy) -> tuple[str, ...]:
        """What the operator is shown."""
        return card(call)
