"""The files a browser fetches besides pages: our style, our script, our mark, and one library that is not ours.

Stops: a page that needs another host, and a library changing without anyone noticing: its bytes are pinned here and
compared by a test. Does not stop anything at run time; what is in the package is served.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

HTMX_VERSION: Final = "2.0.11"
HTMX_SHA256: Final = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""Of ``dist/htmx.min.js`` in the package ``htmx.org``; see docs/dependencies.md."""

TYPES: Final = MappingProxyType(
    {
        "style.css": "text/css; charset=utf-8",
        "parts.css": "text/css; charset=utf-8",
        "live.js": "text/javascript; charset=utf-8",
        "keys.js": "text/javascript; charset=utf-8",
        "passkeys.js": "text/javascript; charset=utf-8",
        "htmx.min.js": "text/javascript; charset=utf-8",
        "mark.svg": "image/svg+xml",
    }
)
"""Every file that is served, with its type; a name that is not here is not found, whatever lies in the package."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file's bytes, its type, and the start of its hash: what its address changes with."""

    content: bytes
    media_type: str
    version: str


@cache
def assets() -> MappingProxyType[str, Asset]:
    """Return every file by name, read once."""
    place = resources.files("bascule.channels.dashboard") / "static"
    found = {}
    for name, media_type in TYPES.items():
        content = (place / name).read_bytes()
        found[name] = Asset(content, media_type, hashlib.sha256(content).hexdigest()[:16])
    return MappingProxyType(found)
