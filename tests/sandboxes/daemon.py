"""The Docker engine that live tests use: the one of ``DOCKER_HOST``, or the machine's own."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from urllib.parse import urlencode

from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker.argv import LABEL_HOME
from bascule.sandboxes.docker.build import REMARK, debian_image
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.record import FILE, Image, write
from bascule.sandboxes.warden.config import engine_socket

SOCKET = engine_socket(os.environ.get("DOCKER_HOST", ""))


def record(home: Path) -> None:
    """Give a home the record of the image that was built before the tests."""
    found = Engine(SOCKET).image(DEFAULT_IMAGE)
    assert found is not None, f"no image {DEFAULT_IMAGE} at {SOCKET}: run scripts/engine"
    path = home / FILE
    path.write_text(json.dumps(write({DEFAULT_IMAGE: Image(str(found["Id"]), "debian")})))
    path.chmod(0o644)


def containers(home: Path) -> list[str]:
    """The ids of a home's containers, running or not."""
    return [str(found["Id"]) for found in Engine(SOCKET).containers({LABEL_HOME: str(home)})]


def remembered(home: Path) -> set[str]:
    """The ids of the containers it has made for a home of late, those too that lasted for one call."""
    engine = Engine(SOCKET)
    filters = {"type": ["container"], "event": ["create"], "label": [f"{LABEL_HOME}={home}"]}
    query = urlencode({"since": "0", "until": str(time.time()), "filters": json.dumps(filters)})
    status, said = engine._exchange("GET", f"{engine._base()}/events?{query}", None)
    assert status == 200, said
    return {str(json.loads(line)["id"]) for line in said.splitlines()}


def kill_containers(home: Path) -> None:
    """Remove them as an operator with Docker's own program would."""
    for container in containers(home):
        Engine(SOCKET).remove(container)


def build() -> None:
    """Build the image containers start from, unless the engine has it as it is made today."""
    engine = Engine(SOCKET, 600.0)
    found = engine.image(DEFAULT_IMAGE)
    if found is None or found.get("Comment") != REMARK:
        debian_image(engine, DEFAULT_IMAGE, "http://deb.debian.org/debian")


if __name__ == "__main__":
    build()
