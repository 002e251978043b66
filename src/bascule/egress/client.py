"""The gateway's own client: one GET at a time, each redirect judged like the first request.

Stops: a page, or a chain of redirects, that leads inside, to a host no rule names, from HTTPS down to HTTP, to another
method, or that never ends. Nothing is compressed on the way, so no small answer becomes a large one. Cookies are not
kept, and no name or key of the operator's is sent. Does not stop: what the address itself tells the site.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urljoin

import httpcore2

from bascule.core.errors import BasculeError, Malformed, NotPermitted, Unavailable
from bascule.core.hosts import WebAddress, parse_url
from bascule.core.ids import AgentId
from bascule.core.reach import EgressPolicy, advice, destination, reach
from bascule.core.web import Fetched
from bascule.egress.dial import Dialer
from bascule.egress.journal import Entry, Journal
from bascule.egress.meter import Meter
from bascule.egress.pinned import PinnedBackend

MOST_HOPS: Final = 6
"""Addresses asked for one fetch: the first and five redirects."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final = {
    "User-Agent": "Bascule",
    "Accept": "text/html, text/plain, application/json;q=0.9, */*;q=0.1",
    "Accept-Encoding": "identity",
    "Connection": "close",
}
_FAULTS: Final = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException)

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Headers
    body: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class Ways:
    """What every way out of one agent shares: its rules of the moment, its meter, its dialer."""

    rules: EgressPolicy
    meter: Meter
    dialer: Dialer


@dataclass(frozen=True, slots=True)
class _Errand:
    """One fetch: for whom, by which rules, how much, and what is said besides our own headers."""

    agent: AgentId
    ways: Ways
    most: int
    headers: Mapping[str, str]


