"""Starts real workers as plain processes, without a box around them, for tests."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bascule.sandboxes.files import WorkerFiles, connect
from bascule.sandboxes.hello import Root, Setup, WorkerLimits
from bascule.sandboxes.worker.argv import start_argv

SOURCE = str(Path(__file__).resolve().parents[3] / "src")
PYTHON = os.path.realpath(sys.executable)

_AS_UID = """
import sys, os; sys.path.append(sys.argv[1])
from bascule.sandboxes.worker.main import main
uid = int(sys.argv[3]); os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
main(int(sys.argv[2]))
"""
"""Imports first, for the interpreter may lie where only root can go; no bascule code runs as root."""

ROOMY = WorkerLimits()

_ON_TMPFS = 'mount -t tmpfs -o size="$1",mode=777 tmpfs "$2" && shift 2 && exec "$@"'


@dataclass
class Started:
    """A worker and its process."""

    files: WorkerFiles
    process: subprocess.Popen[bytes]


@contextmanager
def place() -> Iterator[str]:
    """A fresh directory that every account can reach, with a writable ``w`` in it; its path has no link in it."""
    path = os.path.realpath(tempfile.mkdtemp(prefix="bascule-test-"))
    os.chmod(path, 0o755)
    os.mkdir(path + "/w")
    os.chmod(path + "/w", 0o777)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def on_tmpfs(size: str, path: str) -> tuple[str, ...]:
    """Words that mount a small tmpfs in a mount namespace of its own before they start what follows."""
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", _ON_TMPFS, "sh", size, path)


def can_unshare() -> bool:
    """True if this account may make user and mount namespaces."""
    return (
        subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, check=False).returncode
        == 0
    )


@asynccontextmanager
async def started(
    *roots: Root,
    uid: int | None = None,
    prefix: tuple[str, ...] = (),
    limits: WorkerLimits = ROOMY,
    canary: str = "/nowhere",
    status: int = 0,
) -> AsyncIterator[Started]:
    """A worker over the given roots, as this account or as ``uid`` (needs root); it must end with ``status``."""
    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    if uid is None:
        argv = start_argv(PYTHON, SOURCE, fd)
    else:
        argv = (PYTHON, "-I", "-S", "-B", "-c", _AS_UID, SOURCE, str(fd), str(uid))
    process = subprocess.Popen([*prefix, *argv], pass_fds=[fd], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    theirs.close()
    try:
        files = await connect(ours, Setup(roots, canary, limits), seconds=30)
        yield Started(files, process)
        files.close()
        assert await asyncio.to_thread(process.wait, 30) == status
    finally:
        process.kill()
        process.wait()
