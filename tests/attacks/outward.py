"""The attacker's program on its one way out: asks the proxy for what it should not, and tries to stand in its place.

Tests list it as a tool of the agent and run it outside as a control; standard library only. ``outward.py VERB WORDS``,
words in hexadecimal; says as JSON what came of each try.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Callable


def tried(action: Callable[[], object]) -> str:
    """What came of it: ``ok`` with what it gave, or the error's name."""
    try:
        got = action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok" if got is None else f"ok {got}"


def through(*targets: str) -> dict[str, str]:
    """Ask the proxy this program was told of for each place, by tunnel and by address; the first line of its answer."""
    port = int(os.environ["http_proxy"].rpartition(":")[2])

    def ask(line: str, target: str) -> str:
        with socket.create_connection(("127.0.0.1", port), 10) as made:
            made.sendall(f"{line} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            said = made.recv(300).decode("latin-1").split("\r\n")[0]
            return said or "closed"

    asks = {
        f"{how}{target}{end}": target for target in targets for how, end in (("CONNECT ", ""), ("GET http://", "/leak"))
    }
    return {line: tried(lambda line=line, target=target: ask(line, target)) for line, target in asks.items()}


def serve() -> dict[str, str]:
    """Stand where the proxy stands, or anywhere else, and be spoken to by others."""

    def stand(port: int, *options: int) -> str:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for option in options:
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind(("127.0.0.1", port))
        made.listen()
        return "listens"

    port = int(os.environ.get("http_proxy", ":0").rpartition(":")[2])
    return {
        "any port": tried(lambda: stand(0)), "its port": tried(lambda: stand(port or 0)),
        "its port shared": tried(lambda: stand(port or 0, 2, 15)),  # SO_REUSEADDR, SO_REUSEPORT
        "unbound": tried(lambda: socket.socket().listen()),
        "accept": tried(lambda: socket.socket().accept()),
        "packet filter": tried(lambda: socket.socket().setsockopt(1, 26, b"\0" * 16)),
        "upper protocol": tried(lambda: socket.socket().setsockopt(6, 31, b"tls")),
        "mptcp": tried(lambda: socket.socket(2, 1, 262)), "sctp": tried(lambda: socket.socket(2, 1, 132)),
        "udp": tried(lambda: socket.socket(2, 2)), "raw": tried(lambda: socket.socket(2, 3, 1)),
    }  # fmt: skip


VERBS: dict[str, Callable[..., dict[str, str]]] = {"through": through, "serve": serve}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(VERBS[sys.argv[1]](*(bytes.fromhex(word).decode() for word in sys.argv[2:]))))