class Client:
    """Implements :class:`bascule.core.ports.Web`.

    Args:
        ways: for an agent, its rules, meter and dialer.
        journal: where every request is written.
        trust: certificates of the sites; None for those this machine trusts.
    """

    def __init__(self, ways: Callable[[AgentId], Ways], journal: Journal, trust: ssl.SSLContext | None = None) -> None:
        self._ways = ways
        self._journal = journal
        self._trust = trust

    async def get(
        self, agent: AgentId, url: str, *, most: int, seconds: float, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """See :class:`bascule.core.ports.Web`."""
        ways = self._ways(agent)
        errand = _Errand(agent, ways, min(most, ways.rules.max_response_bytes), headers if headers is not None else {})
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(errand, url)
        except TimeoutError:
            raise Unavailable("fetch_slow", f"no whole answer in {seconds:g} seconds") from None

    async def _follow(self, errand: _Errand, untrusted_url: str) -> Fetched:
        address = parse_url(untrusted_url, literals=errand.ways.rules.literals)
        del untrusted_url
        hops: list[str] = []
        came = ""
        while True:
            try:
                answer = await self._ask(errand, address)
            except BasculeError as refused:
                raise _after(came, refused) if came else refused from None
            hops.append(str(address))
            if answer.status not in _REDIRECTS or errand.headers:
                return _fetched(address, answer, tuple(hops))
            if len(hops) == MOST_HOPS:
                raise Unavailable("redirect_loop", f"{hops[0][:200]} was redirected more than {MOST_HOPS - 1} times")
            came, address = address.host, _next(address, answer.headers, errand.ways.rules)

    async def _ask(self, errand: _Errand, address: WebAddress) -> _Answer:
        ways = errand.ways
        ruling = reach(destination(address, "GET"), ways.rules)
        entry = Entry(errand.agent, "client", "GET", str(address), ruling.code, ruling.reason, ruling.rule)
        if not ruling.allowed:
            await self._journal.refused(entry)
            raise NotPermitted(ruling.code, ruling.reason, advice(ruling, ways.rules))
        with ExitStack() as counted:
            try:
                counted.enter_context(ways.meter.request(ways.rules))
                addresses = await ways.dialer.checked(address.host, address.port, private=ruling.private)
            except BasculeError as refused:
                await self._journal.refused(replace(entry, code=refused.code, reason=refused.message))
                raise
            opened = await self._journal.opened(entry)
            backend = PinnedBackend(ways.dialer, address.host, address.port, addresses)
            ended = replace(entry, code="cancelled", reason="")
            try:
                answer = await self._exchange(errand, address, backend)
                ended = replace(entry, received=len(answer.body))
            except BasculeError as refused:
                ended = replace(entry, code=refused.code, reason=refused.message)
                raise
            finally:
                await self._journal.closed(replace(ended, address=backend.address), opened)
        return answer

    async def _exchange(self, errand: _Errand, address: WebAddress, backend: PinnedBackend) -> _Answer:
        """Ask, once everything is judged, checked and written down."""
        try:
            if self._trust is None:
                self._trust = ssl.create_default_context()  # reads hundreds of certificates, so once
            async with httpcore2.AsyncConnectionPool(ssl_context=self._trust, network_backend=backend) as pool:
                return await _exchange(pool, address, {**_HEADERS, **errand.headers}, errand.most)
        except _FAULTS as fault:
            problem = f"{address.host} does not answer as a web server should: {type(fault).__name__}"
            raise Unavailable("fetch_failed", problem) from None


async def _exchange(
    pool: httpcore2.AsyncConnectionPool, address: WebAddress, headers: Mapping[str, str], most: int
) -> _Answer:
    # The parts are given apart, so that nothing reads the address a second time in its own way.
    where = httpcore2.URL(
        scheme=address.scheme.encode(),
        host=address.host.encode(),
        port=address.port,
        target=address.target.encode(),
    )
    said = [("Host", address.authority), *headers.items()]
    async with pool.stream("GET", where, headers=[(name.encode(), value.encode()) for name, value in said]) as response:
        encodings = [value for name, value in response.headers if name.lower() == b"content-encoding"]
        if any(value.strip().lower() not in (b"", b"identity") for value in encodings):
            raise Unavailable("content_encoded", f"{address.host} compressed its answer, though asked not to")
        body, truncated = bytearray(), False
        if response.status not in _REDIRECTS:
            async for piece in response.aiter_stream():
                body += piece
                if len(body) > most:
                    truncated = True
                    break
        return _Answer(response.status, tuple(response.headers), bytes(body[:most]), truncated)


def _after(host: str, refused: BasculeError) -> BasculeError:
    """The same refusal, and that a redirect led there; of a stranger's address no more is told than its host."""
    return type(refused)(refused.code, f"{host} redirects elsewhere: {refused.message}", refused.remedy)


def _next(address: WebAddress, headers: Headers, rules: EgressPolicy) -> WebAddress:
    """Return where a redirect leads.

    Raises:
        Malformed: ``redirect_form``, or as :func:`parse_url`.
        NotPermitted: ``redirect_downgrade``.
    """
    places = [value for name, value in headers if name.lower() == b"location"]
    if len(places) != 1 or not places[0].isascii():
        raise Malformed("redirect_form", f"{address.host} redirects to {len(places)} readable places")
    try:
        joined = urljoin(str(address), places[0].decode("ascii").strip())
    except ValueError:
        raise Malformed("redirect_form", f"{address.host} redirects to no address") from None
    found = parse_url(joined, literals=rules.literals)
    if address.scheme == "https" and found.scheme != "https":
        raise NotPermitted("redirect_downgrade", f"{address.host} redirects from HTTPS to HTTP")
    return found


def _fetched(address: WebAddress, answer: _Answer, hops: tuple[str, ...]) -> Fetched:
    types = [value for name, value in answer.headers if name.lower() == b"content-type"]
    media, charset = _media(types[0].decode("latin-1")) if len(types) == 1 else ("", "")
    return Fetched(str(address), address.host, answer.status, media, charset, answer.body, answer.truncated, hops)


def _media(value: str) -> tuple[str, str]:
    kind, *parameters = (part.strip().lower() for part in value.split(";"))
    for parameter in parameters:
        name, _, said = parameter.partition("=")
        if name.strip() == "charset":
            return kind, said.strip().strip('"')
    return kind, ""
