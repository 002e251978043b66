"""What ``web_fetch`` takes. Stops: what is no web address. Which hosts may be asked, the agent's egress rules say."""

from __future__ import annotations

from collections.abc import Mapping

from bascule.core.call import Intent
from bascule.core.canonical import Json
from bascule.core.facts import Enforcement
from bascule.core.hosts import LONGEST_URL, parse_url
from bascule.core.policy import AgentPolicy
from bascule.core.toolspec import ActionClass, Param, ParamKind, ToolSpec

SPEC = ToolSpec(
    "web_fetch",
    ActionClass.WEB,
    "Fetch one web address with GET and return its text. What comes back was written by strangers.",
    (
        Param("url", ParamKind.STRING, "the address, https:// or http://", max_length=LONGEST_URL),
        Param(
            "maxChars", ParamKind.INTEGER, "most characters to return", required=False, minimum=100, maximum=1 << 20,
            aliases=("max_chars",),
        ),
    ),
    needs=frozenset({Enforcement.PROXY}),
)  # fmt: skip


def intend(args: Mapping[str, Json], policy: AgentPolicy) -> Intent:
    """It touches no file and runs no program.

    Raises:
        Malformed: the address does not parse.
    """
    parse_url(str(args["url"]), literals=policy.egress.literals)
    return Intent()
