"""What an operator sees before a page is fetched: the whole address, because the address is what leaves."""

from __future__ import annotations

from bascule.core.call import Call
from bascule.core.hosts import parse_url
from bascule.core.policy import AgentPolicy


def card(call: Call, policy: AgentPolicy) -> tuple[str, ...]:
    """The address as it will be asked for, and who hears it."""
    address = parse_url(str(call.args["url"]), literals=policy.egress.literals)
    carried = len(address.target) - 1
    return (
        f"address: {address}",
        f"its host, {address.host}, hears all of it: {carried} characters behind the host's name",
        "redirects are followed only to hosts that the same rules allow",
        "what comes back is untrusted, whoever the host is",
    )
