"""The hands of ``web_fetch``: the gateway's own client asks, and a box makes text of pages.

Stops: a page being parsed where the keys are, and anything from the web being taken for trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bascule.core.box import BoxKey
from bascule.core.call import Bound, Call, Intent
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement
from bascule.core.errors import Unavailable
from bascule.core.label import Integrity, Label
from bascule.core.outcome import Outcome
from bascule.core.plain import plain_text
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Pages, Web
from bascule.core.toolspec import ToolSpec
from bascule.core.web import Fetched
from bascule.tools.web_fetch.card import card
from bascule.tools.web_fetch.spec import SPEC, intend
from bascule.tools.web_fetch.text import PAGES, decoded, is_text

MOST_BYTES: Final = 4 << 20
"""Of a page before it is made into text."""

MOST_SECONDS: Final = 60.0


class WebFetch:
    """See :class:`bascule.core.ports.Tool`.

    Args:
        web: the client.
        pages: makes text of HTML.
    """

    spec: ToolSpec = SPEC

    def __init__(self, web: Web, pages: Pages) -> None:
        self._web = web
        self._pages = pages

    def intend(self, args: Mapping[str, Json], policy: AgentPolicy) -> Intent:
        """Nothing here; an address that parses."""
        return intend(args, policy)

    async def bind(self, _args: Mapping[str, Json], intent: Intent, _policy: AgentPolicy, _key: BoxKey) -> Bound:
        """Nothing to look up: a look-up would already say something to somebody."""
        return Bound(intent, {})

    async def run(self, call: Call, confinement: Confinement) -> Outcome:
        """Fetch the page and return its text, cut to size, always untrusted."""
        seconds = min(MOST_SECONDS, float(confinement.limits.wall_seconds))
        found = await self._web.get(call.agent, str(call.args["url"]), most=MOST_BYTES, seconds=seconds)
        text = await self._text(call, found)
        asked = call.args.get("maxChars")
        cut = text[:asked] if isinstance(asked, int) else text
        content = f"{found.url} answered {found.status}\n\n{cut}".encode("utf-8", "replace")
        most = confinement.limits.output_bytes
        truncated = found.truncated or len(cut) < len(text) or len(content) > most
        label = Label(Integrity.UNTRUSTED, call.label.confidentiality, frozenset({f"web:{found.host}"}))
        ok = found.status < 400
        return Outcome(ok, content[:most], truncated=truncated, label=label, code="" if ok else "web_status")

    async def _text(self, call: Call, found: Fetched) -> str:
        if is_text(found.content_type):
            return decoded(found.body, found.charset)
        if found.content_type not in PAGES:
            kind = found.content_type[:80]
            raise Unavailable("content_type", f"{found.host} answered with {kind!r}, which is not read as text")
        return plain_text(await self._pages.text(call.agent, found.body, found.charset))

    def card(self, call: Call, policy: AgentPolicy) -> tuple[str, ...]:
        """What the operator is shown."""
        return card(call, policy)
