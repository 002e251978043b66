"""The operator's baseline: which files that raise their caller were there when they last said "these are mine".

Stops: a comparison with a list that an agent, or anybody without part in this, could have written. It lies beside the
policy and is the operator's, like the policy; nothing writes it but ``bascule host check --accept``. Does not stop the
operator accepting a file they should not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bascule.checkup.looking import way_to
from bascule.checkup.machine import Raised
from bascule.checkup.ownership import Model, Who, hold
from bascule.core.canonical import read_arguments
from bascule.core.errors import BasculeError, Malformed, Tampered, Unavailable
from bascule.host.people import read_text
from bascule.host.site import site_of

NAME = "host-accepted.json"


def load(home: Path, who: Who) -> Mapping[str, str] | None:
    """Return the identities by path that were accepted, None if none ever were.

    Raises:
        Tampered: ``accepted_unsafe``: somebody could have written the list who must not.
        Malformed: ``accepted_malformed``.
        Unavailable: it cannot be read.
    """
    path = site_of(home).config / NAME
    text = read_text(str(path))
    if text is None:
        return None
    if hold(way_to(str(path)), "accepted", who).model is Model.EXPOSED:
        raise Tampered("accepted_unsafe", f"{path} could have been written by a stranger", "run: bascule config verify")
    try:
        body = read_arguments(text)
    except BasculeError as error:
        raise _malformed(path) from error
    found = body.get("raising")
    if not isinstance(found, Mapping) or not all(isinstance(identity, str) for identity in found.values()):
        raise _malformed(path)
    return {name: str(identity) for name, identity in found.items()}


def _malformed(path: Path) -> Malformed:
    return Malformed("accepted_malformed", f"{path} is no list of accepted files", "run: bascule host check --accept")


def store(home: Path, files: Iterable[Raised]) -> Path:
    """Write the list in one step, readable by all, writable by whoever runs this, and return where it is.

    Raises:
        Unavailable: ``accepted_unwritable``.
    """
    path = site_of(home).config / NAME
    text = json.dumps({"raising": {file.path: file.identity for file in files}}, indent=1) + "\n"
    fresh = path.with_name(f".{NAME}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        remedy = "run it as the owner of the policy"
        raise Unavailable("accepted_unwritable", f"{path}: {error.strerror}", remedy) from None
    return path
