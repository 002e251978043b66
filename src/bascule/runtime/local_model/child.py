"""The process that runs the small local model: one JSON line in, one JSON line out; nothing of Bascule is imported.

Stops: a crash of native code taking the gateway along; the model library listening on a port (its server is given a
unix socket in a private directory, and where the kernel lets it the process has no network at all); the gateway's
keys being in its memory. Does not stop: a bug in that library from doing what the gateway's account may do with files.

Run as ``python -I child.py WEIGHTS LIBRARY DIRECTORY``; LIBRARY may be empty.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

_NEWUSER_NEWNET = 0x10000000 | 0x40000000
_PR_SET_PDEATHSIG = 1
CONTEXT = 2048


def confine() -> None:
    """Leave every network, end with the parent, write no core; each as far as this kernel lets an ordinary process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.unshare(_NEWUSER_NEWNET)


def load(weights: str, library: str, directory: str) -> Any:
    """Return the library's server with the weights loaded."""
    if library:
        sys.path.insert(0, library)
    native = importlib.import_module("xllamacpp")
    parameters = native.CommonParams()
    parameters.model.path = weights
    parameters.n_ctx = CONTEXT
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = min(4, os.cpu_count() or 1)
    # Waiting threads sleep instead of spinning: on a busy machine that is several times faster.
    parameters.cpuparams.poll = 0
    parameters.hostnames = [f"{directory}/model.sock"]
    return native.Server(parameters)


def answer(server: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"content", "cut"}`` for one request, or ``{"error"}``."""
    found = server.handle_chat_completions(request)
    reply = json.loads(found) if isinstance(found, str | bytes) else found
    if not isinstance(reply, dict) or not reply.get("choices"):
        return {"error": "the model gave no answer"}
    choice = reply["choices"][0]
    return {"content": choice["message"].get("content") or "", "cut": choice.get("finish_reason") == "length"}


def serve(server: Any, asked: BinaryIO, told: BinaryIO) -> None:
    """Answer until the other side closes."""
    for line in asked:
        try:
            reply = answer(server, json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever native code raises is this request's failure
            reply = {"error": f"{type(error).__name__}: {error}"[:200]}
        told.write(json.dumps(reply).encode("ascii") + b"\n")
        told.flush()


def main() -> None:
    """Keep the pipe to the parent for answers, and give the library's own chatter to nobody."""
    told = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    confine()
    server = load(*sys.argv[1:4])
    told.write(b'{"ready": true}\n')
    told.flush()
    serve(server, sys.stdin.buffer, told)
    # The library's threads do not end by themselves in good time; nothing is left to lose.
    os._exit(0)


if __name__ == "__main__":
    main()
