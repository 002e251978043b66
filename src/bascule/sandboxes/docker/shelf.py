"""Which image a name stands for now, as the home's record says: read again whenever the file has changed.

Stops: a container going on with an image that its name no longer means. Does not decide which image is started: the
warden reads the record itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bascule.core.errors import BasculeError
from bascule.sandboxes.docker import record


class Shelf:
    """One home's record."""

    def __init__(self, home: Path) -> None:
        """Read it in ``home``."""
        self._path = home / record.FILE
        self._seen: tuple[int, ...] = ()
        self._images: Mapping[str, record.Image] = {}

    def id_of(self, name: str) -> str:
        """Return an image's id; empty if the record does not have it or does not parse."""
        try:
            found = os.stat(self._path)
            seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if seen != self._seen:
                self._images = {}
                self._images = record.read(self._path.read_text("utf-8"))
                self._seen = seen
        except (OSError, UnicodeDecodeError, BasculeError):
            self._images, self._seen = {}, ()
        image = self._images.get(name)
        return "" if image is None else image.id
