"""Whether a request may be looked at: which host it names, which page it comes from, whose word about that counts.

Stops: DNS rebinding (a Host that is neither this machine's loopback name nor one that policy lists), a foreign page's
requests (Origin and Sec-Fetch-Site), a request whose target or Host can be read in two ways, and forwarding headers of
anyone but a trusted proxy. Does not stop: another program on this machine that speaks HTTP itself, or another service
on the same host name reading cookies, which browsers share between ports; tokens and scopes are for those.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bascule.core.errors import Malformed, NotPermitted
from bascule.core.surfaces import HttpPolicy

Headers: TypeAlias = Mapping[bytes, Sequence[bytes]]
"""Values by lower-case name, in order; a header that came twice has two."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1), and that no handler of ours lets change anything."""

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)*", re.A)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- recognised, never listened on from here


@dataclass(frozen=True, slots=True)
class Place:
    """One end of an HTTP connection as a browser names it; ``host`` in lower case, IPv6 without brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if _DEFAULT_PORTS[self.scheme] == self.port else f":{self.port}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is believed about where a request came from and what it was sent to.

    Attributes:
        address: of the client; the proxy's word for it if the proxy is trusted, else the peer's.
        origin: the place the request was sent to, as the browser knows it.
    """

    address: str
    origin: Place

    @property
    def secure(self) -> bool:
        """True if the browser speaks HTTPS, so that its cookie must never travel without."""
        return self.origin.scheme == "https"


def parse_authority(untrusted_text: str) -> tuple[str, int | None]:
    """Return host (lower case, IPv6 shortest and without brackets) and port, None if none is named.

    Raises:
        Malformed: ``host_malformed``: user info, an empty or odd host, a zone, a port outside 1 to 65535.
    """
    text = untrusted_text.lower()
    del untrusted_text
    host, colon, port = text, "", ""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        host = _six(inner) if bracket and (not rest or colon == ":") else ""
    elif ":" in text:
        host, colon, port = text.rpartition(":")
    if not host or (not text.startswith("[") and not _NAME.fullmatch(host)):
        raise Malformed("host_malformed", "the request names no host that can be read in one way only")
    if colon and not (_PORT.fullmatch(port) and int(port) <= 65_535):
        raise Malformed("host_malformed", "the request names a port that is none")
    return host, int(port) if colon else None


def _six(text: str) -> str:
    try:
        return "" if "%" in text else str(ipaddress.IPv6Address(text))
    except ValueError:
        return ""


def parse_origin(untrusted_text: str) -> Place:
    """Return the place an ``Origin`` names.

    Raises:
        Malformed: ``origin_malformed``: not ``http(s)://host[:port]``; ``null`` is none either.
    """
    scheme, separator, authority = untrusted_text.partition("://")
    del untrusted_text
    if not separator or scheme.lower() not in _DEFAULT_PORTS:
        raise Malformed("origin_malformed", "the Origin is no http or https address")
    try:
        host, port = parse_authority(authority)
    except Malformed:
        raise Malformed("origin_malformed", "the Origin is no http or https address") from None
    return Place(scheme.lower(), host, _DEFAULT_PORTS[scheme.lower()] if port is None else port)


