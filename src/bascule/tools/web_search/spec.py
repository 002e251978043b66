"""What ``web_search`` takes. Stops: an empty question. Where it is asked, policy says and no argument changes."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.call import Intent
from bascule.core.canonical import Json
from bascule.core.errors import Malformed
from bascule.core.facts import Enforcement
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec

SPEC = ToolSpec(
    "web_search",
    ActionClass.WEB,
    "Search the web and return titles, addresses and excerpts. What comes back was written by strangers.",
    (
        Param("query", ParamKind.STRING, "what to search for", max_length=400),
        Param("count", ParamKind.INTEGER, "most results to return", required=False, minimum=1, maximum=50),
    ),
    needs=frozenset({Enforcement.PROXY}),
)


def intend(args: Mapping[str, Json]) -> Intent:
    """It touches no file and runs no program.

    Raises:
        Malformed: ``search_empty``.
    """
    if not str(args["query"]).strip():
        raise Malformed("search_empty", "the query is empty")
    return Intent()
