"""The hands of ``web_search``: one GET to the engine that policy names, by the gateway's own client.

Stops: an agent choosing whom it asks, or seeing the key it is asked with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from bascule.core.box import BoxKey
from bascule.core.call import Bound, Call, Intent
from bascule.core.canonical import Json
from bascule.core.confinement import Confinement
from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId
from bascule.core.label import Integrity, Label
from bascule.core.outcome import Outcome
from bascule.core.policy import AgentPolicy
from bascule.core.ports import Web
from bascule.core.reach import SearchPolicy
from bascule.core.toolspec import ToolSpec
from bascule.tools.web_search.answer import hits
from bascule.tools.web_search.card import card
from bascule.tools.web_search.spec import SPEC, intend

MOST_BYTES: Final = 2 << 20
MOST_SECONDS: Final = 30.0


class WebSearch:
    """See :class:`bascule.core.ports.Tool`.

    Args:
        web: the client.
        searches: where an agent's searches go, at the moment.
        key: from the name of an environment variable of the gateway to what it holds, empty for nothing.
    """

    spec: ToolSpec = SPEC

    def __init__(self, web: Web, searches: Callable[[AgentId], SearchPolicy], key: Callable[[str], str]) -> None:
        self._web = web
        self._searches = searches
        self._key = key

    def intend(self, args: Mapping[str, Json], _policy: AgentPolicy) -> Intent:
        """Nothing here; a question."""
        return intend(args)

    async def bind(self, _args: Mapping[str, Json], intent: Intent, policy: AgentPolicy, _key: BoxKey) -> Bound:
        """Bind where it is asked, so that a yes is for that engine."""
        return Bound(intent, {"search": policy.egress.search.template})

    async def run(self, call: Call, confinement: Confinement) -> Outcome:
        """Ask, and return what the engine says, always untrusted."""
        search = self._searches(call.agent)
        if not search.template or search.template != call.bindings.get("search"):
            raise Unavailable(
                "search_missing",
                f"policy names no search engine for {call.agent}",
                f"name one in egress.agents.{call.agent}.search",
            )
        asked = call.args.get("count")
        count = min(asked, search.results) if isinstance(asked, int) else search.results
        question = quote(str(call.args["query"]), safe="")
        url = search.template.replace("{query}", question).replace("{count}", str(count))
        seconds = min(MOST_SECONDS, float(confinement.limits.wall_seconds))
        found = await self._web.get(call.agent, url, most=MOST_BYTES, seconds=seconds, headers=self._headers(search))
        if found.status != 200:
            raise Unavailable("web_status", f"the search engine at {found.host} answered {found.status}")
        lines = [f"{hit.title}\n{hit.url}\n{hit.excerpt}\n" for hit in hits(found.body, count)]
        content = ("\n".join(lines) or "nothing was found\n").encode("utf-8", "replace")
        most = confinement.limits.output_bytes
        label = Label(Integrity.UNTRUSTED, call.label.confidentiality, frozenset({f"web:{found.host}"}))
        return Outcome(ok=True, content=content[:most], truncated=len(content) > most, label=label)

    def _headers(self, search: SearchPolicy) -> dict[str, str]:
        accept = {"Accept": "application/json"}
        if not search.key_env:
            return accept
        key = self._key(search.key_env)
        if not key or not key.isascii() or not key.isprintable():
            raise Unavailable("search_key", f"the gateway's environment holds no usable {search.key_env}")
        return {**accept, search.key_header: key}

    def card(self, call: Call, policy: AgentPolicy) -> tuple[str, ...]:
        """What the operator is shown."""
        return card(call, policy)
