"""What ``allowPrivate`` may not name, and whom ``egress`` names: judged once everything else of the policy is known.

Stops: an agent being let through to the gateway itself, its pages or its Signal daemon, under whatever name or address
of this machine; a rule for an agent there is none of being taken for one. Does not stop an operator from naming another
service of theirs that trusts whoever reaches it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.hosts import DEFAULT_PORTS
from bascule.core.reach import PrivatePlace
from bascule.core.surfaces import HttpPolicy, SignalPolicy
from bascule.policy.egressrules import parse_private
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.schema.ours import Egress, EgressRule

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- compared with, never listened on


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """Where something listens that acts for the operator: a literal or a name, its port, and what it is."""

    host: str
    port: int
    what: str


def own_places(http: HttpPolicy, signal: SignalPolicy | None) -> tuple[OwnPlace, ...]:
    """Return where the gateway and what it relies on listen."""
    found = [OwnPlace(http.host, http.port, "the gateway's own pages and interfaces")] if http.enabled else []
    if signal is not None:
        scheme, _, rest = signal.url.partition("://")
        host, colon, port = rest.rpartition(":")
        plain = not colon or port.endswith("]")
        number = DEFAULT_PORTS[scheme] if plain else int(port)
        found.append(OwnPlace((rest if plain else host).strip("[]"), number, "the Signal daemon, which asks nobody"))
    return tuple(found)


def refuse_own_places(section: Egress | None, own: tuple[OwnPlace, ...], document: Document) -> None:
    """Do nothing if no agent is let through to one of these.

    Raises:
        Malformed: ``policy_schema``, with the first entry that would.
    """
    for scope, path in _scopes(section):
        for index, written in enumerate(scope.allow_private or ()):
            place = parse_private(written)
            for one in own:
                if place.port == one.port and _may_be(place, one.host):
                    where = (*path, "allowPrivate", index)
                    message = f"{document.where(where)}: {dotted(where)}: port {place.port} is {one.what}"
                    remedy = "an agent may never reach it; for another machine's service there, write its address"
                    raise Malformed("policy_schema", message, remedy)


def unknown_agents(section: Egress | None, agents: Collection[str]) -> Iterator[Finding]:
    """Yield a finding for every agent that has rules and does not exist."""
    for name in (section.agents if section is not None else None) or {}:
        if name not in agents:
            detail = f"egress.agents.{name[:80]}: there is no such agent, so these rules are nobody's"
            yield Finding("egress.unknown_agent", Severity.WARN, detail, "write the agent's id, or remove them")


def _scopes(section: Egress | None) -> Iterator[tuple[EgressRule, Path]]:
    if section is None:
        return
    if section.defaults is not None:
        yield section.defaults, ("egress", "defaults")
    for name, rule in (section.agents or {}).items():
        yield rule, ("egress", "agents", name)


def _may_be(place: PrivatePlace, host: str) -> bool:
    """True if a place could be this machine's ``host``; a name could be anything by the time it is looked up."""
    named, own = _literal(place.host), _literal(host)
    if named is None:
        return True
    if own is None:
        return named.is_loopback or host != "localhost"
    return host in _EVERYWHERE or named == own or (named.is_loopback and own.is_loopback)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
