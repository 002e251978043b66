"""What an operator sees before a search: the whole question, and who hears it."""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.policy import AgentPolicy


def card(call: Call, policy: AgentPolicy) -> tuple[str, ...]:
    """The question as it will be asked."""
    where = policy.egress.search.template.partition("?")[0]
    return (
        f"question: {call.args['query']}",
        f"asked at {where if where else 'no search engine: policy names none'}, which hears all of it",
        "what comes back is untrusted, whoever the host is",
    )
