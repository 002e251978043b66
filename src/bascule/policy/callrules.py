"""Which file filters the system calls of an agent's container: ``sandbox.docker.seccompProfile``.

Stops: a profile lying where an agent or the gateway writes, and one believed in that nothing carries out. Says only
where the file is; who reads it looks at its owner and at what it says. Does not stop its owner from changing it.
"""

from __future__ import annotations

import re

from bascule.core.errors import Malformed
from bascule.core.finding import Finding, Severity
from bascule.core.paths import KERNEL_ROOTS, is_within, normal
from bascule.core.policy import Backend, SandboxPolicy
from bascule.policy.json5 import Document, Path, dotted
from bascule.policy.places import Places
from bascule.policy.schema.sandbox import Sandbox

_WRITTEN = ("agents", "shared", "state", "run", "logs")
"""Directories of a home in which agents or the gateway write."""

_ODD = re.compile(r"[\x00-\x1f\x7f]")


def profile_path(said: str, directory: str) -> str:
    """Return the absolute path of a profile, empty if it has none that can be told.

    Args:
        said: as the policy names it.
        directory: absolute, of the policy files; where relative names start.
    """
    text = said.strip()
    if not text or _ODD.search(text) or text.startswith("~") or ".." in text.split("/"):
        return ""
    return normal(text if text.startswith("/") else f"{directory}/{text}")


def profile_of(box: Sandbox, document: Document, sections: tuple[Path, ...], places: Places) -> str:
    """Return the absolute path of an agent's profile, empty for none.

    Args:
        box: its merged section.
        document: the file, for places in messages.
        sections: the agent's section and the shared one.
        places: the home and its surroundings.

    Raises:
        Malformed: ``policy_schema``: no path, or one where agents or the gateway write.
    """
    said = box.docker.seccomp_profile if box.docker is not None else None
    if said is None:
        return ""
    path = profile_path(said, places.config if places.config else places.home)
    if not path:
        raise _refuse(document, sections, "is no path of a profile: an absolute one, or one beside the policy")
    closed = (*(f"{places.home}/{name}" for name in _WRITTEN), *KERNEL_ROOTS)
    if any(is_within(path, place) for place in closed):
        raise _refuse(document, sections, f"{path[:200]} lies where agents, the gateway or the kernel write")
    return path


def unheeded_profile(box: SandboxPolicy, agent: str) -> tuple[Finding, ...]:
    """Say of a profile that no container of the agent is made with."""
    if not box.docker.seccomp or box.backend is Backend.DOCKER:
        return ()
    detail = f"{agent}: sandbox.docker.seccompProfile holds for containers; boxes of {box.backend} have our own filter"
    return (Finding("sandbox.seccomp_unheeded", Severity.INFO, detail, "set sandbox.backend to docker, or leave it"),)


def _refuse(document: Document, sections: tuple[Path, ...], problem: str) -> Malformed:
    keys = [(*section, "docker", "seccompProfile") for section in sections]
    key = next((key for key in keys if key in document.spans), keys[0])
    where = f"{document.where(key)}: {dotted(key)}"
    return Malformed("policy_schema", f"{where}: {problem}", "put the file beside the policy")
