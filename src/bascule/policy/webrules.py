"""``gateway``: where pages and interfaces are served, and from where; which of OpenClaw's keys do nothing, and why.

Stops: a listener that reaches further than its reader knew: everything beyond this machine's loopback is a finding that
says what makes it safe, and a key that would open a door unseen is refused or ignored by name. Does not stop an
operator from serving plain HTTP to a network they trust.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.surfaces import DEFAULT_PORT, HttpPolicy
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.schema.gateway import Auth, ControlUi, Gateway, Http
from bascule.policy.schema.root import Config

LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 -- only where gateway.bind says lan, and then with a finding

_BASE = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", re.ASCII)
_RESERVED: Final = frozenset({"api", "v1"})
"""First parts of our own paths: a base of that name could not be told from them."""

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?)(:(?P<port>[1-9][0-9]{0,4}))?",
    re.ASCII,
)

_PUBLISH: Final = (
    "keep gateway.bind at loopback and publish it with tailscale serve or a reverse proxy that speaks HTTPS, "
    "named in gateway.controlUi.allowedOrigins"
)

_UNUSED: Final[tuple[tuple[str, str], ...]] = (
    ("nodes", "there are no nodes"),
    ("remote", "verbs speak to the gateway of their own home"),
    ("reload", "a changed policy is read at a restart"),
    ("tls", "HTTPS is spoken by tailscale serve or a reverse proxy"),
    ("tools", "no tool is called over HTTP"),
    ("mode", "a gateway is always its own machine's"),
    ("allowRealIpFallback", "X-Real-IP is not read"),
    ("auth.rateLimit", "failed sign-ins are always limited, from this machine too"),
    ("auth.trustedProxy", "no header signs anybody in"),
    ("auth.allowTailscale", "no header signs anybody in"),
    ("auth.token", "tokens are made with: bascule tokens create"),
    ("auth.password", "tokens are made with: bascule tokens create"),
    ("controlUi.root", "the pages are part of the program"),
    ("tailscale.resetOnExit", "publish it yourself with: tailscale serve"),
    ("http.allowSessionKeyOverride", "a token names its session"),
    ("http.securityHeaders", "every answer has the strictest"),
    ("http.endpoints.responses", "chatCompletions is what there is"),
)
"""Keys below ``gateway`` that are accepted so that a file carries over, with why they do nothing."""


def http_policy(config: Config, document: Document) -> tuple[HttpPolicy, tuple[Finding, ...]]:
    """Return where HTTP is served, and what an operator should know about that.

    Raises:
        Malformed: ``policy_schema``: an address, origin, proxy or base path that is none, or ``auth.mode: none``.
    """
    section = config.gateway if config.gateway is not None else Gateway()
    ui = section.control_ui if section.control_ui is not None else ControlUi()
    http = section.http if section.http is not None else Http()
    endpoints = http.endpoints
    chat = endpoints.chat_completions if endpoints is not None else None
    if section.auth is not None and section.auth.mode == "none":
        raise _wrong(document, ("auth", "mode"), "nobody gets in without a token", "remove it")
    base = HttpPolicy()
    policy = HttpPolicy(
        enabled=base.enabled if http.enabled is None else http.enabled,
        dashboard=base.dashboard if ui.enabled is None else ui.enabled,
        chat=base.chat if chat is None or chat.enabled is None else chat.enabled,
        host=_host(section, document),
        port=DEFAULT_PORT if section.port is None else section.port,
        origins=tuple(_origins(ui, document)),
        proxies=tuple(_proxies(section, document)),
        base_path=_base_path(ui, document),
    )
    return policy, tuple(_findings(section, policy, document))


def _wrong(document: Document, key: Path, problem: str, remedy: str = "") -> Malformed:
    path = ("gateway", *key)
    return Malformed("policy_schema", f"{document.where(path)}: {dotted(path)}: {problem}", remedy)


def _host(section: Gateway, document: Document) -> str:
    """Return the address to listen on; whatever does not name one is loopback."""
    if section.bind == "lan":
        return EVERYWHERE
    if section.bind not in ("custom", "tailnet"):
        return LOOPBACK
    if section.custom_bind_host is None:
        if section.bind == "tailnet":
            return LOOPBACK
        raise _wrong(document, ("bind",), "custom needs an address in gateway.customBindHost", "name one")
    try:
        # An address with a zone is this machine's own word for it; no browser could name it as a host.
        return str(ipaddress.ip_address(section.custom_bind_host.replace("%", " ")))
    except ValueError:
        problem = f"{section.custom_bind_host[:60]!r} is no IP address"
        raise _wrong(document, ("customBindHost",), problem, "write the address itself, like 192.168.1.5") from None


def _origins(ui: ControlUi, document: Document) -> Iterator[str]:
    for index, origin in enumerate(ui.allowed_origins or ()):
        if origin == "*":
            continue  # everybody is nobody; a finding says so
        lowered = origin.lower()
        if not (origin.isascii() and _is_place(lowered)):
            problem = f"{origin[:60]!r} is no address of a site"
            remedy = "write scheme, host and port only, like https://bascule.example"
            raise _wrong(document, ("controlUi", "allowedOrigins", index), problem, remedy)
        yield lowered


def _is_place(origin: str) -> bool:
    found = _ORIGIN.fullmatch(origin)
    if found is None or (found["port"] is not None and int(found["port"]) > 65_535):
        return False
    try:
        return not found["host"].startswith("[") or bool(ipaddress.IPv6Address(found["host"][1:-1]))
    except ValueError:
        return False


def _proxies(section: Gateway, document: Document) -> Iterator[str]:
    for index, proxy in enumerate(section.trusted_proxies or ()):
        key: Path = ("trustedProxies", index)
        try:
            network = ipaddress.ip_network(proxy)
        except ValueError:
            problem = f"{proxy[:60]!r} is no address or network"
            raise _wrong(document, key, problem, "write one like 127.0.0.1 or 10.1.0.0/24") from None
        if network.prefixlen == 0:
            raise _wrong(document, key, f"{proxy} is everybody", "name the proxy's own address")
        yield str(network)


def _base_path(ui: ControlUi, document: Document) -> str:
    path = ui.base_path
    if path is None or path == "/":
        return ""
    if not _BASE.fullmatch(path) or path.split("/")[1] in _RESERVED:
        remedy = "write it like /bascule: no slash at the end, not below /api or /v1"
        raise _wrong(document, ("controlUi", "basePath"), f"{path[:60]!r} is no base path", remedy)
    return path


def _findings(section: Gateway, policy: HttpPolicy, document: Document) -> Iterator[Finding]:
    yield from _exposure(section, policy)
    yield from _sites(section, policy)
    yield from _unused(document)
    yield from _publishing(section, policy)
    yield from _sign_in(section.auth if section.auth is not None else Auth())


def _exposure(section: Gateway, policy: HttpPolicy) -> Iterator[Finding]:
    if section.bind == "auto":
        detail = "gateway.bind auto is read as loopback"
        yield Finding("gateway.bind_auto", Severity.INFO, detail, "write loopback, or publish it as documented")
    if section.bind == "tailnet" and section.custom_bind_host is None:
        detail = "gateway.bind tailnet names no address, so it is read as loopback"
        remedy = "run tailscale serve, or name the machine's tailnet address in gateway.customBindHost"
        yield Finding("gateway.bind_tailnet", Severity.WARN, detail, remedy)
    if not policy.enabled or ipaddress.ip_address(policy.host).is_loopback:
        return
    shielded = bool(policy.proxies) or any(origin.startswith("https://") for origin in policy.origins)
    detail = f"gateway.bind is {section.bind}: {policy.host} port {policy.port} can be reached from other machines"
    detail += (
        "" if shielded else ", and neither HTTPS origins nor proxies are named, so tokens cross the network readable"
    )
    yield Finding("gateway.bind_exposed", Severity.WARN if shielded else Severity.CRITICAL, detail, _PUBLISH)


def _sites(section: Gateway, policy: HttpPolicy) -> Iterator[Finding]:
    named = section.control_ui.allowed_origins if section.control_ui is not None else None
    if "*" in (named or ()):
        detail = "gateway.controlUi.allowedOrigins * is ignored: every other site would be let in"
        yield Finding("gateway.control_ui.allowed_origins_wildcard", Severity.CRITICAL, detail, "name the sites")
    for origin in policy.origins:
        place = _ORIGIN.fullmatch(origin)
        if place is not None and place["scheme"] == "http" and place["host"] not in ("127.0.0.1", "[::1]", "localhost"):
            detail = (
                f"{origin} in gateway.controlUi.allowedOrigins is not HTTPS: a session crosses the network readable"
            )
            yield Finding("gateway.control_ui.plain_http", Severity.WARN, detail, "publish it over HTTPS")
    if policy.base_path and not policy.origins:
        detail = "gateway.controlUi.basePath is set, and no site is named that a proxy would serve it for"
        yield Finding(
            "gateway.control_ui.base_path", Severity.INFO, detail, "name it in gateway.controlUi.allowedOrigins"
        )


def _unused(document: Document) -> Iterator[Finding]:
    for path in document.keys:
        for key, why in _UNUSED if path[:1] == ("gateway",) else ():
            if dotted(path[1:]) == key:
                detail = f"{document.where(path, key=True)}: {dotted(path)} has no effect: {why}"
                yield Finding("policy.key_inert", Severity.INFO, detail, "remove it")


def _publishing(section: Gateway, policy: HttpPolicy) -> Iterator[Finding]:
    mode = section.tailscale.mode if section.tailscale is not None else None
    if mode == "funnel":
        detail = "gateway.tailscale.mode funnel is not done: it would show the gateway to the whole internet"
        yield Finding(
            "gateway.tailscale_funnel", Severity.CRITICAL, detail, "use serve, which shows it to your tailnet"
        )
    if mode == "serve":
        detail = "gateway.tailscale.mode serve is not done by the gateway itself"
        remedy = (
            f"run: tailscale serve --bg {policy.port}, and name https://<machine>.<tailnet>.ts.net in allowedOrigins"
        )
        yield Finding("gateway.tailscale_serve", Severity.INFO, detail, remedy)


def _sign_in(auth: Auth) -> Iterator[Finding]:
    if auth.mode in ("password", "trusted-proxy"):
        detail = f"gateway.auth.mode {auth.mode} is not done: a token or a one-time link is what signs in"
        yield Finding("gateway.auth_mode", Severity.WARN, detail, "make one with: bascule tokens create")
    if auth.rate_limit is not None and auth.rate_limit.exempt_loopback:
        detail = "gateway.auth.rateLimit.exemptLoopback is ignored: this machine's own addresses are limited too"
        yield Finding("gateway.auth_loopback_exempt", Severity.INFO, detail, "remove it")
