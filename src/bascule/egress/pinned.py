"""The network under the gateway's own HTTP client: it connects to one host, at a checked address, and nowhere else.

Stops: the client connecting to whatever a name means by then, to another host, or to a socket of this machine. The name
stays what TLS and the Host header say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httpcore2

from bascule.core.errors import NotPermitted, Unavailable
from bascule.egress.dial import MOST_TRIED, Dialer

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class PinnedBackend(httpcore2.AsyncNetworkBackend):
    """For one connection.

    Args:
        dialer: its patience.
        host: canonical; the only one that may be asked for.
        port: the same.
        addresses: checked, in the order to try them.
    """

    def __init__(self, dialer: Dialer, host: str, port: int, addresses: tuple[str, ...]) -> None:
        self._dialer = dialer
        self._place = (host, port)
        self._addresses = addresses
        self._network = httpcore2.AnyIOBackend()
        self.address = ""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the signature is the library's
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first checked address that answers.

        Raises:
            NotPermitted: ``address_refused``, another place than the one that was judged.
            Unavailable: ``host_unreachable``.
        """
        if (host, port) != self._place or local_address is not None:
            raise NotPermitted("address_refused", f"{host[:80]}:{port} is not the place that was judged")
        patience = self._dialer.connect_seconds if timeout is None else min(timeout, self._dialer.connect_seconds)
        for address in self._addresses[:MOST_TRIED]:
            try:
                stream = await self._network.connect_tcp(address, port, timeout=patience, socket_options=socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
            self.address = address
            return stream
        raise Unavailable("host_unreachable", f"no address of {host} answers at port {port}")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 -- the signature is the library's
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse.

        Raises:
            NotPermitted: ``address_refused``, always.
        """
        del path, timeout, socket_options
        raise NotPermitted("address_refused", "a socket of this machine is not the web")

    async def sleep(self, seconds: float) -> None:
        """Wait between the library's own attempts, of which there are none."""
        await asyncio.sleep(seconds)
