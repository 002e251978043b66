"""A network of the demo's own, in which the address of a cloud's metadata service is this machine's.

Stops: a step about that address proving nothing because nobody would have answered there anyway, and asking a real one
for its keys on a machine that has it. Needs root; without, the machine's own network is used and nobody listens there.
Everything that the demo starts is in it too; a Docker engine is spoken to by its socket's path.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from bascule.linux.calls import CLONE_NEWNET, unshare

METADATA = ("169.254.169.254", 80)
"""Where clouds answer whoever runs on them, keys included."""

_SET_ADDRESS, _SET_FLAGS = 0x8916, 0x8914
_UP_RUNNING = 0x1 | 0x40


def own_network() -> bool:
    """Move this process into such a network; return whether there is one now.

    Raises:
        OSError: root may not, or not here.
    """
    if os.geteuid() != 0:
        return False
    unshare(CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_RUNNING))
        address = struct.pack("=H2x4s8x", socket.AF_INET, socket.inet_aton(METADATA[0]))
        fcntl.ioctl(any_socket, _SET_ADDRESS, struct.pack("16s16s", b"lo:0", address))
    return True
