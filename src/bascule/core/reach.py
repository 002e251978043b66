"""Where an agent may connect: host and port rules, and the one judgement over them.

Stops: a destination that no rule names. Deny rules win over allow rules whatever their order; a suffix rule covers
whole labels below it and not the name itself; a rule about a path allows nothing whose path nobody can see, and a deny
rule about a path denies the whole host where nobody can see it. Does not stop: what is said to an allowed host, nor,
inside TLS, asking that host's server for another site it also serves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bascule.core.hosts import DEFAULT_PORTS, WebAddress, is_local_name, literal_problem

WEB_PORTS: Final = frozenset(DEFAULT_PORTS.values())
"""The ports of a rule that names none."""


_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)


class Names(StrEnum):
    """Which names a rule covers: exactly its host, every name below it, or every public name."""

    EXACT = "exact"
    BELOW = "below"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class HostRule:
    """One line of ``egress`` ``allow`` or ``deny``.

    Attributes:
        written: as the file has it.
        names: how ``host`` is meant.
        host: canonical; empty for :attr:`Names.PUBLIC`.
        ports: which ports.
        scheme: ``http`` or ``https`` if it covers only that, else empty.
        path: prefix of the path, by whole segments; empty covers all.
    """

    written: str
    names: Names
    host: str = ""
    ports: frozenset[int] = WEB_PORTS
    scheme: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class PrivatePlace:
    """A host and port of this machine or its own network that policy names: ``host`` a name or a plain IP address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SearchPolicy:
    """Where ``web_search`` asks.

    Attributes:
        template: address with ``{query}`` in its query string, empty for no search.
        key_header: header that carries the key, empty for none.
        key_env: environment variable of the gateway that holds the key.
        results: most results returned.
    """

    template: str = ""
    key_header: str = ""
    key_env: str = ""
    results: int = 10


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What an agent reaches; without a rule, nothing.

    Attributes:
        allow: rules that let through.
        deny: rules that refuse, whatever allows.
        methods: methods where they can be seen (plain HTTP, the gateway's own client).
        private: places that are not public and may be reached all the same.
        max_response_bytes: of one answer or one tunnel, towards the agent.
        max_request_bytes: of one request or one tunnel, away from the agent.
        requests_per_minute: requests and tunnels begun.
        connections: at one time.
        search: where ``web_search`` asks.
        where: key of the section, for remedies.
    """

    allow: tuple[HostRule, ...] = ()
    deny: tuple[HostRule, ...] = ()
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    private: tuple[PrivatePlace, ...] = ()
    max_response_bytes: int = 64 << 20
    max_request_bytes: int = 8 << 20
    requests_per_minute: int = 120
    connections: int = 16
    search: SearchPolicy = SearchPolicy()
    where: str = "egress"

    @property
    def literals(self) -> frozenset[str]:
        """The IP addresses that policy names as hosts."""
        return frozenset(place.host for place in self.private if literal_problem(place.host))


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request wants to go.

    Attributes:
        host: canonical.
        port: 1 to 65535.
        scheme: ``http`` or ``https``; empty for a tunnel, whose content nobody sees.
        method: empty for a tunnel.
        path: empty for a tunnel.
    """

    host: str
    port: int
    scheme: str = ""
    method: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules say of a destination.

    Attributes:
        code: ``ok`` if it may be connected to at an address that passes its own check, else the name of the refusal.
        reason: one line.
        rule: the rule that decided, as written; empty if none did.
        private: the place is one that policy names as private.
        tls: a tunnel there must begin with a TLS handshake for the same host.
    """

    code: str
    reason: str
    rule: str = ""
    private: bool = False
    tls: bool = False

    @property
    def allowed(self) -> bool:
        """True if the destination may be connected to."""
        return self.code == "ok"


def destination(address: WebAddress, method: str) -> Destination:
    """Return where a request for an address goes."""
    return Destination(address.host, address.port, address.scheme, method, address.path)


def reach(wanted: Destination, policy: EgressPolicy) -> Ruling:
    """Judge one destination; total, and without looking anything up."""
    place = f"{wanted.host}:{wanted.port}"
    for rule in policy.deny:
        if _covers(rule, wanted) and _path_denied(rule, wanted):
            return Ruling("host_denied", f"{place} is denied by {rule.written!r}", rule.written)
    if wanted.method and wanted.method not in policy.methods:
        return Ruling("method_not_listed", f"the method {wanted.method[:20]} is not among those allowed")
    private = PrivatePlace(wanted.host, wanted.port) in policy.private
    if private:
        return Ruling("ok", f"{place} is named as private", f"allowPrivate {place}", private=True)
    if not wanted.scheme and wanted.port == 80:
        return Ruling("tunnel_plain", f"{place} speaks plain HTTP, and a tunnel would hide which site is asked")
    if is_local_name(wanted.host):
        return Ruling("host_local", f"{wanted.host} is no public name")
    for rule in policy.allow:
        if not _covers(rule, wanted) or not _path_allowed(rule, wanted):
            continue
        tls = not wanted.scheme and (wanted.port == 443 or rule.scheme == "https")
        return Ruling("ok", f"{place} is allowed by {rule.written!r}", rule.written, tls=tls)
    return Ruling("host_not_listed", f"no rule allows {place}")


def advice(ruling: Ruling, policy: EgressPolicy) -> str:
    """Return what an operator can do about a refusal, one line."""
    if ruling.code == "host_local":
        return f"name it with its port in {policy.where}.allowPrivate, if it should be reached"
    if ruling.code == "host_denied":
        return f"take it out of {policy.where}.deny or egress.defaults.deny, if it should be reached"
    if ruling.code == "method_not_listed":
        return f"add it to {policy.where}.methods, if it should be used"
    return f"name the host in {policy.where}.allow, if it should be reached"


def _covers(rule: HostRule, wanted: Destination) -> bool:
    if wanted.port not in rule.ports:
        return False
    # A tunnel's content is not seen: a rule for https covers it, as its first bytes are held to that.
    if rule.scheme and wanted.scheme != rule.scheme and not (rule.scheme == "https" and not wanted.scheme):
        return False
    if rule.names is Names.PUBLIC:
        return not is_local_name(wanted.host)
    if rule.names is Names.BELOW:
        return wanted.host.endswith(f".{rule.host}")
    return wanted.host == rule.host


def _path_allowed(rule: HostRule, wanted: Destination) -> bool:
    if not rule.path:
        return True
    return bool(wanted.path) and not _ambiguous(wanted.path) and _below(wanted.path, rule.path)


def _path_denied(rule: HostRule, wanted: Destination) -> bool:
    if not rule.path or not wanted.path or _ambiguous(wanted.path):
        return True
    return _below(_unescaped(wanted.path).casefold(), _unescaped(rule.path).casefold())


def _unescaped(path: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), path)


def _below(path: str, prefix: str) -> bool:
    stem = prefix.removesuffix("/")
    return path == stem or path.startswith(f"{stem}/")


def _ambiguous(path: str) -> bool:
    """True if a server might read the path otherwise than it stands: hidden slashes, dots, double escapes."""
    plain = _unescaped(path)
    return (
        any(mark in plain for mark in ("//", "\\", "%", ";"))
        or plain.count("/") != path.count("/")
        or any(segment in (".", "..") for segment in plain.split("/"))
    )


def widest(rules: Iterable[HostRule]) -> bool:
    """True if a rule covers every public name."""
    return any(rule.names is Names.PUBLIC for rule in rules)
