"""The Docker engine that one of the demo's agents has its container from, and what is left of it there.

Without root there is none: Docker's containers need a gateway that was started as root. Then that agent's boxes are
bubblewrap's, as an operator would choose, and the demo says so.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from bascule.core.errors import BasculeError
from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.argv import LABEL_HOME
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.record import FILE, Image, write
from bascule.sandboxes.warden.config import engine_socket
from demo.steps import DemoError


def usable() -> bool:
    """True where the gateway will be able to have containers."""
    return os.geteuid() == 0


def record(home: Path) -> None:
    """Give a home the image that was built before, as ``bascule sandbox build`` would.

    Raises:
        DemoError: there is no engine, or no image; with what to do.
    """
    try:
        found = _engine().image(DEFAULT_IMAGE)
    except BasculeError as error:
        said = f"no Docker engine answers ({error.message})"
        raise DemoError(f"{said}: apt-get install docker.io mmdebstrap, then run: scripts/engine") from None
    if found is None:
        raise DemoError(f"Docker has no image {DEFAULT_IMAGE}: apt-get install mmdebstrap, then run: scripts/engine")
    path = home / FILE
    path.write_text(json.dumps(write({DEFAULT_IMAGE: Image(str(found["Id"]), "debian")})))
    path.chmod(0o644)


def containers(home: Path) -> list[str]:
    """Return the containers that are left of a home, as lines for people."""
    if not usable():
        return []
    try:
        return [f"container {str(found['Id'])[:12]}" for found in _engine().containers({LABEL_HOME: str(home)})]
    except BasculeError:
        return []


def _engine() -> Engine:
    return Engine(engine_socket(os.environ.get("DOCKER_HOST", "")))
