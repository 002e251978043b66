"""Host names and web addresses, read strictly: one spelling each, and nothing that could be read in two ways.

Stops: an IP address in any notation standing where a name should (decimal, octal, hexadecimal, short, IPv6, with a
zone), user names in an address, backslashes, dot segments, letters outside ASCII, and a name that only this machine or
its own network knows. Does not stop a public name that resolves to a private address; whoever connects checks that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bascule.core.errors import Malformed

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?", re.ASCII)
_REST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%\[\]|{}^\"-]*", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_DOT_SEGMENT = re.compile(r"(?:\.|%2e){1,2}", re.ASCII | re.IGNORECASE)

LONGEST_URL: Final = 4096
LONGEST_HOST: Final = 253
"""Characters of a name without its final dot (RFC 1035, section 2.3.4)."""

_LOCAL_SUFFIXES: Final = frozenset(
    {"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "onion", "arpa"}
)
"""Last labels that never mean a public site: RFC 6761, 6762, 7686, 8375; `internal`, `home`, `corp` by ICANN; the rest
by habit. A cloud's metadata service answers to names below `internal`."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A parsed address: ``scheme`` is ``http`` or ``https``, ``host`` canonical, ``path`` begins with a slash.

    ``query`` is without its question mark, None if there was none; the fragment is gone, as it is never sent.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = None

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the scheme's own; what a Host header says."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == DEFAULT_PORTS[self.scheme] else f"{shown}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, as a request line has them."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def literal_problem(untrusted_host: str) -> str:
    """Return why a host is an IP address in some notation, empty if it is a name.

    A name whose last label is a number is one (the URL standard's "ends in a number" rule), so ``127.1``, ``0x7f.1``,
    ``017700000001`` and ``2130706433`` are; so is everything with a colon, a bracket or a zone's percent sign.
    """
    host = untrusted_host.strip()
    if any(mark in host for mark in ":[]%"):
        return "an IPv6 address or an escape stands where a host name should"
    last = host.removesuffix(".").rpartition(".")[2]
    if _NUMERIC.fullmatch(last):
        return "an IP address stands where a host name should"
    return ""


def parse_host(untrusted_host: str) -> str:
    """Return a host name in lower case without its final dot.

    Raises:
        Malformed: ``host_literal`` for an IP address in any notation; ``host_name`` for characters outside ASCII, an
            empty or too long label, or what no host name may hold.
    """
    if not untrusted_host.isascii():
        raise Malformed("host_name", "a host name has letters outside ASCII", "write its xn-- form")
    if literal_problem(untrusted_host):
        raise Malformed("host_literal", literal_problem(untrusted_host), "write the host's name")
    host = untrusted_host.lower().removesuffix(".")
    del untrusted_host
    if not host or len(host) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise Malformed("host_name", f"{host[:80]!r} is no host name")
    return host


def is_local_name(host: str) -> bool:
    """True for a canonical name that only this machine or its own network knows, and for what is no name at all."""
    return "." not in host or host.rpartition(".")[2] in _LOCAL_SUFFIXES or bool(literal_problem(host))


def parse_port(untrusted_port: str) -> int:
    """Return a port from 1 to 65535 in plain decimal digits.

    Raises:
        Malformed: ``host_port``.
    """
    if not _PORT.fullmatch(untrusted_port) or int(untrusted_port) > 65_535:
        raise Malformed("host_port", f"{untrusted_port[:12]!r} is no port")
    return int(untrusted_port)


def parse_authority(untrusted_authority: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, both of which must be there.

    Raises:
        Malformed: as :func:`parse_host` and :func:`parse_port`.
    """
    host, colon, port = untrusted_authority.rpartition(":")
    del untrusted_authority
    if not colon:
        raise Malformed("host_port", "a port is missing after the host name")
    if "@" in host:
        raise Malformed("host_name", "a user name stands before the host name")
    return parse_host(host), parse_port(port)


def parse_url(untrusted_url: str, *, literals: frozenset[str] = frozenset()) -> WebAddress:
    """Return a web address, its scheme and host in lower case.

    Args:
        untrusted_url: what somebody wrote.
        literals: IP addresses, as policy writes them, that may stand as the host.

    Raises:
        Malformed: ``url_form`` for no absolute http or https address, a user name, a backslash, a blank, a letter
            outside ASCII, a dot segment or a broken escape; else as :func:`parse_host` and :func:`parse_port`.
    """
    if len(untrusted_url) > LONGEST_URL:
        raise Malformed("url_form", f"the address is longer than {LONGEST_URL} characters")
    found = _URL.fullmatch(untrusted_url)
    if found is None or found["scheme"].lower() not in DEFAULT_PORTS:
        raise Malformed("url_form", "the address does not begin with https:// or http:// and a host")
    scheme, authority, rest = found["scheme"].lower(), found["authority"], found["rest"]
    del untrusted_url
    if "@" in authority:
        raise Malformed("url_form", "the address has a user name before its host")
    if not _REST.fullmatch(rest) or _ESCAPE.search(rest):
        raise Malformed("url_form", "the address has a character that must be written as a % escape")
    host, port = _host_and_port(authority, DEFAULT_PORTS[scheme], literals)
    path, question, query = rest.partition("?")
    if any(_DOT_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        raise Malformed("url_form", "the address has a dot segment in its path")
    return WebAddress(scheme, host, port, path if path else "/", query if question else None)


def _host_and_port(authority: str, default: int, literals: frozenset[str]) -> tuple[str, int]:
    for literal in literals:
        shown = f"[{literal}]" if ":" in literal else literal
        if authority == shown:
            return literal, default
        if authority.startswith(f"{shown}:"):
            return literal, parse_port(authority.removeprefix(f"{shown}:"))
    if authority.startswith("["):
        raise Malformed("host_literal", literal_problem(authority), "write the host's name")
    host, colon, port = authority.partition(":")
    return parse_host(host), parse_port(port) if colon else default
