"""The way out of a container: a listener in its own network, made from outside and handed to the gateway.

Stops: a listener being made anywhere but in an empty network: the network is the one of the very process whose mounts
were compared, it is not ours, and it holds nothing but loopback. Done by a copy of the warden that ends thereafter.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from bascule.core.errors import Unavailable
from bascule.linux.calls import join_network
from bascule.linux.loopback import open_listener
from bascule.sandboxes.way import PORT

_CLOSED = Path("/proc/sys/net/ipv4/tcp_max_tw_buckets")
"""How many connections a network remembers that are closed: of the network of whoever opens this."""


def send_listener(process: int, way: int) -> None:
    """Make the listener of a container and send it; this process stays in the container's network.

    Args:
        process: a descriptor of ``/proc/<pid>`` of the container's first process.
        way: a socket to the gateway.

    Raises:
        Unavailable: the network is gone, is not empty, or the listener cannot be made or sent.
    """
    try:
        namespace = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    except OSError as error:
        raise Unavailable("container_ended", f"the container's network is gone: {error.strerror}") from None
    try:
        if os.path.samestat(os.fstat(namespace), os.stat("/proc/self/ns/net")):
            raise Unavailable("container_network", "the container has the machine's own network")
        join_network(namespace)
        names = [name for _, name in socket.if_nameindex()]
        if names != ["lo"]:
            raise Unavailable("container_network", f"the container's network holds {', '.join(names)[:100]}")
        # Calls come after each other here: without this, one would see for a minute how often another had connected.
        # Where the machine's settings may not be changed, that stays so.
        with contextlib.suppress(OSError):
            _CLOSED.write_text("0", "ascii")
        with open_listener(PORT) as listener, socket.socket(fileno=os.dup(way)) as out:
            socket.send_fds(out, [b"w"], [listener.fileno()], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except OSError as error:
        raise Unavailable("container_network", f"the container gets no way out: {error}") from None
    finally:
        os.close(namespace)
