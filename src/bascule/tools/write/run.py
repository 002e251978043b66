"""The hands of ``write``: one request to the session's file worker, which replaces the file at once or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.box import BoxKey
from bascule.core.call import Bound, Call, Intent
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement
from bascule.core.outcome import Outcome
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Boxes
from bascule.core.toolspec import ToolSpec
from bascule.tools.write.card import card
from bascule.tools.write.spec import SPEC, intend


class Write:
    """See :class:`bascule.core.ports.Tool`."""

    spec: ToolSpec = SPEC

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    def intend(self, args: Mapping[str, Json], policy: AgentPolicy) -> Intent:
        """The one file."""
        return intend(args, policy.layout)

    async def bind(self, _args: Mapping[str, Json], intent: Intent, _policy: AgentPolicy, _key: BoxKey) -> Bound:
        """Nothing to look up: the content stands in the call."""
        return Bound(intent, {})

    async def run(self, call: Call, confinement: Confinement) -> Outcome:
        """Write, and say what now stands there."""
        files = await self._boxes.files(BoxKey(call.agent, call.session), tuple(confinement.mounts or ()))
        content = str(call.args["content"]).encode()
        place = call.paths[0].place
        sha256 = await files.write(place.box, content, append=call.args.get("append") is True)
        said = f"wrote {len(content)} bytes to {place.host} (sha256 {sha256})"
        return Outcome(ok=True, content=said.encode(), label=call.label)

    def card(self, call: Call, _policy: AgentPolicy) -> tuple[str, ...]:
        """What the operator is shown."""
        return card(call)
