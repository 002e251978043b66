"""The head of a request to the proxy, read so that no two readers could disagree about it, and written anew.

Stops: a request hidden in another: line ends that are none, folded or doubled headers, two lengths, chunks, a Host that
is not the target's, a body on CONNECT. What goes to the server is written by us from the parsed parts; what concerns
only one connection stays behind. Does not stop: what the headers of a well-formed request say to the site.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bascule.core.errors import Malformed
from bascule.core.hosts import WebAddress, parse_authority, parse_port, parse_url
from bascule.core.reach import Destination, destination

LONGEST: Final = 1 << 14
"""Bytes of a request's head."""

_MOST_HEADERS: Final = 100
_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/1\.[01]")
# No two repeats that take the same bytes stand side by side: they would share them out in every way there is.
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,15}")

_OF_ONE_CONNECTION: Final = frozenset(
    {b"connection", b"expect", b"host", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
     b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"}
)  # fmt: skip
"""Headers that are not passed on (RFC 9110, section 7.6.1), and Host, which is written from the target."""

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """A parsed request.

    Attributes:
        method: ``CONNECT`` for a tunnel.
        wanted: where it goes, for the rules.
        address: None for a tunnel.
        headers: those that are passed on, as they came.
        length: bytes of the body that follows.
    """

    method: str
    wanted: Destination
    address: WebAddress | None
    headers: tuple[Header, ...]
    length: int

    @property
    def target(self) -> str:
        """The address, or ``host:port``."""
        return f"{self.wanted.host}:{self.wanted.port}" if self.address is None else str(self.address)

    def written(self) -> bytes:
        """The head as the server is sent it: no address form, our own Host, one request a connection."""
        if self.address is None:
            return b""
        line = f"{self.method} {self.address.target} HTTP/1.1\r\nHost: {self.address.authority}\r\n".encode("ascii")
        kept = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        return line + kept + b"Connection: close\r\n\r\n"


def parse_head(untrusted_head: bytes, literals: frozenset[str]) -> Head:
    """Return a request's head.

    Args:
        untrusted_head: everything up to and without the empty line.
        literals: IP addresses that policy names as hosts.

    Raises:
        Malformed: ``request_form``, or what :func:`parse_url` and :func:`parse_authority` say of the target.
    """
    first, *lines = untrusted_head.split(b"\r\n")
    del untrusted_head
    line = _LINE.fullmatch(first)
    if line is None or len(lines) > _MOST_HEADERS:
        raise _bad("has no request line, or too many headers")
    headers = tuple(_header(each) for each in lines)
    method, target = line[1].decode("ascii"), line[2].decode("ascii")
    if method == "CONNECT":
        if _all(headers, b"content-length") or _all(headers, b"transfer-encoding"):
            raise _bad("is a CONNECT with a body")
        host, port = _place(target, literals)
        return Head(method, Destination(host, port), None, (), 0)
    if not target.lower().startswith("http://"):
        raise _bad("does not ask for an http:// address; what is not plain HTTP goes through CONNECT")
    address = parse_url(target, literals=literals)
    _check_host(headers, address)
    length = _length(headers)
    return Head(method, destination(address, method), address, _kept(headers), length)


def _bad(problem: str) -> Malformed:
    return Malformed("request_form", f"the request {problem}")


def _header(line: bytes) -> Header:
    found = _HEADER.fullmatch(line)
    if found is None:
        raise _bad("has a line that is no header")
    return found[1], found[2].strip(b" \t")


def _all(headers: tuple[Header, ...], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]


def _place(target: str, literals: frozenset[str]) -> tuple[str, int]:
    for literal in literals:
        shown = f"[{literal}]" if ":" in literal else literal
        if target.startswith(f"{shown}:"):
            return literal, parse_port(target.removeprefix(f"{shown}:"))
    return parse_authority(target)


def _check_host(headers: tuple[Header, ...], address: WebAddress) -> None:
    said = _all(headers, b"host")
    if len(said) > 1:
        raise _bad("has two Host headers")
    full = f"{address.authority.removesuffix(f':{address.port}')}:{address.port}"
    if said and said[0].lower() not in (address.authority.encode("ascii"), full.encode("ascii")):
        raise _bad("has a Host header for another host than its target")


def _length(headers: tuple[Header, ...]) -> int:
    if _all(headers, b"transfer-encoding"):
        raise _bad("has a body in chunks; send its length")
    said = _all(headers, b"content-length")
    if len(said) > 1 or (said and not _LENGTH.fullmatch(said[0])):
        raise _bad("has no single length")
    return int(said[0]) if said else 0


def _kept(headers: tuple[Header, ...]) -> tuple[Header, ...]:
    named = {name.strip().lower() for value in _all(headers, b"connection") for name in value.split(b",")}
    # Whoever names the length as a matter of one connection would have the server read a body as a second request.
    dropped = (_OF_ONE_CONNECTION | named) - {b"content-length"}
    return tuple((name, value) for name, value in headers if name.lower() not in dropped)
