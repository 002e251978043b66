"""Telling systemd that the gateway serves (``sd_notify(3)``), without its library.

Stops: a unit counting as started before its gateway answers, and a gateway's programs writing to the service manager:
the variable is taken out of the environment at once. Does nothing where no service manager asked.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, MutableMapping

VARIABLE = "NOTIFY_SOCKET"


def service_manager(environment: MutableMapping[str, str]) -> Callable[[str], None]:
    """Return what tells the service manager a state such as ``READY=1``; takes its address out of ``environment``."""
    address = environment.pop(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return lambda _state: None
    where = "\0" + address[1:] if address.startswith("@") else address

    def tell(state: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.settimeout(1)
                line.sendto(state.encode("ascii"), where)
        except OSError:
            # It will say itself that the unit did not start in time.
            return

    return tell
