"""A way out that answers by itself, and writes down who asked for what: stands where the egress proxy will."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from bascule.core.errors import Unavailable
from bascule.core.ids import AgentId


@dataclass
class AnsweringWay:
    """Answers each request with the agent's name; a tunnel stays open until one side lets go.

    Attributes:
        asked: agent and first line of everything that came.
        begun: how many listeners came.
        ended: how many of them were let go again.
        cut: tunnels whose other end went away.
        refuses: attend nobody.
    """

    asked: list[tuple[str, str]] = field(default_factory=list)
    begun: int = 0
    ended: int = 0
    cut: int = 0
    refuses: bool = False
    tunnel: asyncio.Event = field(default_factory=asyncio.Event)
    addresses: list[tuple[str, int]] = field(default_factory=list)
    networks: list[int] = field(default_factory=list)

    def attend(self, agent: AgentId, listener: int) -> Callable[[], None]:
        """See :class:`bascule.core.ports.WayOut`."""
        held = socket.socket(fileno=listener)
        if self.refuses:
            held.close()
            raise Unavailable("test_refuses", "nobody answers")
        held.setblocking(False)
        self.begun += 1
        self.addresses.append(held.getsockname())
        self.networks.append(int.from_bytes(held.getsockopt(socket.SOL_SOCKET, 71, 8), "little"))  # SO_NETNS_COOKIE
        talks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        # Not ``sock_accept``: cancelled at the wrong moment it forgets a connection that it has accepted already.
        loop.add_reader(held, self._accept, agent, held, talks)

        def end() -> None:
            if held.fileno() >= 0:
                self.ended += 1
                loop.remove_reader(held)
                held.close()
            for task in tuple(talks):
                task.cancel()

        return end

    def _accept(self, agent: AgentId, held: socket.socket, talks: set[asyncio.Task[None]]) -> None:
        with contextlib.suppress(OSError):
            peer, _ = held.accept()
            peer.setblocking(False)
            talk = asyncio.ensure_future(self._talk(agent, peer))
            talks.add(talk)
            talk.add_done_callback(talks.discard)
            # A task that is cancelled before it began never enters its own ``with``.
            talk.add_done_callback(lambda _: peer.close())

    async def _talk(self, agent: AgentId, peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with peer, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = await loop.sock_recv(peer, 4096)
                if not piece:
                    return
                head += piece
            line = head.split(b"\r\n")[0].decode()
            self.asked.append((agent, line))
            if line.startswith("CONNECT"):
                await loop.sock_sendall(peer, b"HTTP/1.1 200 OK\r\n\r\n")
                self.tunnel.set()
                while await loop.sock_recv(peer, 4096):
                    pass
                self.cut += 1
                return
            body = f"proxy of {agent}\n".encode()
            await loop.sock_sendall(
                peer, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
            )


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))
