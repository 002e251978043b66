"""Making the images containers start from, and writing down which they are.

Stops: a container starting from anything but what was made or fetched here: the warden takes the id from the record,
which belongs to the home's owner. Done by the operator's own hand, never by a gateway.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from bascule.core.errors import Malformed, Unavailable
from bascule.core.policy import DEFAULT_IMAGE
from bascule.sandboxes.docker import record
from bascule.sandboxes.docker.build import debian_image, fetched_image
from bascule.sandboxes.docker.engine import Engine
from bascule.sandboxes.docker.trying import try_python
from bascule.sandboxes.warden.config import engine_socket

_LOAD_SECONDS = 3600.0
"""A registry may be slow, and an import unpacks two hundred megabytes."""

_WAIT_SECONDS = 120.0
"""Of silence; an engine that fetches says how far it is every moment."""


def make(home: Path, name: str, mirror: str) -> record.Image:
    """Build or fetch an image, record its id in the home, and return it.

    Args:
        home: absolute path of the home.
        name: of the image; the default one is built, any other fetched.
        mirror: where Debian's packages are.

    Raises:
        Malformed: no name of an image, or a record that does not parse.
        Unavailable: no home, no engine, no builder, the build failed, or no container could start from what came.
    """
    if not record.is_name(name):
        raise Malformed("image_name", f"{name[:100]!r} is no name of an image", "such as debian:bookworm")
    if not home.is_dir():
        raise Unavailable("home_missing", f"there is no home at {home}", "make one with: bascule init")
    images = dict(_recorded(home))
    engine = Engine(engine_socket(os.environ.get("DOCKER_HOST", "")), _LOAD_SECONDS, _WAIT_SECONDS)
    engine.version()
    made = debian_image(engine, name, mirror) if name == DEFAULT_IMAGE else fetched_image(engine, name)
    try_python(engine, name, made.id)
    _write(home, images | {name: made})
    return made


def _recorded(home: Path) -> dict[str, record.Image]:
    try:
        return dict(record.read((home / record.FILE).read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable("image_record", f"the record of images cannot be read: {error}") from None


def _write(home: Path, images: dict[str, record.Image]) -> None:
    beside = home / f".{record.FILE}.{os.getpid()}"
    owner = home.stat()
    try:
        with beside.open("x", encoding="utf-8") as file:
            json.dump(record.write(images), file, indent=1)
            os.fchmod(file.fileno(), 0o644)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(home / record.FILE)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise Unavailable("image_record", f"the record of images cannot be written: {error}") from None