@dataclass(frozen=True, slots=True)
class Guard:
    """What policy lets requests come by; make it with :func:`guard_for`.

    Attributes:
        own: the places this server is reached at without a proxy.
        listed: the places policy lists besides.
        proxies: whose forwarding headers are believed.
    """

    own: frozenset[Place]
    listed: frozenset[Place]
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    def arrive(self, peer: str, headers: Headers) -> Arrival:
        """Return where a request came from and what it was sent to.

        Args:
            peer: address of the other end of the connection.
            headers: as they came.

        Raises:
            Malformed: ``host_malformed``: no Host, two, or one that is no host.
            NotPermitted: ``host_unknown``: it is neither one of ours nor listed.
        """
        believed = self.trusts(peer)
        hosts = headers.get(b"host", ())
        if len(hosts) != 1:
            raise Malformed("host_malformed", "the request must name one host")
        told = headers.get(b"x-forwarded-host", ()) if believed else ()
        if len(told) > 1:
            raise Malformed("host_malformed", "the proxy names several hosts")
        host, port = parse_authority((told or hosts)[0].decode("latin-1"))
        scheme = _scheme(headers.get(b"x-forwarded-proto", ())) if believed else None
        found = self._known(host, port, scheme)
        if found is None:
            remedy = "use this machine's loopback address, or list the address in gateway.controlUi.allowedOrigins"
            raise NotPermitted("host_unknown", "this gateway is not called by that host name and port", remedy)
        return Arrival(self._client(peer, headers) if believed else peer, found)

    def _known(self, host: str, port: int | None, scheme: str | None) -> Place | None:
        """Return the one place a Host means; where policy lists it as https, the cookie must travel so."""
        for tried in (scheme,) if scheme is not None else ("https", "http"):
            place = Place(tried, host, _DEFAULT_PORTS[tried] if port is None else port)
            if place in self.listed or place in self.own:
                return place
        return None

    def trusts(self, address: str) -> bool:
        """True if policy believes what this address says about others."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed.version == network.version and parsed in network for network in self.proxies)

    def _client(self, peer: str, headers: Headers) -> str:
        """Return the last address that no trusted proxy vouches for as another proxy; the peer if none is said."""
        said = b",".join(headers.get(b"x-forwarded-for", ())).decode("latin-1")
        nearest = peer
        for hop in reversed([part.strip() for part in said.split(",")]):
            try:
                nearest = str(ipaddress.ip_address(hop))
            except ValueError:
                break
            if not self.trusts(nearest):
                break
        return nearest

    def check_page(self, method: str, arrival: Arrival, headers: Headers, *, cookie: bool) -> None:
        """Refuse a request that another site's page sent.

        Args:
            method: of the request.
            arrival: what it was sent to.
            headers: as they came.
            cookie: the browser's cookie is what lets it in, which a foreign page could make it send.

        Raises:
            NotPermitted: ``origin_foreign``, or ``origin_missing`` for a change by cookie that says nothing of itself.
        """
        origins, sites = headers.get(b"origin", ()), headers.get(b"sec-fetch-site", ())
        changes = method not in SAFE_METHODS
        if (changes or cookie) and origins and not self._is_ours(origins, arrival):
            raise _foreign()
        if (changes or cookie) and sites and not _is_same(sites):
            # A link from elsewhere may open a page of ours: it reads nothing of the answer and changes nothing.
            opened = (headers.get(b"sec-fetch-mode", ()), headers.get(b"sec-fetch-dest", ()))
            if changes or opened != ([b"navigate"], [b"document"]):
                raise _foreign()
        if changes and cookie and not origins and not sites:
            raise NotPermitted("origin_missing", "a change asked for by a browser must say which page it comes from")

    def _is_ours(self, origins: Sequence[bytes], arrival: Arrival) -> bool:
        try:
            places = {parse_origin(origin.decode("latin-1")) for origin in origins}
        except Malformed:
            return False
        return places == {arrival.origin} or (len(places) == 1 and places <= self.listed)


def guard_for(policy: HttpPolicy) -> Guard:
    """Return the guard that policy asks for.

    Raises:
        Malformed: ``origin_malformed``; policy has parsed them, so only a caller's own value can be so.
    """
    own = _LOOPBACK if policy.host in _ANY else (*_LOOPBACK, policy.host.lower())
    return Guard(
        frozenset(Place("http", host, policy.port) for host in own),
        frozenset(parse_origin(origin) for origin in policy.origins),
        tuple(ipaddress.ip_network(proxy) for proxy in policy.proxies),
    )


def grouped(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return headers by name, for lookups that must see that one came twice."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value.strip())
    return found


def _scheme(values: Sequence[bytes]) -> str | None:
    """Return what a trusted proxy says the browser speaks; several words for it are none."""
    said = {value.decode("latin-1").strip().lower() for value in values}
    return said.pop() if len(said) == 1 and said <= set(_DEFAULT_PORTS) else None


def _is_same(sites: Sequence[bytes]) -> bool:
    """``none`` is the person themselves: an address typed, a bookmark."""
    return set(sites) <= {b"same-origin", b"none"}


def _foreign() -> NotPermitted:
    return NotPermitted("origin_foreign", "the request comes from another site's page")
