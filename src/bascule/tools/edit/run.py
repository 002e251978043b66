"""The hands of ``edit``: the file must still be the one that was judged.

Stops: an edit landing on a file that changed between judging and running: the digest binds the content's hash, and the
worker compares it again under the same descriptor.
"""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.box import BoxKey
from bascule.core.call import Bound, Call, Intent
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement
from bascule.core.errors import Unavailable
from bascule.core.outcome import Outcome
from bascule.core.paths import Zone
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Boxes
from bascule.core.toolspec import ToolSpec
from bascule.tools.edit.card import card
from bascule.tools.edit.spec import SPEC, intend


class Edit:
    """See :class:`bascule.core.ports.Tool`."""

    spec: ToolSpec = SPEC

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    def intend(self, args: Mapping[str, Json], policy: AgentPolicy) -> Intent:
        """The one file."""
        return intend(args, policy.layout)

    async def bind(self, _args: Mapping[str, Json], intent: Intent, _policy: AgentPolicy, key: BoxKey) -> Bound:
        """Bind the content the edit is about; a file outside is not opened before the operator said yes."""
        place = intent.paths[0].place
        if place.zone not in {Zone.OWN, Zone.BIND_WRITABLE}:
            return Bound(intent, {})
        sha256 = await (await self._boxes.files(key)).identify(place.box)
        if not sha256:
            raise Unavailable("file_missing", f"there is no file {place.host}", "use write to make it")
        return Bound(intent, {"pre_image": sha256})

    async def run(self, call: Call, confinement: Confinement) -> Outcome:
        """Replace the text and say what now stands there."""
        key, mounts = BoxKey(call.agent, call.session), tuple(confinement.mounts or ())
        place = call.paths[0].place
        expected = call.bindings.get("pre_image") or await (await self._boxes.files(key, mounts)).identify(place.box)
        if not expected:
            raise Unavailable("file_missing", f"there is no file {place.host}", "use write to make it")
        files = await self._boxes.files(key, mounts)
        sha256 = await files.edit(
            place.box,
            str(call.args["oldText"]),
            str(call.args["newText"]),
            every=call.args.get("replaceAll") is True,
            expected_sha256=expected,
        )
        return Outcome(ok=True, content=f"edited {place.host} (sha256 {sha256})".encode(), label=call.label)

    def card(self, call: Call, _policy: AgentPolicy) -> tuple[str, ...]:
        """What the operator is shown."""
        return card(call)
