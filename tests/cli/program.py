"""The program ``bascule`` in a process of its own, over the simulated gateway of ``tests/control``."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.control.simulated import SimulatedService, simulated_server

from bascule.cli import launch
from bascule.cli.main import run
from bascule.control.client import Client
from bascule.control.place import Lock

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = (
    "import sys; from tests.control import simulated; sys.modules['bascule.app'] = simulated; "
    "from bascule.cli.main import main; main()"
)


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out.isascii()
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, str]:
        assert self.err.isascii()
        assert self.err.count("\n") == 1
        return json.loads(self.err)["error"]


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *words]


def environment(home: Path | None, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"BASCULE_HOME", "NO_COLOR", "COLUMNS"}}
    named = {} if home is None else {"BASCULE_HOME": str(home)}
    return kept | named | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TERM": "xterm"} | more


def bascule(home: Path | None, *words: str, stdin: bytes = b"", **more: str) -> Ran:
    done = subprocess.run(
        command(*words), input=stdin, capture_output=True, env=environment(home, **more), timeout=60, check=False
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def _in_a_thread(_home: Path, lock: Lock) -> Client:
    ours, theirs = socket.socketpair()
    server = simulated_server(SimulatedService())
    thread = threading.Thread(target=lambda: asyncio.run(server.attend(theirs)))
    thread.start()

    def end() -> None:
        thread.join(20)
        lock.release()

    return Client(ours, end)


def inside(home: Path | None, *words: str, stdin: bytes = b"") -> Ran:
    """As :func:`bascule`, but in this process and with the gateway in a thread: all is real but the fork."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    typed = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    with (
        mock.patch.object(launch, "_ephemeral", _in_a_thread),
        mock.patch.dict(os.environ, environment(home), clear=True),
        mock.patch.object(sys, "stdin", typed),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            status: object = run(words)
        except SystemExit as ended:
            status = ended.code
    assert isinstance(status, int)
    return Ran(status, *(stream.buffer.getvalue().decode() for stream in (out, err)))
