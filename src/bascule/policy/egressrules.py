"""``egress``: which hosts an agent reaches, from both of its sections; a Docker bridge is carried as an open rule.

Stops: a rule that reads otherwise than it means (an address for a name, a star inside a name, a path nobody could
match) being taken for one, and an absent list meaning everything. What reaches every public host, or this machine's
own network, is a finding that says so. Does not stop an operator from naming a host that answers to others.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from bascule.core.addresses import address_problem
from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.hosts import DEFAULT_PORTS, literal_problem, parse_host, parse_port, parse_url
from bascule.core.policy import RAW_BRIDGE
from bascule.core.reach import EgressPolicy, HostRule, Names, PrivatePlace, SearchPolicy, destination, reach, widest
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.schema.ours import Egress, EgressRule, EgressSearch

EVERY_PUBLIC_HOST = HostRule("sandbox.docker.network bridge", Names.PUBLIC)
"""What a bridge is carried as: every public name, at the ports of the web."""

_BRAVE = "https://api.search.brave.com/res/v1/web/search?q={query}&count={count}"
_BRAVE_KEY = "X-Subscription-Token"


@dataclass(frozen=True, slots=True)
class EgressSource:
    """What one agent's rules come from.

    Attributes:
        agent: whose.
        section: ``egress``, None if there is none.
        network: the agent's ``sandbox.network``, with ``bridge`` not yet read as a proxy.
    """

    agent: str
    section: Egress | None
    network: str


def egress_policy(source: EgressSource, document: Document) -> tuple[EgressPolicy, tuple[Finding, ...]]:
    """Return where an agent may connect, and what an operator should know about that.

    Raises:
        Malformed: ``policy_schema``, a rule, private place or search address that does not parse.
    """
    section = source.section if source.section is not None else Egress()
    shared = section.defaults if section.defaults is not None else EgressRule()
    own = (section.agents if section.agents is not None else {}).get(source.agent, EgressRule())
    scopes: tuple[tuple[EgressRule, Path], ...] = (
        (shared, ("egress", "defaults")),
        (own, ("egress", "agents", source.agent)),
    )
    named = own.allow is not None or shared.allow is not None
    # An agent's own list stands in place of the shared one; what is denied anywhere is denied.
    allow = _rules(*(scopes[1] if own.allow is not None else scopes[0]), "allow", document)
    if source.network == "bridge" and not named:
        allow = (EVERY_PUBLIC_HOST,)
    deny = tuple(rule for scope, path in scopes for rule in _rules(scope, path, "deny", document))
    private = tuple(place for scope, path in scopes for place in _private(scope, path, document))
    search = next((_search(scope.search, path, document) for scope, path in scopes[::-1] if scope.search), None)
    base = EgressPolicy()
    methods = own.methods if own.methods is not None else shared.methods
    policy = EgressPolicy(
        allow,
        deny,
        base.methods if methods is None else frozenset(methods),
        tuple(dict.fromkeys(private)),
        _least((own.max_response_bytes, shared.max_response_bytes), base.max_response_bytes),
        _least((own.max_request_bytes, shared.max_request_bytes), base.max_request_bytes),
        _least((own.requests_per_minute, shared.requests_per_minute), base.requests_per_minute),
        _least((own.connections, shared.connections), base.connections),
        SearchPolicy() if search is None else search,
        dotted(scopes[1][1]),
    )
    return policy, tuple(_findings(source, policy, named=named))


def _least(said: tuple[int | None, ...], base: int) -> int:
    return min((number for number in said if number is not None), default=base)


def parse_rule(untrusted_rule: str) -> HostRule:
    """Return one rule: ``host``, ``*.host`` or ``*``, with ``:port``, or ``http(s)://`` before and ``/path`` behind.

    Without a port it covers 80 and 443, or the scheme's own.

    Raises:
        Malformed: ``egress_rule``, or as :func:`parse_host` and :func:`parse_port`.
    """
    scheme, separator, rest = untrusted_rule.rpartition("://")
    if separator and scheme not in DEFAULT_PORTS:
        raise Malformed("egress_rule", f"{untrusted_rule[:80]!r} begins with no http:// or https://")
    place, slash, path = rest.partition("/")
    if slash and not separator:
        raise Malformed("egress_rule", f"{untrusted_rule[:80]!r} has a path and no http:// or https:// before it")
    if path:
        path = parse_url(f"https://a.example/{path}").path
    if "%" in path or "//" in path or "?" in rest or "#" in rest:
        raise Malformed("egress_rule", f"{untrusted_rule[:80]!r} has a path that is no plain prefix")
    host, colon, port = place.partition(":")
    ports = HostRule("", Names.PUBLIC).ports if not scheme else frozenset({DEFAULT_PORTS[scheme]})
    if colon:
        ports = frozenset({parse_port(port)})
    path = path if path != "/" else ""
    if host == "*":
        return HostRule(untrusted_rule, Names.PUBLIC, "", ports, scheme, path)
    if host.startswith("*."):
        suffix = parse_host(host[2:])
        if "." not in suffix:
            raise Malformed("egress_rule", f"{untrusted_rule[:80]!r} covers a whole top-level domain", "name a site")
        return HostRule(untrusted_rule, Names.BELOW, suffix, ports, scheme, path)
    return HostRule(untrusted_rule, Names.EXACT, parse_host(host), ports, scheme, path)


def parse_private(untrusted_place: str) -> PrivatePlace:
    """Return a private place, ``name:port``, ``127.0.0.1:port`` or ``[::1]:port``; nothing is filled in.

    Raises:
        Malformed: ``egress_private``, or as :func:`parse_host` and :func:`parse_port`.
    """
    host, colon, port = untrusted_place.rpartition(":")
    if not colon:
        raise Malformed("egress_private", f"{untrusted_place[:80]!r} names no port", "write host:port")
    if literal_problem(host):
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        try:
            address = ipaddress.ip_address(bare)
        except ValueError:
            raise Malformed("egress_private", f"{host[:80]!r} is no plain IP address") from None
        if "%" in bare:
            raise Malformed("egress_private", f"{host[:80]!r} has a zone")
        shown = f"[{address}]" if address.version == 6 else str(address)
        if host != shown:
            raise Malformed("egress_private", f"{host[:80]!r} is not how that address is written", f"write {shown}")
        if problem := address_problem(str(address), private=True):
            raise Malformed("egress_private", f"{host[:80]!r} is never reached: {problem}", "remove it")
        return PrivatePlace(str(address), parse_port(port))
    return PrivatePlace(parse_host(host), parse_port(port))


def _rules(scope: EgressRule, path: Path, key: str, document: Document) -> tuple[HostRule, ...]:
    written = (scope.allow if key == "allow" else scope.deny) or ()
    found = []
    for index, rule in enumerate(written):
        try:
            found.append(parse_rule(rule))
        except Malformed as refused:
            raise _wrong(document, (*path, key, index), refused) from None
    return tuple(found)


def _private(scope: EgressRule, path: Path, document: Document) -> Iterator[PrivatePlace]:
    for index, place in enumerate(scope.allow_private or ()):
        try:
            yield parse_private(place)
        except Malformed as refused:
            raise _wrong(document, (*path, "allowPrivate", index), refused) from None


def _search(section: EgressSearch, path: Path, document: Document) -> SearchPolicy:
    base = SearchPolicy()
    results = base.results if section.results is None else section.results
    if section.provider == "brave":
        template = _BRAVE if section.url is None else section.url
        header = _BRAVE_KEY if section.key_header is None else section.key_header
        env = "BRAVE_API_KEY" if section.key_env is None else section.key_env
    else:
        template, header, env = section.url or "", section.key_header or "", section.key_env or ""
        if section.provider == "searxng" and template:
            template = f"{template.removesuffix('/')}/search?q={{query}}&format=json"
    try:
        _check_search(template, header, env)
    except Malformed as refused:
        raise _wrong(document, (*path, "search"), refused) from None
    return SearchPolicy(template, header, env, results)


def _check_search(template: str, header: str, env: str) -> None:
    parse_url(template.replace("{query}", "x").replace("{count}", "1"), literals=_literals(template))
    before, _, after = template.partition("?")
    if "{" in before or "{query}" not in after:
        raise Malformed("egress_search", "the address has no {query} behind its question mark")
    if bool(header) != bool(env):
        raise Malformed("egress_search", "a key needs both keyHeader and keyEnv")


def _literals(template: str) -> frozenset[str]:
    """Return the IP address a search template names, if it does: the operator's own word, subject to the rules."""
    host = template.partition("://")[2].partition("/")[0].rpartition(":")[0].strip("[]")
    return frozenset({host}) if host and literal_problem(host) else frozenset()


