"""What of the machine a policy would lend, looked at with the operator's own eyes.

Stops: an operator learning only from a refused call that a directory is missing, or is a link, which the warden never
follows. Looks, and changes nothing; the warden opens for itself what it mounts. Does not look into a directory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from bascule.core.confinement import Mount
from bascule.core.finding import Finding, Severity
from bascule.core.policy import Policy


def lent_sources(policy: Policy) -> tuple[Finding, ...]:
    """Return what is odd about the sources of every agent's binds, each once."""
    found: dict[str, Finding] = {}
    for agent in policy.agents.values():
        for bind in agent.layout.binds:
            for finding in _look(agent.id, bind):
                found.setdefault(f"{finding.check} {bind.path}", finding)
    return tuple(found.values())


def _look(agent: str, bind: Mount) -> Iterator[Finding]:
    source = bind.path
    try:
        mode = os.lstat(source).st_mode
    except (FileNotFoundError, NotADirectoryError):
        detail = f"{agent}: {source[:200]} is not there, so no box of the agent can be made"
        yield Finding("sandbox.bind_absent", Severity.WARN, detail, "make it, or take it out of sandbox.docker.binds")
        return
    except OSError as error:
        detail = f"{agent}: {source[:200]} cannot be looked at: {error.strerror}"
        yield Finding("sandbox.bind_unseen", Severity.WARN, detail, "look at it as its owner")
        return
    real = os.path.realpath(source)
    if real != source:
        detail = f"{agent}: {source[:200]} is or passes through a link, which no box follows"
        yield Finding("sandbox.bind_link", Severity.CRITICAL, detail, f"name {real[:200]}, if that is what is meant")
    elif not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        detail = f"{agent}: {source[:200]} is neither a directory nor a file"
        yield Finding("sandbox.bind_kind", Severity.CRITICAL, detail, "take it out of sandbox.docker.binds")
