"""A Docker engine of a test's own, to be killed, stopped and filled: own socket, own data, own containerd.

The one that all tests share is never touched. Its image is a small one, cut out of the shared engine's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from tests.sandboxes import daemon

from bascule.core.errors import BasculeError
from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.record import FILE, Image, write

_KEPT = re.compile(
    r"(bin|lib|lib64|sbin|dev|proc|sys|tmp|mnt|run|etc|var|usr|usr/(bin|lib|lib64))/?"
    r"|usr/bin/(python3(\.11)?|true|sleep|cat|grep|dash|sh)"
    r"|usr/lib/python3(\.11)?(/(?!test|idlelib|tkinter|lib2to3|distutils|ensurepip).*)?"
    r"|(usr/)?lib64/ld-.*"
    r"|(usr/)?lib/[a-z0-9_]+-linux-gnu(/(ld-linux|libc\.|libm\.|libz\.|libexpat|libffi|libcrypto|libpcre2-8|libselinux).*)?/?"
)
SECONDS = 60.0
NONE = ("--bridge=none", "--iptables=false", "--ip6tables=false")


class _Unix(HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(daemon.SOCKET)


def small_root(path: Path) -> Path:
    """Write the root tree of a small image that a container of ours can start from, and return its path."""
    shared = Engine(daemon.SOCKET)
    found = shared.image(DEFAULT_IMAGE)
    assert found is not None
    made, _ = shared.create(f"bascule-test-root-{os.getpid()}", {"Image": found["Id"], "Cmd": ["/usr/bin/true"]})
    try:
        asked = _Unix("localhost")
        asked.request("GET", f"/containers/{made}/export")
        with tarfile.open(fileobj=asked.getresponse(), mode="r|") as whole, tarfile.open(path, "w") as small:
            for member in whole:
                if _KEPT.fullmatch(member.name):
                    small.addfile(member, whole.extractfile(member) if member.isreg() else None)
        asked.close()
    finally:
        shared.remove(made)
    return path


class SecondEngine:
    """One engine; :meth:`start` it, then do to it what a bad day does."""

    def __init__(self, folder: Path, data: Path | None = None, network: tuple[str, ...] = NONE) -> None:
        """``network`` are its words about that; by default it has none."""
        self.folder = folder
        self.data = data if data is not None else folder / "data"
        self.socket = folder / "sock"
        # Its containerd's socket lies here, whose whole path may be no longer than 107 bytes.
        self.run = Path(tempfile.mkdtemp(prefix="bascule-engine-"))
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def engine(self) -> Engine:
        return Engine(str(self.socket), SECONDS)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in (self.folder / "pid", self.run / "containerd" / "containerd.pid"):
            stale.unlink(missing_ok=True)
        words = [
            "dockerd", "--data-root", str(self.data), "--exec-root", str(self.run),
            "--pidfile", str(self.folder / "pid"), "--host", f"unix://{self.socket}", *self._network,
        ]  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while not self.answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            if self._process is None or self._process.poll() is not None:
                # An engine gives its containerd a few seconds; on a busy machine that may be too few.
                with open(self.folder / "log", "ab") as log:
                    self._process = subprocess.Popen(
                        words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                    )
            time.sleep(0.05)

    def answers(self) -> bool:
        with contextlib.suppress(BasculeError):
            return bool(Engine(str(self.socket), 2.0).version())
        return False

    def processes(self) -> list[int]:
        """The engine and its containerd, without what holds containers."""
        found = [] if self._process is None or self._process.poll() is not None else [self._process.pid]
        return found + [pid for pid in self._mine() if b"containerd-shim" not in _words(pid)[:1][0]]

    def _mine(self) -> list[int]:
        """Whatever names our folder on its command line, besides the engine itself."""
        mark = str(self.run).encode()
        own = self._process.pid if self._process is not None else 0
        return [
            pid
            for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
            if pid != own and any(mark in word for word in _words(pid)) and b"containerd" in _words(pid)[0]
        ]

    def kill(self) -> None:
        """Kill it and its containerd at one stroke."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(SECONDS)

    def freeze(self) -> None:
        """Stop it in its tracks."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """End it with all that is left of it."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
        self.kill()
        for pid in self._mine():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            under = [
                line.split()[1] for line in mounts if line.split()[1].startswith((f"{self.folder}/", f"{self.run}/"))
            ]
        for place in sorted(under, reverse=True):
            subprocess.run(["/usr/bin/umount", "-l", place], check=False, capture_output=True)
        shutil.rmtree(self.run, ignore_errors=True)

    def load(self, root: Path, name: str = DEFAULT_IMAGE) -> str:
        """Give it an image and return its id."""
        with open(root, "rb") as archive:
            return self.engine.load(archive, name)

    def record(self, home: Path, identity: str) -> None:
        """Let a home use an image of this engine by the usual name."""
        path = home / FILE
        path.write_text(json.dumps(write({DEFAULT_IMAGE: Image(identity, "small")})))
        path.chmod(0o644)


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]