def _wrong(document: Document, path: Path, refused: Malformed) -> Malformed:
    message = f"{document.where(path)}: {dotted(path)}: {refused.message}"
    return Malformed("policy_schema", message, refused.remedy)


def _search_problem(policy: EgressPolicy) -> str:
    """Return why a search would be refused, empty if it would not, or if there is none."""
    if not policy.search.template:
        return ""
    written = policy.search.template.replace("{query}", "x").replace("{count}", "1")
    try:
        address = parse_url(written, literals=policy.literals)
    except Malformed as refused:
        return refused.message
    ruling = reach(destination(address, "GET"), policy)
    return "" if ruling.allowed else ruling.reason


def _findings(source: EgressSource, policy: EgressPolicy, *, named: bool) -> Iterator[Finding]:
    agent = source.agent
    if source.network == "bridge":
        how = "what egress names" if named else "every public host at ports 80 and 443, unless egress names some"
        detail = f"{agent}: the network bridge is carried as proxy: no route, and through the proxy {how}"
        yield Finding("egress.bridge_as_proxy", Severity.INFO, detail, "write sandbox.network proxy and name the hosts")
    if source.network == "none":
        if policy.allow or policy.private:
            detail = f"{agent}: egress names hosts, and its network is none, so nothing is reached"
            yield Finding("egress.no_network", Severity.INFO, detail, "set sandbox.network to proxy, or remove them")
        return
    if not policy.allow and not policy.private:
        what = "its tools reach nothing; its programs do" if source.network == RAW_BRIDGE else "nothing is reached"
        detail = f"{agent}: egress names no host, so {what}"
        yield Finding("egress.nothing", Severity.INFO, detail, "name hosts in egress.agents, or set network to none")
    if widest(policy.allow):
        detail = f"{agent}: every public host is reached; what it reads can leave in an address"
        yield Finding("egress.every_host", Severity.INFO, detail, f"name the hosts it needs in {policy.where}.allow")
    if problem := _search_problem(policy):
        detail = f"{agent}: web_search asks where its rules do not lead: {problem}"
        remedy = f"name that host in {policy.where}.allow, or with its port in {policy.where}.allowPrivate"
        yield Finding("egress.search_host", Severity.WARN, detail, remedy)
    for place in policy.private:
        detail = f"{agent}: {place.host} port {place.port} is reached although it may be this machine or its network"
        yield Finding("egress.private", Severity.WARN, detail, f"remove it from {policy.where}.allowPrivate")
