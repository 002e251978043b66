"""The operator's filters of system calls as the warden keeps them: read once, held against what was read at the start.

Stops: a filter being loosened while a gateway runs, by whoever could write its file: what the start had read with full
rights is told by its digest, and anything else is no filter, so that no container is made. No request of the gateway's
names a filter. Does not stop: root.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping

from bascule.core.callfloor import engine_profile
from bascule.core.callprofile import LARGEST_PROFILE, parse_profile
from bascule.core.errors import BasculeError, Unavailable
from bascule.core.ids import AgentId
from bascule.linux.calls import open_without_links

_CHANGED = "restart the gateway"


class CallFilters:
    """The filters of one warden's containers, as an engine takes them."""

    def __init__(self, pinned: Mapping[AgentId, tuple[str, str]]) -> None:
        """Read every profile; ``pinned`` is its path and hex SHA-256 by agent."""
        self._pinned = pinned
        self._texts = {agent: text for agent, (path, digest) in pinned.items() if (text := _text(path, digest))}

    def of(self, agent: AgentId) -> str:
        """Return an agent's filter as JSON text, empty if policy names none and the engine's default is to hold.

        Raises:
            Unavailable: ``seccomp_profile_changed``: its file was not, or not any longer, what the start had read.
        """
        if agent not in self._pinned:
            return ""
        if agent not in self._texts:
            path = self._pinned[agent][0]
            raise Unavailable("seccomp_profile_changed", f"{path} is not what the gateway was started with", _CHANGED)
        return self._texts[agent]


def _text(path: str, digest: str) -> str:
    """Return what an engine is given for a profile, empty if it is not the one that is meant."""
    try:
        content = _read(path)
        if hashlib.sha256(content).hexdigest() != digest:
            return ""
        return json.dumps(engine_profile(parse_profile(content, os.uname().machine, path)))
    except (OSError, BasculeError):
        return ""


def _read(path: str) -> bytes:
    descriptor = open_without_links(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return file.read(LARGEST_PROFILE + 1)
