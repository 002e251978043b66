"""A network namespace with nothing in it but loopback and one listener, and the wall around who may use it.

Stops: a process of such a namespace reaching anything but what accepts on that listener, which its maker hands to
somebody outside. Does not stop: what is said over that one connection; whoever accepts must judge it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from bascule.linux.calls import forbid_new_privileges, system_call

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x1 | 0x40

# The same numbers on every architecture.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_RULE_PORT = 2
_BIND_TCP, _CONNECT_TCP = 1, 2
_SINCE_ABI = 4
"""Linux 6.7: Landlock knows TCP."""

_BACKLOG = 32
"""Connections that wait to be accepted; a program that opens more waits."""


def raise_loopback() -> None:
    """Let this network namespace's loopback carry packets.

    Raises:
        OSError: no right over this namespace.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))


def open_listener(port: int) -> socket.socket:
    """Raise loopback in this network namespace and return a socket that listens on 127.0.0.1 there, and only there.

    Args:
        port: nobody may have it yet, not even a connection that is closing.

    Raises:
        OSError: no right over this namespace, or the port is taken.
    """
    raise_loopback()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def connect_only_to(port: int) -> bool:
    """Have Landlock refuse this process, and all it starts, every TCP address but this port, and listening anywhere.

    Files are not touched, so mounts can still be made. Sets ``no_new_privs``.

    Returns:
        False where the kernel's Landlock does not know TCP, and nothing was done.

    Raises:
        OSError: it knows and refused.
    """
    try:
        abi = system_call("landlock", _LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    except OSError:
        return False
    if abi < _SINCE_ABI:
        return False
    attributes = struct.pack("=QQ", 0, _BIND_TCP | _CONNECT_TCP)
    rules = system_call("landlock", _LANDLOCK_CREATE, attributes, len(attributes), 0)
    try:
        system_call("landlock", _LANDLOCK_ADD, rules, _RULE_PORT, struct.pack("=QQ", _CONNECT_TCP, port), 0)
        forbid_new_privileges()
        system_call("landlock", _LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)
    return True
