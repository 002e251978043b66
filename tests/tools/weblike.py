"""A web that says what it is told, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.builders import agent_policy, proposal

from bascule.core.call import Call, Intent, seal
from bascule.core.canonical import Json
from bascule.core.policy import AgentPolicy
from bascule.core.reach import EgressPolicy, SearchPolicy
from bascule.core.toolspec import ToolSpec
from bascule.core.web import Fetched


@dataclass
class Web:
    """See :class:`bascule.core.ports.Web`."""

    body: bytes = b"hello"
    content_type: str = "text/plain"
    charset: str = ""
    status: int = 200
    truncated: bool = False
    asked: list[tuple[str, Mapping[str, str] | None]] = field(default_factory=list)

    async def get(
        self, agent: str, url: str, *, most: int, seconds: float, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        self.asked.append((url, headers))
        return Fetched(
            url, "a.test", self.status, self.content_type, self.charset, self.body[:most], self.truncated, (url,)
        )


def rules(search: SearchPolicy | None = None) -> AgentPolicy:
    return agent_policy(egress=EgressPolicy(search=search or SearchPolicy()))


def web_call(spec: ToolSpec, args: dict[str, Json], bindings: dict[str, str] | None = None) -> Call:
    return seal(proposal(spec.name), spec, spec.parse(args), Intent(), bindings or {})
