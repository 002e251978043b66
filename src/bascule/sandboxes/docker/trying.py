"""Trying an image before it is recorded: has it a Python that a container of ours can start from?

Stops: an image being recorded that no agent could ever use, found out only when one needs it. The image's Python runs
once, without network, capabilities, a writable root or anything of the machine. Does not look at what else is in it.
"""

from __future__ import annotations

import contextlib

from bascule.core.canonical import Json
from bascule.core.errors import BasculeError, Unavailable
from bascule.sandboxes.docker.argv import PYTHON
from bascule.sandboxes.docker.engine import Engine

_MODULES = (
    "_ctypes, _socket, array, codecs, contextlib, errno, fcntl, html.parser, json, os, re, resource, select, shutil"
)
_OLD, _OTHER = 100, 99
_TRY = (
    "import sys\n"
    f"if sys.version_info < (3, 11): sys.exit({_OLD} + sys.version_info[1] if sys.version_info[0] == 3 else {_OTHER})\n"
    f"import {_MODULES}"
)
"""Ends with 0 where all is there; what is older says so by its own number, which every Python can."""

NEEDED = f"Python 3.11 or newer, with its standard library, at {PYTHON}"


def try_python(engine: Engine, name: str, identity: str) -> None:
    """Return if an image can be started from.

    Args:
        engine: has the image.
        name: what the operator calls it.
        identity: its id.

    Raises:
        Unavailable: ``image_python``, with what it has instead; or the engine does not answer.
    """
    made, _ = engine.create(f"bascule-try-{identity[-12:]}", _body(identity))
    try:
        try:
            engine.start(made)
        except Unavailable as error:
            if error.code != "docker_refused":
                raise
            raise _unfit(name, f"has nothing to run at {PYTHON}") from None
        status = engine.wait(made)
    finally:
        with contextlib.suppress(BasculeError):
            engine.remove(made)
    if _OLD <= status < _OLD + 11:
        raise _unfit(name, f"has Python 3.{status - _OLD}")
    if status == _OTHER:
        raise _unfit(name, "has a Python older than 3")
    if status:
        raise _unfit(name, f"has a Python that lacks a module or does not run here (status {status})")


def _unfit(name: str, why: str) -> Unavailable:
    return Unavailable("image_python", f"the image {name[:100]} {why}; it needs {NEEDED}", "use another image")


def _body(identity: str) -> dict[str, Json]:
    return {
        "Image": identity,
        "User": "65534:65534",
        "Entrypoint": [],
        "Cmd": [PYTHON, "-I", "-S", "-B", "-c", _TRY],
        "Env": [],
        "WorkingDir": "/",
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "AutoRemove": False,
            "CapDrop": ["ALL"],
            "IpcMode": "none",
            "LogConfig": {"Type": "none", "Config": {}},
            "Memory": 256 << 20,
            "MemorySwap": 256 << 20,
            "NetworkMode": "none",
            "PidsLimit": 16,
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges:true"],
        },
    }
