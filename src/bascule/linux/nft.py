"""Where the program is that makes packet rules. Looked for in root's own places only, not along a search path."""

from __future__ import annotations

import os

PLACES = ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft")
"""Debian's and Fedora's, and that of systems with one directory for programs."""


def find() -> str:
    """Return its path, empty if there is none."""
    return next((path for path in PLACES if os.access(path, os.X_OK)), "")
