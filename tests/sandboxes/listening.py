"""Listeners of the host, of every kind a box might try, which count whoever comes."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "packets": socket.SOCK_SEQPACKET}


def addresses() -> list[str]:
    """Every address of this machine but link-local ones: loopback, its own, those of bridges."""
    shown = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True, timeout=20).stdout)
    found = [row["local"] for link in shown for row in link["addr_info"] if row["scope"] in {"global", "host"}]
    return list(dict.fromkeys([*found, "127.0.0.2"]))


class Listeners:
    """Open while it is entered; answers everybody with one word."""

    def __init__(self, folder: Path) -> None:
        """Put sockets that lie as files into ``folder``."""
        self.came = 0
        self._abstract = "bascule-way-" + secrets.token_hex(8)
        self._folder = folder
        self._inet: list[tuple[int, int, Any]] = []
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        """Open all."""
        for address in addresses():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                made = self._open(family, kind, (address, 0))
                self._inet.append((int(family), int(kind), made.getsockname()))
        self._open(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self._abstract}")
        folder = os.open(self._folder, os.O_PATH)
        for name, kind in KINDS.items():
            self._open(socket.AF_UNIX, kind, f"/proc/self/fd/{folder}/{name}")
            (self._folder / name).chmod(0o777)
        os.close(folder)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all."""
        self._stop.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr] # sockets only
        self._selector.close()
        for name in KINDS:
            (self._folder / name).unlink()

    def targets(self, folder: str) -> list[tuple[int, int, Any]]:
        """Family, kind and address of each; files as they are called below ``folder``."""
        files = [(1, int(kind), f"{folder}/{name}") for name, kind in KINDS.items()]
        return [*self._inet, (1, 1, f"\0{self._abstract}"), *files]

    def settled(self) -> int:
        """How many came, once nobody has come for a moment."""
        seen = -1
        while seen != self.came:
            seen = self.came
            time.sleep(0.15)
        return seen

    def _open(self, family: int, kind: int, address: Any) -> socket.socket:
        made = socket.socket(family, kind)
        made.bind(address)
        if kind != socket.SOCK_DGRAM:
            made.listen(64)
        self._selector.register(made, selectors.EVENT_READ)
        return made

    def _serve(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                found = key.fileobj
                assert isinstance(found, socket.socket)
                self.came += 1
                if found.type == socket.SOCK_DGRAM:
                    found.recv(100)
                    continue
                with found.accept()[0] as peer:
                    peer.settimeout(2)
                    peer.recv(100)
                    peer.send(b"reached")
